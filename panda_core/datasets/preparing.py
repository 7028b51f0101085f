"""A data set as people have it on their disk -> one folder in MVTec layout, which everything else here understands."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from panda_core.config import Augment
from panda_core.datasets.building import build
from panda_core.datasets.catalogue import DATASETS, Dataset, augment_of
from panda_core.datasets.grouping import groups_of
from panda_core.datasets.layout import Layout, Source, fingerprint, mvtec
from panda_core.errors import FolderError

ROOT_VARIABLE = "PANDA_DATA"
"""Environment variable that names the folder of all data sets."""

_HOMES: dict[str, tuple[str, ...]] = {
    "mvtec_ad": ("mvtec_anomaly_detection", "mvtec_ad/mvtec_anomaly_detection"),
}
"""Where a set may lie below the root, other than in a folder of its own name: what archives and repositories are called."""
_LAYOUTS: dict[str, tuple[Layout, ...]] = {}
"""The layouts of a set other than MVTec's."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A category that is ready to train on and to measure with."""

    folder: Path
    """MVTec layout: train/good, test/good, test/<defect>, ground_truth/<defect>/<stem>_mask.png."""
    augment: Augment
    groups: Mapping[str, str]
    """Test image (path relative to ``folder``, with /) -> what it must be resampled with; empty: independent images."""
    fingerprint: str
    """SHA-256 over the sorted names and contents of all images and masks, 64 hex digits."""


def prepare(name: str, category: str, *, root: Path, place: Path, limit: int | None = None) -> Prepared:
    """Find ``category`` of the set ``name`` below ``root`` and bring it into MVTec layout.

    What lies in that layout already is returned where it is. Anything else, and every set with a ``limit``, is built in
    ``place/name/category`` (with a limit ``category-limit``): aside, then renamed, and used again while its source is unchanged.
    ``limit``: at most that many training images of each class and half as many test images, evenly spread.
    Raises FolderError: unknown names, a set that is not there (with where to get it), files that are damaged, no room.
    """
    dataset = dataset_of(name)
    if limit is not None and limit < 1:
        raise FolderError(f"The limit is {limit}; it must be at least 1 image of each class.")
    home, layout, source = _located(dataset, category, Path(root))
    folder, seal = home / category, ""
    if layout is not mvtec or limit is not None:
        folder = Path(place) / name / (category if limit is None else f"{category}-{limit}")
        seal = build(source, folder, limit=limit)
    return Prepared(folder, augment_of(name, category), groups_of(name, folder), seal or fingerprint(folder))


def dataset_of(name: str) -> Dataset:
    """The entry of the catalogue. Raises FolderError with the known names."""
    if name not in DATASETS:
        raise FolderError(f"There is no data set '{name}'. Known: {', '.join(DATASETS)}.")
    return DATASETS[name]


def source_of(name: str, category: str, root: Path) -> Source:
    """What is there of a category below ``root``, before anything is built. Raises FolderError as `prepare` does."""
    return _located(dataset_of(name), category, root)[2]


def data_root(given: Path | None = None) -> Path:
    """The folder of all data sets: ``given``, else $PANDA_DATA, else ``shared/datasets`` beside the repository.

    Raises FolderError, with how to set it, where none is given or what is given is no folder.
    """
    named = given or os.environ.get(ROOT_VARIABLE)
    if named:
        root = Path(named).expanduser()
        if not root.is_dir():
            raise FolderError(f"{root} is not a folder. Name the folder of your data sets with --data, or in {ROOT_VARIABLE}.")
        return root
    beside = Path(__file__).resolve().parents[2].parent / "shared" / "datasets"
    if not beside.is_dir():
        raise FolderError(f"No folder of data sets is known. Name one with --data DIR, or set {ROOT_VARIABLE}=DIR.")
    return beside


def _located(dataset: Dataset, category: str, root: Path) -> tuple[Path, Layout, Source]:
    """(folder of the set, layout, source): the first layout that fits, MVTec's before others."""
    if not root.is_dir():
        raise FolderError(f"{root} is not a folder. Name the folder of your data sets with --data, or in {ROOT_VARIABLE}.")
    if category not in dataset.categories:
        raise FolderError(f"{dataset.name} has no category '{category}'. Known: {', '.join(dataset.categories)}.")
    for home in _homes(dataset.name, root):
        for layout in (mvtec, *_LAYOUTS.get(dataset.name, ())):
            source = layout(home, category)
            if source is not None:
                return home, layout, source
    raise FolderError(
        f"{dataset.name}/{category} is not below {root}; looked in {', '.join((dataset.name, *_HOMES.get(dataset.name, ())))}. "
        f"Get it: {dataset.where} Licence: {dataset.licence}."
    )


def _homes(name: str, root: Path) -> Iterator[Path]:
    return (root / place for place in (name, *_HOMES.get(name, ())) if (root / place).is_dir())
