"""ELPV as it is published: ``labels.csv`` with a line for each cell, path, probability of a defect, mono or poly."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import NamedTuple

from panda_core.datasets.layout import Entry, Source
from panda_core.datasets.splitting import Shot, split
from panda_core.errors import FolderError

BLOCK = 36
"""Consecutive cells that stay on one side: cells of one module are neighbours."""

_PLACES = ("", "src/elpv_dataset/data")


class Cell(NamedTuple):
    """One line: the worst case of what experts said, 0, 1/3, 2/3 or 1."""

    path: Path
    probability: float
    kind: str


def labels(home: Path, category: str) -> Source | None:
    """``labels.csv`` beside ``images/``, in ``home`` or where the repository has them."""
    for table in (home / place / "labels.csv" for place in _PLACES):
        if table.is_file():
            cells = [cell for cell in read_labels(table) if cell.kind == category]
            return Source((table, *(cell.path for cell in cells)), partial(_entries, cells), len(cells))
    return None


def read_labels(table: Path) -> list[Cell]:
    """The cells, in the order of their lines. Raises FolderError for a line that is none, or an image that is not there."""
    cells = []
    for number, line in enumerate(table.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        words = re.split(r"[\s,]+", line.strip())
        if words == [""]:
            continue
        try:
            path, probability, kind = words
            cells.append(Cell(table.parent / path, float(probability), kind))
        except ValueError:
            raise FolderError(f"{table}, line {number}: expected an image, a probability, mono or poly; found '{line[:80]}'.") from None
    missing = [cell.path for cell in cells if not cell.path.is_file()]
    if missing:
        raise FolderError(f"{table} names {len(missing)} images that are not there, the first: {missing[0]}. Copy its folder images/ too.")
    return cells


def _entries(cells: list[Cell]) -> list[Entry]:
    """0 is good, 2/3 likely defective, 1 defective; 1/3 is left out, because it is neither normal nor an anomaly for sure."""
    good = [cell for cell in cells if cell.probability < 0.1]
    train, test = split([_shot(cell) for cell in good], block=BLOCK)
    parts = {"train/good": [good[index] for index in train], "test/good": [good[index] for index in test]}
    parts["test/likely_defective"] = [cell for cell in cells if 0.6 < cell.probability < 0.9]
    parts["test/defective"] = [cell for cell in cells if cell.probability >= 0.9]
    return [Entry(f"{part}/{cell.path.name}", cell.path) for part, members in parts.items() for cell in members]


def _shot(cell: Cell) -> Shot:
    found = re.search(r"\d+", cell.path.stem)
    return Shot(cell.kind, int(found[0])) if found else Shot(cell.path.stem, 0)
