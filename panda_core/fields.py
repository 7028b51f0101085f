"""The configuration's fields as data: what a form or a page of documentation needs to know of each."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import typing
from dataclasses import dataclass
from typing import Any, Literal

from panda_core.config import Config


@dataclass(frozen=True, slots=True)
class Field:
    """One field that a person may set."""

    name: str
    """Dotted, e.g. "train.seed"."""
    kind: Literal["switch", "integer", "number", "choice", "text"]
    choices: tuple[str, ...]
    """Of a choice; empty otherwise."""
    meaning: str
    """A sentence or two, in Markdown."""


def list_fields() -> tuple[Field, ...]:
    """All fields but ``preset``, in the order of the configuration."""
    config = Config()
    found: list[Field] = []
    for part in dataclasses.fields(Config):
        value = getattr(config, part.name)
        if dataclasses.is_dataclass(value):
            found += [_field(type(value), f"{part.name}.", field.name) for field in dataclasses.fields(value)]
        elif part.name != "preset":
            found.append(_field(Config, "", part.name))
    return tuple(found)


def meanings(kind: type) -> dict[str, str]:
    """Field name -> the docstring below it ("" without one)."""
    (body,) = [node.body for node in ast.parse(inspect.getsource(kind)).body if isinstance(node, ast.ClassDef)]
    found: dict[str, str] = {}
    for node, following in zip(body, [*body[1:], None], strict=True):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            has_text = isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)
            found[node.target.id] = inspect.cleandoc(str(following.value.value)) if has_text else ""  # type: ignore[union-attr]
    return found


def choices(kind: type, name: str) -> tuple[str, ...]:
    """The allowed words of a Literal field; empty for any other."""
    hint = typing.get_type_hints(kind)[name]
    return tuple(map(str, typing.get_args(hint))) if typing.get_origin(hint) is Literal else ()


def _field(kind: type, prefix: str, name: str) -> Field:
    hint: Any = typing.get_type_hints(kind)[name]
    words = choices(kind, name)
    kinds: dict[Any, Literal["switch", "integer", "number", "text"]] = {bool: "switch", int: "integer", float: "number"}
    numeric = words and all(word.isdigit() for word in words)
    return Field(prefix + name, "choice" if words and not numeric else kinds.get(hint, "text"), words, meanings(kind)[name])
