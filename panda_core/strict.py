"""Frozen dataclasses from JSON, strictly: an unknown name, a wrong type or a value out of range is an error that says where."""

from __future__ import annotations

import dataclasses
import difflib
import math
import types
import typing
from collections.abc import Iterable
from functools import reduce
from operator import getitem
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from panda_core.errors import ConfigError

T = TypeVar("T")
_MEANT: dict[Any, str] = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}


def nearest(name: str, known: list[str]) -> str:
    """A hint for an unknown name: the closest known one, or all of them."""
    close = difflib.get_close_matches(name, known, n=1)
    return f" Did you mean '{close[0]}'?" if close else f" Known: {', '.join(known)}."


def dotted_names(values: dict[str, Any], prefix: str = "") -> list[str]:
    """The leaves of a nested dict as "part.field"."""
    names: list[str] = []
    for key, value in values.items():
        names += dotted_names(value, f"{prefix}{key}.") if isinstance(value, dict) else [f"{prefix}{key}"]
    return names


def value_at(values: dict[str, Any], dotted: str) -> Any:
    """The leaf of a nested dict that `dotted_names` calls so."""
    return reduce(getitem, dotted.split("."), values)


def build(kind: type[T], values: Any, where: str) -> T:
    """A dataclass from a dict; ``where`` names the place in messages. Raises ConfigError."""
    if not isinstance(values, dict):
        raise ConfigError(f"{where}: expected an object, got {type(values).__name__}.")
    hints = get_type_hints(kind)
    known = [f.name for f in dataclasses.fields(kind)]  # type: ignore[arg-type]
    arguments: dict[str, Any] = {}
    _require_known(values, known, where)
    for key, value in values.items():
        arguments[key] = convert(hints[key], value, f"{where}.{key}")
    return kind(**arguments)


def assemble(kind: type[T], values: dict[str, Any], where: str) -> T:
    """A dataclass of parts that are built already. Raises ConfigError: a field is unknown, missing or does not fit."""
    fields = {f.name: f for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    _require_known(values, list(fields), where)
    for name, one in fields.items():
        if name not in values and one.default is one.default_factory is dataclasses.MISSING:
            raise ConfigError(f"{where}: '{name}' is missing.")
    built = kind(**values)
    for name, hint in get_type_hints(kind).items():
        if not fits(getattr(built, name), hint):
            raise ConfigError(f"{where}: {name} is {getattr(built, name)!r}.")
    return built


def listed(value: Any) -> tuple[Any, ...]:
    """What a JSON list holds. Raises ConfigError where it is none."""
    if not isinstance(value, list):
        raise ConfigError(f"{value!r} is not a list.")
    return tuple(value)


def _require_known(names: Iterable[Any], known: list[str], where: str) -> None:
    for name in names:
        if name not in known:
            raise ConfigError(f"{where}: no field '{name}'.{nearest(str(name), known)}")


def convert(hint: Any, value: Any, where: str) -> Any:
    """``value`` as the annotated type: nested dataclasses, Literals and plain types; an int where a float is meant. Raises ConfigError."""
    if dataclasses.is_dataclass(hint):
        return build(typing.cast(type, hint), value, where)
    if get_origin(hint) is Literal:
        if value not in get_args(hint):
            raise ConfigError(f"{where} is {value!r}; it must be one of {', '.join(map(str, get_args(hint)))}.")
        return value
    if get_origin(hint) in (typing.Union, types.UnionType):
        return value
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return _finite(value, where)
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        raise ConfigError(f"{where} is {value!r}; it must be {_MEANT.get(hint, hint.__name__)}.")
    return value


def _finite(value: float, where: str) -> float:
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ConfigError(f"{where} is not a finite number. Give one that can be written down, e.g. 0.5.")
    return number


def fits(value: Any, hint: Any) -> bool:
    """Whether ``value`` is of the annotated type: plain types, tuples, dicts and unions of them; floats must be finite."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin is types.UnionType:
        return any(fits(value, one) for one in inner)
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        inner = inner[:1] * len(value) if inner[-1] is ... else inner
        return len(value) == len(inner) and all(map(fits, value, inner))
    if origin is dict:
        return isinstance(value, dict) and all(fits(one, inner[1]) for one in value.values())
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return hint is Any or (isinstance(value, hint) and not isinstance(value, bool))
