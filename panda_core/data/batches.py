"""(seed, step) -> a batch of training images. No state to save: a resumed training asks for the same step and gets the same batch.

One thread decodes, augments and looks one step ahead; it alone touches the cache, so nothing needs a lock.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np
from numpy.typing import NDArray

from panda_core.config import Augment
from panda_core.data.depth import Picture, Stretch, stretch
from panda_core.data.images import normalise, read_image, resize
from panda_core.data.samples import Problem
from panda_core.errors import FolderError, ImageError

CACHE_BYTES = 2 << 30
"""Default budget in bytes for decoded images."""
IDENTITY_CHANCE = 0.1
"""Share of images that flip-rotate leaves unturned: inference sees unturned images only."""

_Key = tuple[int, int, int]


class Batches:
    """Endless batches over ``paths``: every image once per epoch, each epoch in its own seeded order, laid end to end.

    ``augment``: ``none``; ``flip`` (left-right); ``flip-rotate`` (both flips and any angle, mirrored at the border).
    ``deep``: what makes 8 bits of deeper values.
    A file that can no longer be read is replaced by the next path and reported once in ``problems``.
    Close it (or use it as a context manager) to end its thread.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        *,
        size: int,
        augment: Augment,
        batch: int,
        seed: int,
        deep: Stretch = stretch,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        if not paths:
            raise FolderError("There are no images to train on. Give a folder with normal images.")
        self.paths, self.size, self.augment, self.batch, self.seed = tuple(paths), size, augment, batch, seed
        self.problems: list[Problem] = []
        self._deep = deep
        self._free_bytes = cache_bytes
        self._cache: dict[int, Picture] = {}
        self._unreadable: set[int] = set()
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="batches")
        self._ahead: tuple[_Key, Future[NDArray[np.float32]]] | None = None
        self._order = lru_cache(maxsize=2)(self._permute)

    def at(self, step: int, *, rank: int = 0, world: int = 1) -> NDArray[np.float32]:
        """B x 3 x size x size float32 in [-1, 1]: this rank's contiguous part of the global batch of ``step``.

        The parts of all ranks, in order, are the batch of a single process; B = batch / world, the first ranks taking one
        more where it does not divide. Raises FolderError once no image can be read any more.
        """
        key = (step, rank, world)
        if self._ahead is None or self._ahead[0] != key:
            self._discard()
            self._ahead = key, self._worker.submit(self._make, *key)
        batch = self._ahead[1].result()
        following = (step + 1, rank, world)
        self._ahead = following, self._worker.submit(self._make, *following)
        return batch

    def close(self) -> None:
        """Ends the thread; `at` may not be called again."""
        self._discard()
        self._worker.shutdown(wait=True, cancel_futures=True)

    def __enter__(self) -> Batches:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _discard(self) -> None:
        if self._ahead is not None:
            self._ahead[1].cancel()
            self._ahead = None

    def _make(self, step: int, rank: int, world: int) -> NDArray[np.float32]:
        positions = np.array_split(np.arange(step * self.batch, (step + 1) * self.batch), world)[rank]
        images = [self._image(int(position)) for position in positions]
        return np.stack(images) if images else np.zeros((0, 3, self.size, self.size), np.float32)

    def _image(self, position: int) -> NDArray[np.float32]:
        """The augmented image at a place of the endless sequence; its randomness depends on seed and place alone."""
        epoch, place = divmod(position, len(self.paths))
        image = self._readable(int(self._order(epoch)[place]))
        rng = np.random.default_rng([self.seed, 1, position])
        if self.augment == "flip-rotate":
            image = _turn(image, rng)
        elif self.augment == "flip" and rng.random() < 0.5:
            image = image[:, ::-1]
        return normalise(resize(np.ascontiguousarray(image), self.size))

    def _permute(self, epoch: int) -> NDArray[np.intp]:
        return np.random.default_rng([self.seed, 0, epoch]).permutation(len(self.paths))

    def _readable(self, index: int) -> Picture:
        for step in range(len(self.paths)):
            image = self._decoded((index + step) % len(self.paths))
            if image is not None:
                return image
        raise FolderError(f"None of the {len(self.paths)} training images can be read any more; the first: {self.problems[0].path}.")

    def _decoded(self, index: int) -> Picture | None:
        """The image at working size, from the cache where it is; None if it cannot be read."""
        if index in self._cache or index in self._unreadable:
            return self._cache.get(index)
        try:
            image = self._shrink(read_image(self.paths[index], deep=self._deep))
        except ImageError as error:
            self._unreadable.add(index)
            self.problems.append(Problem(self.paths[index], error.reason))
            return None
        # First come, first kept: every image is asked for equally often, so evicting one for another gains nothing.
        if image.nbytes <= self._free_bytes:
            self._free_bytes -= image.nbytes
            self._cache[index] = image
        return image

    def _shrink(self, image: Picture) -> Picture:
        """To ``size``; for rotation up to twice that, so that interpolation blurs below what the networks see."""
        finest = 2 * self.size if self.augment == "flip-rotate" else self.size
        return resize(image, min(max(self.size, *image.shape[:2]), finest))


def _turn(image: Picture, rng: np.random.Generator) -> Picture:
    """S x S x 3 flipped in both directions at random and turned by any angle about its centre, mirrored at the border."""
    for axis in (0, 1):
        image = np.flip(image, axis) if rng.random() < 0.5 else image
    angle = rng.uniform(0.0, 2 * math.pi)
    if rng.random() < IDENTITY_CHANCE:
        return image
    size, cosine, sine = image.shape[0], math.cos(angle), math.sin(angle)
    centre = (size - 1) / 2
    matrix = np.array([[cosine, sine, centre * (1 - cosine - sine)], [-sine, cosine, centre * (1 - cosine + sine)]])
    turned = cv2.warpAffine(np.ascontiguousarray(image), matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    return np.asarray(turned, np.uint8)
