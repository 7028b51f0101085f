"""What an adapter says of a data set: which files it reads, and the entries of the MVTec-layout folder they become.

Listing the files is cheap and happens at every call; planning may decode images and happens only when a folder is built.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from panda_core.data.folders import mask_of
from panda_core.data.images import list_images
from panda_core.errors import FolderError

PARTS = ("train", "test", "ground_truth")


@dataclass(frozen=True, slots=True)
class Entry:
    """One image of the folder to be: ``name`` is its path there, e.g. ``test/crack/7.jpg``."""

    name: str
    content: Path | NDArray[Any]
    """A file to be linked or copied, or H x W (x 3) uint8 pixels to be written as PNG."""
    mask: Path | None = None
    """Where the anomaly is, as any image file: brighter than half its maximum."""
    kind: str = ""
    """Entries of one folder and one kind are one class to `cap`; leave-one-out sets mix nine digits in one folder."""


@dataclass(frozen=True, slots=True)
class Source:
    """A category that was found on the disk."""

    files: tuple[Path, ...]
    """All files it is made of: when one of them changes, a folder built from them is out of date."""
    plan: Callable[[], Sequence[Entry]]
    images: int | None = None
    """How many, where listing the files tells."""


Layout = Callable[[Path, str], Source | None]
"""(folder of the data set, category) -> what is there in one particular layout; None where it is another one."""


def mvtec(home: Path, category: str) -> Source | None:
    """MVTec layout, ``home/category/train/good`` beside ``test``: the curated subsets and the official MVTec AD."""
    folder = home / category
    if not ((folder / "train" / "good").is_dir() and (folder / "test").is_dir()):
        return None
    files = tuple(images_of(folder))
    return Source(files, partial(_listed, folder), sum(path.relative_to(folder).parts[0] != PARTS[2] for path in files))


def images_of(folder: Path) -> list[Path]:
    """All images of a folder in MVTec layout, masks too."""
    return [path for part in PARTS if (folder / part).is_dir() for path in list_images(folder / part)]


def require_files(files: Sequence[Path]) -> Sequence[Path]:
    """The same files of a data set, all of them there. Raises FolderError that names the first broken link or pipe among them."""
    lost = next((path for path in files if not path.is_file()), None)
    if lost is not None:
        raise FolderError(
            f"{lost} is a broken link or no regular file, so the data set is not complete. Bring the file back, or delete it."
        )
    return files


def _listed(folder: Path) -> list[Entry]:
    images = [path for part in ("train", "test") for path in list_images(folder / part)]
    return [Entry(path.relative_to(folder).as_posix(), path, mask_of(path)) for path in images]


def cap(entries: Iterable[Entry], limit: int | None) -> list[Entry]:
    """At most ``limit`` >= 1 training and half as many test images (at least one) of each class, spread evenly; None keeps all."""
    entries = list(entries)
    if limit is None:
        return entries
    classes: dict[tuple[str, str], list[Entry]] = defaultdict(list)
    for entry in entries:
        classes[entry.name.rpartition("/")[0], entry.kind].append(entry)
    kept: list[Entry] = []
    for (folder, _), members in classes.items():
        most = limit if folder.startswith("train") else max(1, limit // 2)
        kept += spread(members, most)
    return kept


def spread(members: Sequence[Entry], most: int) -> list[Entry]:
    """``most`` of the members at equal distances: neighbours in a data set are often shots of one thing."""
    return [members[index * len(members) // most] for index in range(most)] if most < len(members) else list(members)


def fingerprint(folder: Path) -> str:
    """SHA-256 over the sorted relative names and content hashes of the images and masks of a folder in MVTec layout. Raises FolderError."""
    lines = []
    for path in require_files(images_of(folder)):
        with path.open("rb") as file:
            lines.append(f"{path.relative_to(folder).as_posix()} {hashlib.file_digest(file, 'sha256').hexdigest()}")
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()
