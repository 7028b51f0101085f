"""The form of a new training: what it offers, what a filled one means, what is wrong with it, and how a run's form was filled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from panda_core.card import LONGEST_NAME, list_models, tuned_from, usable_name
from panda_core.config import Config
from panda_core.errors import ConfigError, ModelError, PandaError
from panda_core.events import plain
from panda_core.fields import list_fields
from panda_core.presets import PRESETS
from panda_core.presets import preset as find_preset
from panda_core.rivals import TITLES, unread
from panda_core.runs import RunDir
from panda_core.ui.uploads import field

DEFAULT_PRESET = "best"


def offer() -> dict[str, Any]:
    """What a new training can be made of: presets with their values, models to fine-tune, fields with their meaning.

    "rivals": the presets of systems that PANDA is compared with, and what people call them. "unread": detector -> parts of the
    configuration, first words of field names, that mean nothing to it.
    """
    fields = [{"name": f.name, "kind": f.kind, "choices": f.choices, "meaning": f.meaning} for f in list_fields()]
    models = {}
    for folder in list_models():
        try:
            models[folder.name] = flatten(tuned_from(folder))
        except ModelError:
            continue  # a damaged model is listed elsewhere, with its problem
    return {
        "fields": fields,
        "presets": {name: flatten(config) for name, config in PRESETS.items()},
        "models": models,
        "rivals": TITLES,
        "unread": {detector: unread(detector) for detector in ("panda", *TITLES)},
    }


def configuration(form: Any) -> tuple[Config, Path | None]:
    """The configuration and the parent's folder that a form asks for; ``form`` may be anything. Raises ConfigError, ModelError."""
    parent = _parent(field(form, "parent"))
    base = tuned_from(parent) if parent else find_preset(str(field(form, "preset") or DEFAULT_PRESET))
    changes = field(form, "changes")
    return base.override(**changes) if isinstance(changes, dict) else base, parent


def named(form: Any, folder: Path, otherwise: str) -> str:
    """The name that a form gives, which a model can have later; without one the folder's, as far as it can be one. Raises ModelError."""
    given = str(field(form, "name") or "").strip()
    if given:
        return usable_name(given)
    try:
        return usable_name(folder.name[:LONGEST_NAME])
    except ModelError:
        return otherwise


def problems(form: Any) -> dict[str, str]:
    """Field -> what is wrong with its value; "" for what no single field explains."""
    try:
        configuration(form)
    except ConfigError as error:
        changes = field(form, "changes") or {}
        found = {name: said for name, value in changes.items() if (said := _alone(form, name, value))}
        return found or {"": str(error)}
    except ModelError as error:
        return {"": str(error)}
    return {}


def refill(run: RunDir) -> dict[str, Any]:
    """The form that would make this run again: folder, parent or preset, what was changed, what was left out, name."""
    parent = next((folder for folder in list_models() if run.parent and folder.resolve() == run.parent), None)
    preset = run.config.preset if run.config.preset in PRESETS else DEFAULT_PRESET
    base = flatten(tuned_from(parent) if parent else PRESETS[preset])
    changes = {name: value for name, value in flatten(run.config).items() if value != base[name] and name != "preset"}
    return {
        "folder": plain(str(run.data)),
        "name": run.name,
        "parent": parent.name if parent else "",
        "preset": preset,
        "changes": changes,
        "exclude": sorted(run.exclude),
        "note": "The model that was fine-tuned is gone; this begins from scratch." if run.parent and not parent else "",
    }


def flatten(config: Config) -> dict[str, Any]:
    """Dotted field -> value."""
    flat: dict[str, Any] = {}
    for key, value in config.to_dict().items():
        flat |= {f"{key}.{name}": inner for name, inner in value.items()} if isinstance(value, dict) else {key: value}
    return flat


def _parent(name: Any) -> Path | None:
    """The folder of a model of this list. A browser names models; a path from it is not followed."""
    if not name:
        return None
    found = next((folder for folder in list_models() if folder.name == name), None)
    if found is None:
        raise ModelError(f"No model “{name}” on this computer. Choose another to start from.")
    return found


def _alone(form: Any, name: str, value: Any) -> str:
    try:
        configuration({**form, "changes": {name: value}})
    except PandaError as error:
        return str(error)
    return ""
