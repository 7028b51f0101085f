"""What is written into a model's card after it was made: thresholds that a person set, results that were measured, another name.

The card is read, changed and written under one lock, so of two changes at the same time neither is lost. The lock is a file in ``locks``
of `places.home`: nothing lies beside the model, and programs of another home folder do not see it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from panda_core.card import CARD_FILE, Card, Metric, is_left_alone, read_card
from panda_core.durable import replace_text
from panda_core.errors import ConfigError, ModelError
from panda_core.inspection import OperatingPoint
from panda_core.places import home
from panda_core.points import save_point

PATIENCE = 10.0
"""Seconds to wait for others; a change takes milliseconds."""


def save_operating_point(folder: Path, point: OperatingPoint | None) -> Card:
    """Make the thresholds those of a model (None: back to the model's own); returns the new card.

    They go into the card, which is written aside and renamed; those of a model that came with the program, or lies in $PANDA_MODELS,
    are kept in `points`, and its folder stays as it is. Raises ModelError where the folder is not a model's,
    cannot be written or the model is not calibrated, ConfigError on thresholds that are not finite or an empty name or reason.
    """

    def moved(card: Card) -> Card:
        if not card.calibration:
            raise ModelError(
                f"{folder} is not calibrated: there is no boundary to move. "
                f"Run: panda calibrate FOLDER --model {card.name} --out NEW_FOLDER"
            )
        if point is not None:
            _check_point(point)
        return dataclasses.replace(card, operating_point=point)

    try:
        if not is_left_alone(folder):
            return _change(folder, moved)
        card = moved(read_card(folder))
        save_point(folder.name, card.sha256, point)
        return card
    except OSError as error:
        raise ModelError(
            f"{error.filename or folder} cannot be written ({error.strerror}). Make room, or copy the model to a folder of your own, "
            f"e.g. {home() / 'models'}."
        ) from error


def save_metric(folder: Path, metric: Metric) -> Card:
    """Write a result into the card of a model folder, in the place of one on the same data; returns the new card.

    Raises ModelError where the folder is not a model's, is not a person's own, or cannot be written.
    """
    if is_left_alone(folder):
        raise ModelError(f"“{folder.name}” is not one of your own models, so its card stays as it is. Copy it; the copy is yours.")

    def measured(card: Card) -> Card:
        return dataclasses.replace(card, metrics=(*(one for one in card.metrics if one.data != metric.data), metric))

    try:
        return _change(folder, measured)
    except OSError as error:
        raise ModelError(f"{folder} cannot be written ({error.strerror}). Make room, or check its permissions.") from error


def rename_card(folder: Path, name: str) -> Card:
    """Give the model of a folder another name, which is its title, too; returns the new card.

    Raises ModelError where the folder is not a model's or cannot be written.
    """
    try:
        return _change(folder, lambda card: dataclasses.replace(card, name=name, title=name))
    except OSError as error:
        raise ModelError(f"{folder} cannot be written ({error.strerror}). Make room, or check its permissions.") from error


def _check_point(point: OperatingPoint) -> None:
    if not (math.isfinite(point.boundary) and math.isfinite(point.pixel_threshold)):
        raise ConfigError("An operating point needs finite thresholds.")
    if not (point.who.strip() and point.why.strip()):
        raise ConfigError("Say who moved the threshold and why: whoever reads the card later will ask.")


def _change(folder: Path, change: Callable[[Card], Card]) -> Card:
    """Replace the card of a folder by what ``change`` makes of it. Raises ModelError, OSError, and what ``change`` raises."""
    with _alone(folder):
        changed = change(read_card(folder))
        replace_text(folder / CARD_FILE, changed.to_json(), durable=True)
    return changed


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Be the only one who changes the card of a folder. Raises ModelError where another does not end, or nothing can be locked."""
    place = home() / "locks"
    lock = FileLock(place / f"card-{hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:16]}.lock")
    try:
        place.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=PATIENCE, poll_interval=0.01)
    except Timeout as error:
        raise ModelError(f"Another program is changing the card of {folder}. Wait for it, then try again.") from error
    except OSError as error:
        raise ModelError(f"{place} cannot be written ({error.strerror}). Make room, or check its permissions.") from error
    try:
        yield
    finally:
        lock.release()
