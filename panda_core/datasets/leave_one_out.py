"""Labelled arrays -> a folder where one class plays the anomaly and all others are normal (section IV-A of the paper)."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from panda_core.datasets.layout import Entry, Source
from panda_core.errors import FolderError


class Labelled(NamedTuple):
    """n x H x W (x 3) uint8 images and their n class numbers."""

    images: NDArray[Any]
    labels: NDArray[Any]


class Classes(NamedTuple):
    """A data set of arrays: its own training and test part, and what the class numbers are called."""

    train: Labelled
    test: Labelled
    names: tuple[str, ...]


def leave_out(data: Classes, category: str, *, where: Path) -> list[Entry]:
    """train/good: the training images of all other classes; test/good: their test images; test/<category>: the class itself.

    Training images of the class are not used at all. ``where`` is named in FolderError: other classes, odd arrays.
    """
    _check(data, category, where)
    entries = []
    for part, images in (("train", data.train), ("test", data.test)):
        for index, (pixels, label) in enumerate(zip(images.images, images.labels, strict=True)):
            kind = data.names[int(label)]
            folder = "good" if kind != category else category
            if part == "test" or folder == "good":
                entries.append(Entry(f"{part}/{folder}/{kind}_{index:05d}.png", pixels, kind=kind))
    return entries


def _check(data: Classes, category: str, where: Path) -> None:
    if category not in data.names:
        raise FolderError(f"{where} has the classes {', '.join(data.names)}, and no '{category}'.")
    for images, labels in (data.train, data.test):
        if images.dtype != np.uint8 or images.ndim not in (3, 4) or images.shape[3:] not in ((), (3,)):
            raise FolderError(f"{where} holds images of shape {images.shape} and type {images.dtype}; n x H x W (x 3) of uint8 is read.")
        if labels.shape != images.shape[:1] or not np.isin(labels, np.arange(len(data.names))).all():
            raise FolderError(f"{where} holds {len(images)} images but its labels are not as many numbers below {len(data.names)}.")


def from_npz(home: Path, category: str, names: Sequence[str]) -> Source | None:
    """One NumPy archive with x_train, y_train, x_test, y_test, and label_names unless they are ``names``; the first of several."""
    archive = next(iter(sorted(home.glob("*.npz"))), None)
    if archive is None:
        return None
    return Source((archive,), lambda: leave_out(_read_npz(archive, names), category, where=archive))


def _read_npz(archive: Path, names: Sequence[str]) -> Classes:
    try:
        with archive.open("rb") as file, np.load(file, allow_pickle=False) as held:
            train, test = (Labelled(held[f"x_{part}"], held[f"y_{part}"].reshape(-1)) for part in ("train", "test"))
            return Classes(train, test, tuple(map(str, held["label_names"])) if "label_names" in held else tuple(names))
    except (OSError, ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise FolderError(f"{archive} is damaged or no archive of x_train, y_train, x_test, y_test ({error}). Get it again.") from error
