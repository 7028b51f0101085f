"""CIFAR-10: a NumPy archive, or the official Python pickles, of which nothing but plain data is loaded.

A pickle is a program for its reader. This reader knows the three names that numpy arrays are made of and refuses all others,
so the worst a foreign file can do is to be an error.
"""

from __future__ import annotations

import pickle
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from panda_core.datasets.catalogue import DATASETS
from panda_core.datasets.layout import Entry, Source
from panda_core.datasets.leave_one_out import Classes, Labelled, from_npz, leave_out
from panda_core.errors import FolderError

_FILES = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch")
_SHAPE = (3, 32, 32)

_ARRAY_PARTS: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    # numpy's own rebuilding function, taken from an array because its module is private and has moved.
    ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
    ("numpy._core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
}


class _PlainUnpickler(pickle.Unpickler):
    """Numbers, text, bytes, lists, dicts and numpy arrays; any other name is refused before it is imported."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ARRAY_PARTS:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which plain data never does")
        return _ARRAY_PARTS[module, name]


def archive(home: Path, category: str) -> Source | None:
    """An ``.npz`` with x_train and so on."""
    return from_npz(home, category, DATASETS["cifar10"].categories)


def batches(home: Path, category: str) -> Source | None:
    """``data_batch_1`` to ``5`` and ``test_batch``, in ``cifar-10-batches-py`` or in ``home`` itself."""
    for place in (home / "cifar-10-batches-py", home):
        files = tuple(place / name for name in _FILES)
        if all(path.is_file() for path in files):
            return Source(files, partial(_entries, files, category))
    return None


def _entries(files: tuple[Path, ...], category: str) -> list[Entry]:
    parts = [read_batch(path) for path in files]
    train = Labelled(np.concatenate([part.images for part in parts[:-1]]), np.concatenate([part.labels for part in parts[:-1]]))
    return leave_out(Classes(train, parts[-1], DATASETS["cifar10"].categories), category, where=files[0].parent)


def read_batch(path: Path) -> Labelled:
    """n x 32 x 32 x 3 images and n labels of one pickle: ``data`` is n x 3072 with red, green and blue planes, ``labels`` a list.

    Raises FolderError if it is damaged, or asks for anything but plain data: such a file is hostile or not CIFAR-10.
    """
    try:
        with path.open("rb") as file:
            held = _PlainUnpickler(file, encoding="bytes").load()
        return Labelled(_pixels(_value(held, "data")), np.asarray(_value(held, "labels"), np.int64))
    except Exception as error:  # damaged pickles raise whatever comes
        raise FolderError(f"{path} was not loaded: {error}. Get cifar-10-python.tar.gz again from its source.") from error


def _value(held: Any, key: str) -> Any:
    """The official files were written by Python 2, so their keys are bytes."""
    if not isinstance(held, dict) or not {key, key.encode()} & held.keys():
        raise ValueError(f"it holds no {key}")
    return held[key.encode()] if key.encode() in held else held[key]


def _pixels(values: Any) -> NDArray[np.uint8]:
    if not isinstance(values, np.ndarray) or values.dtype != np.uint8:
        raise ValueError("its data are no array of bytes")
    return np.ascontiguousarray(values.reshape(-1, *_SHAPE).transpose(0, 2, 3, 1))
