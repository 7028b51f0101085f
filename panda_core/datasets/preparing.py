"""A data set as people have it on their disk -> one folder in MVTec layout, which everything else here understands."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from panda_core.config import Augment
from panda_core.datasets import cifar, elpv, magnetic_tile, mnist, plantvillage, ucsd_ped1
from panda_core.datasets.building import build
from panda_core.datasets.catalogue import DATASETS, Dataset, augment_of
from panda_core.datasets.grouping import groups_of
from panda_core.datasets.layout import Layout, Source, fingerprint, mvtec
from panda_core.errors import FolderError

ROOT_VARIABLE = "PANDA_DATA"
"""Environment variable that names the folder of all data sets."""

_HOMES: dict[str, tuple[str, ...]] = {
    "plantvillage": ("PlantVillage", "PlantVillage-Dataset", "plantvillage/PlantVillage-Dataset"),
    "elpv": ("elpv-dataset", "elpv/elpv-dataset"),
    "mvtec_ad": ("mvtec_anomaly_detection", "mvtec_ad/mvtec_anomaly_detection"),
    "magnetic_tile": ("Magnetic-tile-defect-datasets", "magnetic_tile/Magnetic-tile-defect-datasets"),
    "ucsd_ped1": ("UCSD_Anomaly_Dataset.v1p2", "UCSDped1"),
    "mnist": ("MNIST",),
    "cifar10": ("cifar-10-batches-py",),
}
"""Where a set may lie below the root, other than in a folder of its own name: what archives and repositories are called."""
_LAYOUTS: dict[str, tuple[Layout, ...]] = {
    "plantvillage": (plantvillage.class_folders,),
    "elpv": (elpv.labels,),
    "magnetic_tile": (magnetic_tile.imgs_folders,),
    "ucsd_ped1": (ucsd_ped1.clips,),
    "mnist": (mnist.archive, mnist.idx),
    "cifar10": (cifar.archive, cifar.batches),
}
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
    found = _locate(dataset, category, Path(root))
    if found is None:
        raise FolderError(_missing(dataset, category, Path(root)))
    home, layout, source = found
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


def find(name: str, category: str, root: Path) -> Source | None:
    """What lies below ``root`` of a category, before anything is built. Raises FolderError for unknown names and damaged tables."""
    found = _locate(dataset_of(name), category, root)
    return found[2] if found else None


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


def _locate(dataset: Dataset, category: str, root: Path) -> tuple[Path, Layout, Source] | None:
    """(folder of the set, layout, source): the first layout that fits, MVTec's before others."""
    if not root.is_dir():
        raise FolderError(f"{root} is not a folder. Name the folder of your data sets with --data, or in {ROOT_VARIABLE}.")
    if category not in dataset.categories:
        raise FolderError(f"{dataset.name} has no category '{category}'. Known: {', '.join(dataset.categories)}.")
    for home in filter(Path.is_dir, (root / place for place in _homes(dataset.name))):
        for layout in (mvtec, *_LAYOUTS.get(dataset.name, ())):
            source = layout(home, category)
            if source is not None:
                return home, layout, source
    return None


def _homes(name: str) -> tuple[str, ...]:
    return name, *_HOMES.get(name, ())


def _missing(dataset: Dataset, category: str, root: Path) -> str:
    places = ", ".join(f"{place}/" for place in _homes(dataset.name))
    return (
        f"{dataset.name}, {category}, was not found below {root}; looked in {places}. Get it: {dataset.where} Licence: {dataset.licence}."
    )
