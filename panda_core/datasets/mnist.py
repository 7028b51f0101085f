"""MNIST: a NumPy archive, or the official IDX files, packed or not, in the folder itself or where torchvision puts them."""

from __future__ import annotations

import gzip
import math
import zlib
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from panda_core.datasets.layout import Entry, Source
from panda_core.datasets.leave_one_out import Classes, Labelled, from_npz, leave_out
from panda_core.errors import FolderError

DIGITS = tuple("0123456789")

_FILES = (("train-images", 3), ("train-labels", 1), ("t10k-images", 3), ("t10k-labels", 1))
_UNSIGNED_BYTE = 0x08
_LARGEST = 1 << 30


def archive(home: Path, category: str) -> Source | None:
    """``mnist.npz`` with x_train and so on."""
    return from_npz(home, category, DIGITS)


def idx(home: Path, category: str) -> Source | None:
    """The four files ``train-images-idx3-ubyte`` and so on, ``.gz`` or not; in ``home``, ``raw`` or ``MNIST/raw``."""
    for place in (home, home / "raw", home / "MNIST" / "raw"):
        found = [_find(place, stem, dimensions) for stem, dimensions in _FILES]
        files = tuple(path for path in found if path is not None)
        if len(files) == len(_FILES):
            return Source(files, partial(_entries, files, category))
    return None


def _find(place: Path, stem: str, dimensions: int) -> Path | None:
    names = (f"{stem}{sign}idx{dimensions}-ubyte{packed}" for sign in "-." for packed in ("", ".gz"))
    return next((place / name for name in names if (place / name).is_file()), None)


def _entries(files: tuple[Path, ...], category: str) -> list[Entry]:
    train_images, train_labels, test_images, test_labels = map(read_idx, files)
    digits = Classes(Labelled(train_images, train_labels), Labelled(test_images, test_labels), DIGITS)
    return leave_out(digits, category, where=files[0].parent)


def read_idx(path: Path) -> NDArray[Any]:
    """The array of unsigned bytes in an IDX file: two zero bytes, type, number of dimensions, each size big-endian, values.

    Raises FolderError if it is damaged, of another type, or larger than a gigabyte.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            zeros, kind, dimensions = file.read(2), *file.read(2)
            shape = tuple(int.from_bytes(file.read(4), "big") for _ in range(dimensions))
            size = math.prod(shape)
            if zeros != b"\0\0" or kind != _UNSIGNED_BYTE or not 0 < size <= _LARGEST:
                raise ValueError(f"its header says type {kind} and shape {shape}")
            values = file.read(size)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise FolderError(f"{path} is not a whole IDX file of bytes: {error}. Get it again.") from error
    if len(values) != size:
        raise FolderError(f"{path} is truncated: {len(values):,} of {size:,} values. Get it again.")
    return np.frombuffer(values, np.uint8).reshape(shape)
