"""What people's marks give back to the models: a calibration with labelled images, and more normal images to train on."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from panda_core.calibration import calibrate_anew
from panda_core.checkpoint import load_model, save_model
from panda_core.data.folders import NORMAL_NAMES
from panda_core.data.images import content_hash, list_images
from panda_core.devices import pick_device
from panda_core.errors import CalibrationError, FolderError, ImageError, ModelError
from panda_core.inspection import Calibration
from panda_core.origins import Origins, read_origins
from panda_core.scoring.boundary import MINIMUM_ANOMALOUS

MINIMUM_NORMAL = 10
"""Fewer marked normal images than this say too little about how much normal images differ."""


@dataclass(frozen=True, slots=True)
class Added:
    """What `add_to_training` did."""

    folder: Path
    """Where the images are now: the folder itself or its folder of normal images."""
    added: int
    known: int
    """Left out, because an image of the same content was there."""
    unreadable: int
    """Left out, because the file is gone or cannot be read."""


def recalibrate(
    model_folder: str | Path,
    normal: Sequence[Path],
    anomalous: Sequence[Path],
    out_folder: str | Path,
    *,
    device: str = "auto",
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Calibration:
    """A copy of a model, calibrated on marked images it was not trained on; the copy appears whole in ``out_folder``.

    The networks stay as they are; what was measured of the old numbers is not said of the new ones. Where the marked anomalies do not
    stand out, the boundary comes from the normal images alone and its ``reason`` says so. Raises CalibrationError (too few images that
    were not trained on, the same image marked both ways), FolderError (``out_folder`` is in use), ModelError (the model cannot be read,
    the copy not be written).
    """
    model_folder, out_folder = Path(model_folder), Path(out_folder)
    _check_marks(normal, anomalous, read_origins(model_folder))
    if out_folder.exists() and (not out_folder.is_dir() or any(out_folder.iterdir())):
        raise FolderError(f"{out_folder} exists already. Choose another name for the new model.")
    model = load_model(model_folder, device=pick_device(device))
    config = model.config.override(**{"scoring.boundary": "auto"})
    found = calibrate_anew(model, normal, anomalous_paths=anomalous, name=out_folder.name, config=config, on_progress=on_progress)
    try:
        save_model(out_folder, model)
    except OSError as error:
        raise ModelError(f"{out_folder} cannot be written ({error.strerror}). Make room, or look at the permissions.") from error
    return found


def _check_marks(normal: Sequence[Path], anomalous: Sequence[Path], images: Origins) -> None:
    known, usual = ({digest for path in paths if (digest := _digest(path))} for paths in (anomalous, normal))  # a copy says nothing new
    fresh = {digest for digest in usual if not images.has_trained_on(digest)}
    why = f" The model was trained on {trained} that are marked normal; they do not count." if (trained := len(usual - fresh)) else ""
    for found, needed, word, key, more in (
        (len(known), MINIMUM_ANOMALOUS, "anomalous", "A", ""),
        (len(fresh), MINIMUM_NORMAL, "normal", "N", why),
    ):
        if found < needed:
            raise CalibrationError(
                f"{found} image{'' if found == 1 else 's'} marked {word} can be used; at least {needed} are needed.{more} "
                f"Mark {needed - found} more in the history (key {key}), then try again."
            )
    if both := known & usual:
        raise CalibrationError(f"{len(both)} image(s) are marked normal and anomalous. Decide for one, then try again.")


def _digest(path: Path) -> str | None:
    try:
        return content_hash(path)
    except ImageError:
        return None


def add_to_training(files: Iterable[tuple[Path, str]], folder: Path) -> Added:
    """Copy images (file, name to give it) among the normal images of a training folder, each content once.

    They go to train/good, train/normal, good or normal where there is one, as `data.folders.scan` looks for them, else into the
    folder itself. All copies are complete before the first one appears. Raises FolderError: no such folder, or it cannot be written.
    """
    place = _normal_place(folder)
    present = {path.name for path in place.iterdir()} if place.is_dir() else set()
    sizes = _by_size(list_images(place))
    staging = place / f".{uuid.uuid4().hex}.partial"
    try:
        staging.mkdir()
        staged, known, unreadable = _stage(files, staging, sizes, present)
        for path in staged:
            os.replace(path, place / path.name)
    except OSError as error:
        raise FolderError(f"{place} cannot be written ({error.strerror}). Choose another folder, or free some space.") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return Added(place, len(staged), known, unreadable)


def _normal_place(folder: Path) -> Path:
    if not folder.is_dir():
        raise FolderError(f"{folder} is not a folder. Name the folder of normal images that the model is trained on.")
    train = folder / "train"
    base = train if train.is_dir() else folder
    return next((base / name for name in NORMAL_NAMES if (base / name).is_dir()), base)


def _by_size(paths: Iterable[Path]) -> dict[int, list[Path]]:
    sizes: dict[int, list[Path]] = {}
    for path in filter(Path.is_file, paths):  # a broken link has no size
        sizes.setdefault(path.stat().st_size, []).append(path)
    return sizes


def _stage(
    files: Iterable[tuple[Path, str]], staging: Path, sizes: dict[int, list[Path]], present: set[str]
) -> tuple[list[Path], int, int]:
    """Copies of what is new, under names that are free; how many were known; how many could not be read."""
    staged: list[Path] = []
    known = unreadable = 0
    for path, name in files:
        try:
            digest = content_hash(path)
        except ImageError:
            unreadable += 1
            continue
        # Only files of the same size can have the same content; hashing them all would read a whole data set.
        alike = sizes.setdefault(path.stat().st_size, [])
        if any(_digest(other) == digest for other in alike):
            known += 1
            continue
        target = staging / _free_name(name, present)
        present.add(target.name)
        shutil.copyfile(path, target)
        alike.append(target)
        staged.append(target)
    return staged, known, unreadable


def _free_name(name: str, taken: set[str]) -> str:
    stem, suffix = Path(name).stem, Path(name).suffix
    tried, number = name, 2
    while tried in taken:
        tried, number = f"{stem}_{number}{suffix}", number + 1
    return tried
