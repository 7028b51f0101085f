"""Image files -> samples of the usable ones, each content once, and why the others are left out."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from panda_core.data.depth import Picture, Stretch, stretch
from panda_core.data.images import content_hash, prepare, read_image
from panda_core.errors import ImageError

THUMBNAIL = 16
"""Pixels a side of the pictures that are compared to find near-duplicates."""

Thumbnail = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Problem:
    """A file that was left out, and why."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True)
class Unwanted(Problem):
    """An image that a person has asked not to use."""

    digest: str


@dataclass(frozen=True, slots=True)
class Repeated(Problem):
    """An image whose content another one has."""

    first: Path


class Sample(NamedTuple):
    """A readable image: SHA-256 of the file and THUMBNAIL² grey values in [-1, 1]."""

    path: Path
    digest: str
    thumbnail: Thumbnail


class Examined(Protocol):
    """What there is to know of an image in order to sort it."""

    @property
    def path(self) -> Path: ...
    @property
    def digest(self) -> str: ...


E = TypeVar("E", bound=Examined)


def sample_of(path: Path, image: Picture | None = None, *, deep: Stretch = stretch) -> Sample:
    """Reads, decodes (unless the image is given) and hashes one image. Raises ImageError."""
    thumbnail = prepare(read_image(path, deep=deep) if image is None else image, THUMBNAIL).mean(axis=0).ravel()
    return Sample(path, content_hash(path), thumbnail)


def usable(
    paths: Sequence[Path],
    *,
    examine: Callable[[Path], E],
    seen: dict[str, Path],
    problems: list[Problem],
    exclude: Collection[str],
    on_file: Callable[[int], None],
) -> list[E]:
    """What ``examine`` finds of the readable images whose content is neither in ``seen`` nor in ``exclude``.

    Adds to ``seen`` and ``problems``. ``on_file`` is called after each file and may raise to end it; examine raises ImageError only.
    """

    def attempt(path: Path) -> E | Problem:
        try:
            return examine(path)
        except ImageError as error:
            return Problem(path, error.reason)

    found: list[E] = []
    pool = ThreadPoolExecutor(min(4, os.cpu_count() or 1))
    try:
        for done, item in enumerate(pool.map(attempt, paths), start=1):
            on_file(done)
            if isinstance(item, Problem):
                problems.append(item)
            elif item.digest in exclude:
                problems.append(Unwanted(item.path, "left out by you", item.digest))
            elif item.digest in seen:
                problems.append(Repeated(item.path, f"has the same content as {seen[item.digest]}", seen[item.digest]))
            else:
                seen[item.digest] = item.path
                found.append(item)
    finally:
        pool.shutdown(cancel_futures=True)  # who ends the scan early does not wait for the files that are left
    return found
