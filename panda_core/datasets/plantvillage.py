"""PlantVillage as it is published: one folder for each plant and disease, ``Apple___healthy``, ``Apple___Black_rot``.

It has no split of its own. A leaf was shot about four times in a row, so healthy images are split in blocks of shot numbers.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

from panda_core.data.images import list_images
from panda_core.datasets.layout import Entry, Source
from panda_core.datasets.splitting import Shot, split

BLOCK = 24
GAP = 2
"""Shots dropped at both sides of a border between training and test: four in all, one leaf."""

_PLACES = ("", "color", "raw/color", "plantvillage dataset/color")


def class_folders(home: Path, category: str) -> Source | None:
    """Class folders of one plant; "Cherry_(including_sour)___healthy" belongs to ``cherry``."""
    for place in (home / name for name in _PLACES):
        classes = _classes(place, category)
        if "healthy" in classes and len(classes) > 1:
            files = {name: list_images(folder, recursive=False) for name, folder in classes.items()}
            found = tuple(path for paths in files.values() for path in paths)
            return Source(found, partial(_entries, files), len(found))
    return None


def _classes(place: Path, plant: str) -> dict[str, Path]:
    """Disease (or "healthy") -> folder."""
    found = {}
    for folder in sorted(place.glob("*___*")):
        kind, _, disease = folder.name.partition("___")
        if folder.is_dir() and re.match(rf"{plant}(?![a-z])", kind.casefold()):
            found[re.sub(r"[\W_]+", "_", disease.casefold()).strip("_")] = folder
    return found


def _entries(files: dict[str, list[Path]]) -> list[Entry]:
    healthy = files["healthy"]
    train, test = split([shot_of(path) for path in healthy], block=BLOCK, gap=GAP)
    parts = {"train/good": [healthy[index] for index in train], "test/good": [healthy[index] for index in test]}
    parts |= {f"test/{disease}": paths for disease, paths in files.items() if disease != "healthy"}
    return [Entry(f"{part}/{path.name}", path) for part, paths in parts.items() for path in paths]


def shot_of(path: Path) -> Shot:
    """ "1f98b949-...___RS_HL 0456.JPG" -> series "RS_HL", number 456; "GH_HL Leaf 259.1" is shot 1 of leaf 259, number 259.

    A name that tells no number is a series of its own: then nothing is known about which images show one leaf.
    """
    found = re.match(r"(.*?\D)[ _](\d+)", path.stem.rpartition("___")[2])
    return Shot(found[1], int(found[2])) if found else Shot(path.stem, 0)
