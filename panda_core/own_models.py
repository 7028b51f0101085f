"""The models on this machine as things a person keeps: add, rename, copy, delete and bring back, one to begin with.

Own models lie in ``models`` of `places.home`. Models that come with the program or lie in $PANDA_MODELS are left as they are: they can
be copied and exported. A model appears and vanishes by one rename, so a list never shows half of one.
"""

from __future__ import annotations

import json
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from panda_core.card import CARD_FILE, TENSOR_FILE, find_listed, find_model, list_models, read_card, usable_name
from panda_core.card_changes import rename_card
from panda_core.durable import read_object, replace_text, sync_folder
from panda_core.errors import ModelError, PandaError
from panda_core.places import home

PARTS = (CARD_FILE, TENSOR_FILE)
"""All that a model is; nothing else is copied, exported or imported."""
KEPT_SECONDS = 30 * 86_400.0
"""How long a deleted model can be brought back."""


def own_models() -> Path:
    """The folder of a person's own models; it may not exist yet."""
    return home() / "models"


def is_own(model: Path) -> bool:
    """Whether a model's folder may be renamed and deleted."""
    return model.resolve().parent == own_models().resolve()


def check_name(name: str) -> str:
    """A name for a new model, without spaces around it. Raises ModelError: not usable as a folder's name, or taken."""
    name = usable_name(name)
    if name.lower() in {folder.name.lower() for folder in list_models()}:
        raise ModelError(f"There is a model “{name}” already. Choose another name.")
    return name


def free_name(name: str) -> str:
    """``name``, or the first of "name 2", "name 3"… that is not taken. Raises ModelError where it cannot be a name."""
    taken = {folder.name.lower() for folder in list_models()}
    tries = (name if number == 1 else f"{name} {number}" for number in range(1, 10_000))
    return check_name(next(one for one in tries if one.lower() not in taken))


def add_model(source: Path, name: str) -> Path:
    """Copy a finished model, e.g. of a run, among a person's own; returns its folder. Raises ModelError.

    It is filled aside and renamed into its place, its card named as its folder.
    """
    card = read_card(source)  # with an operating point that is kept elsewhere: it goes with the copy
    target = own_models() / check_name(name)
    card = replace(card, name=target.name, title=target.name)
    temporary = own_models() / f".{target.name}.{uuid.uuid4().hex}"
    try:
        temporary.mkdir(parents=True)
        shutil.copyfile(source / TENSOR_FILE, temporary / TENSOR_FILE)
        with (temporary / TENSOR_FILE).open("rb+") as file:
            os.fsync(file.fileno())
        replace_text(temporary / CARD_FILE, card.to_json(), durable=True)
        os.rename(temporary, target)
    except OSError as error:
        raise ModelError(f"{target} cannot be written ({error.strerror}). Make room, or check the permissions.") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    sync_folder(own_models())
    return target


def copy_model(model: str, name: str) -> Path:
    """A second model of the same content. Raises ModelError."""
    return add_model(find_model(model), name)


def rename_model(model: str, name: str) -> Path:
    """Give an own model another name; its region and history go along, and it stays the default. Raises ModelError, HistoryError, RoiError.

    Folder, card and region have all changed their name or none of them has.
    """
    folder, begins = _own(model), default_model() == model
    target = own_models() / check_name(name)
    with _region_moves(model, target.name):
        try:
            os.replace(folder, target)
        except OSError as error:
            raise ModelError(f"{folder} cannot be renamed ({error.strerror}). Close what uses its files, then try again.") from error
        try:
            rename_card(target, target.name)
        except ModelError:
            os.replace(target, folder)
            raise
    if begins:
        set_default(target.name)
    _move_history(model, target.name)
    return target


def delete_model(model: str) -> str:
    """Take an own model away; returns the token that `restore_model` brings it back by, for KEPT_SECONDS. Raises ModelError, RoiError."""
    folder = _own(model)
    token = uuid.uuid4().hex
    trash = home() / "trash" / token
    empty_trash()  # first: where that fails, nothing has been deleted
    with _region_moves(model, _aside(token)):
        trash.mkdir(parents=True)
        try:
            os.replace(folder, trash / folder.name)
        except OSError as error:
            trash.rmdir()
            raise ModelError(f"{folder} cannot be deleted ({error.strerror}). Close what uses its files, then try again.") from error
    return token


@dataclass(frozen=True, slots=True)
class Deleted:
    """A model that `restore_model` can bring back."""

    token: str
    name: str
    when: float
    """Unix time."""


def deleted_models() -> tuple[Deleted, ...]:
    """What can be brought back, the last deleted first."""
    trash = home() / "trash"
    found: list[Deleted] = []
    for place in trash.iterdir() if trash.is_dir() else ():
        with suppress(FileNotFoundError):  # another program brings it back just now
            if place.name.isalnum() and place.is_dir() and place.stat().st_mtime >= time.time() - KEPT_SECONDS:
                models = [model.name for model in place.iterdir() if (model / CARD_FILE).is_file()]
                found += [Deleted(place.name, name, place.stat().st_mtime) for name in models]
    return tuple(sorted(found, key=lambda one: one.when, reverse=True))


def restore_model(token: str) -> Path:
    """Undo `delete_model`; returns the folder. Where the name is taken by now the model gets the next free one, as `free_name` says.

    Raises ModelError where it is gone for good, RoiError.
    """
    trash = home() / "trash" / token
    found = [path for path in trash.iterdir() if path.is_dir()] if token.isalnum() and trash.is_dir() else []
    if not found:
        raise ModelError("No such model can be brought back: deleted models are kept for 30 days.")
    target = own_models() / free_name(found[0].name)
    own_models().mkdir(parents=True, exist_ok=True)
    with _region_moves(_aside(token), target.name):
        os.replace(found[0], target)
        try:
            if target.name != found[0].name:
                rename_card(target, target.name)
        except ModelError:
            os.replace(target, found[0])
            raise
    shutil.rmtree(trash, ignore_errors=True)
    return target


def default_model() -> str | None:
    """The name of the model to begin with, as a person chose it; None where nobody did or it is gone."""
    with suppress(PandaError, OSError):
        name = (read_object(_settings()) or {}).get("default_model")
        if isinstance(name, str) and name in {folder.name for folder in list_models()}:
            return name
    return None


def set_default(model: str) -> None:
    """Begin with this model of the list from now on. Raises ModelError where it is not there or the choice cannot be kept."""
    find_listed(model)
    try:
        home().mkdir(parents=True, exist_ok=True)
        settings = read_object(_settings()) or {}
        replace_text(_settings(), json.dumps({**settings, "default_model": model}, indent=1), durable=True)
    except OSError as error:
        raise ModelError(f"{_settings()} cannot be written ({error.strerror}). Check its permissions.") from error


def _settings() -> Path:
    return home() / "settings.json"


def _own(model: str) -> Path:
    folder = find_model(model)
    if not is_own(folder):
        raise ModelError(f"“{model}” is not one of your own models ({folder.parent}). Copy it; the copy is yours.")
    return folder


@contextmanager
def _region_moves(old: str, new: str) -> Iterator[None]:
    """The region of ``old`` goes to ``new``, and back if the body fails. Raises RoiError, then the body does not begin."""
    from panda_core.roi import move_roi

    move_roi(old, new)
    try:
        yield
    except BaseException:
        move_roi(new, old)
        raise


def _move_history(old: str, new: str) -> None:
    """What was inspected, and marked, stays with the model."""
    if not (home() / "history.sqlite").exists():
        return
    from panda_core.history import History

    with History() as history:
        history.rename_model(old, new)


def _aside(token: str) -> str:
    """Whose region of interest that of a deleted model is: nobody's, so that a new model of the same name does not inherit it."""
    return f"deleted {token}"


def empty_trash() -> None:
    """Remove for good what was deleted more than KEPT_SECONDS ago. Raises OSError."""
    from panda_core.roi import clear_roi

    for path in (home() / "trash").glob("*"):
        if path.stat().st_mtime < time.time() - KEPT_SECONDS:
            shutil.rmtree(path, ignore_errors=True)
            clear_roi(_aside(path.name))
