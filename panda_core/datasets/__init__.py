"""A stand-in until the data sets' own part is merged: sets that lie in MVTec layout below the root, nothing else."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from panda_core.config import Augment
from panda_core.data.images import content_hash
from panda_core.errors import FolderError


@dataclass(frozen=True, slots=True)
class Dataset:
    """What is prepared, and how it may be turned."""

    categories: tuple[str, ...]
    augment: Augment


@dataclass(frozen=True, slots=True)
class Prepared:
    """A category in MVTec layout."""

    folder: Path
    augment: Augment
    groups: Mapping[str, str]
    fingerprint: str


CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
DATASETS: dict[str, Dataset] = {
    "plantvillage": Dataset(("apple", "grape", "tomato"), "flip-rotate"),
    "elpv": Dataset(("mono",), "flip"),
    "mvtec_ad": Dataset(("bottle",), "flip-rotate"),
    "magnetic_tile": Dataset(("tile",), "flip"),
    "sixray_tip": Dataset(("baggage",), "flip"),
    "ucsd_ped1": Dataset(("ped1",), "flip"),
    "mnist": Dataset(tuple("0123456789"), "none"),
    "cifar10": Dataset(CLASSES, "flip"),
}


def data_root(given: Path | None = None) -> Path:
    """``given``, or $PANDA_DATA. Raises FolderError."""
    named = given or os.environ.get("PANDA_DATA")
    if not named or not Path(named).is_dir():
        raise FolderError("No folder of data sets is known. Name one with --data DIR, or set PANDA_DATA=DIR.")
    return Path(named)


def prepare(name: str, category: str, *, root: Path, place: Path, limit: int | None = None) -> Prepared:
    """The folder ``root/name/category``; ``limit`` is not heeded. Raises FolderError where it is not there."""
    folder = root / name / category
    if name not in DATASETS or not (folder / "train" / "good").is_dir():
        raise FolderError(f"{name}/{category} is not below {root}.")
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    lines = [f"{path.relative_to(folder).as_posix()} {content_hash(path)}" for path in files]
    names = [path.relative_to(folder).as_posix() for path in (folder / "test").rglob("N*.jpg")]
    groups = {test: f"bag{(int(Path(test).name[1:8]) - 2) // 3}" for test in names} if name == "sixray_tip" else {}
    return Prepared(folder, DATASETS[name].augment, groups, hashlib.sha256("\n".join(lines).encode()).hexdigest())
