"""Which images a model was made of, so that nobody measures it with them, or calibrates it with what it was trained on, unawares.

Kept in the model's tensor file as the first bytes of each image file's SHA-256. No image can be had from them; whoever has the same file
can tell that it was used. An image that was saved anew is another file, and is not recognised.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from panda_core.card import TENSOR_FILE
from panda_core.errors import ModelError

PREFIX = "images."
"""Of the arrays in a model's tensor file."""
LENGTH = 8
"""Bytes kept of a SHA-256: among a million images two are alike with a chance of 1 in 37 million."""
_NAMES = ("trained", "calibrated")


@dataclass(frozen=True, slots=True)
class Origins:
    """The images of a model. Models from before 28 November 2026 do not know theirs: both are empty."""

    trained: frozenset[bytes] = frozenset()
    """Normal images that the networks were trained on, those of the model it was fine-tuned from included."""
    calibrated: frozenset[bytes] = frozenset()
    """Normal images held out, and known anomalies, that score and boundary were fitted on."""

    @classmethod
    def of(cls, *, trained: Iterable[str] = (), calibrated: Iterable[str] = ()) -> Origins:
        """From SHA-256s of files, 64 hex digits each (`data.images.content_hash`)."""
        return cls(frozenset(map(_short, trained)), frozenset(map(_short, calibrated)))

    def has_trained_on(self, digest: str) -> bool:
        """``digest``: SHA-256, 64 hex digits."""
        return _short(digest) in self.trained

    def knows(self, digest: str) -> bool:
        """Whether the image was trained or calibrated on."""
        return _short(digest) in self.trained or _short(digest) in self.calibrated

    def rank(self, digest: str) -> int:
        """In which order images are held out from the training of a child: what was held out before, what is new, what was trained on.

        New ones not first: who adds images to a folder wants them learned.
        """
        short = _short(digest)
        return 2 if short in self.trained else 0 if short in self.calibrated else 1

    def to_arrays(self) -> dict[str, NDArray[np.uint8]]:
        """By name, n x LENGTH each, in ascending order; none for an empty set."""
        return {f"{PREFIX}{name}": _packed(found) for name in _NAMES if (found := getattr(self, name))}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.uint8]]) -> Origins:
        """Inverse of `to_arrays`. Raises ModelError on an array of another name or shape."""
        for name, array in arrays.items():
            if name.removeprefix(PREFIX) not in _NAMES or array.dtype != np.uint8 or array.shape[1:] != (LENGTH,):
                raise ModelError(f"tensor '{name}' is no list of images. Copy the whole model folder again.")
        return cls(**{name.removeprefix(PREFIX): frozenset(row.tobytes() for row in array) for name, array in arrays.items()})


UNKNOWN = Origins()


def read_origins(folder: Path) -> Origins:
    """Those of the model in ``folder``, without its networks. Raises ModelError where the file cannot be read."""
    path = folder / TENSOR_FILE
    try:
        with safe_open(path, framework="numpy") as file:
            return Origins.from_arrays({name: file.get_tensor(name) for name in file.keys() if name.startswith(PREFIX)})  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path} cannot be read. Copy the whole model folder again.") from error


def _short(digest: str) -> bytes:
    return bytes.fromhex(digest)[:LENGTH]


def _packed(found: Iterable[bytes]) -> NDArray[np.uint8]:
    return np.frombuffer(b"".join(sorted(found)), np.uint8).reshape(-1, LENGTH).copy()
