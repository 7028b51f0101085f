"""Which images of a folder are to be inspected: not the true masks of a data set, and not what an earlier inspection wrote."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from functools import cache
from pathlib import Path

TABLE = "results.csv"
PARTS = {"overlay": "overlays", "mask": "masks"}
"""Columns of the table of results of `panda inspect --out`, and the folders beside it of the files that they name."""
OURS = {"path", "score", "verdict", "boundary_kind"}
"""Columns of every table of results that this program has ever written."""


def choose(folder: Path, images: Iterable[Path], written: Collection[Path] = ()) -> tuple[list[Path], dict[Path, tuple[int, str]]]:
    """The images below ``folder`` to inspect; and of those left out, by the folder they lie in, how many and what they are.

    ``written``: resolved folders that are going to be written, or were.
    """
    why = cache(lambda place: _why_not(place, written))
    kept: list[Path] = []
    left_out: Counter[Path] = Counter()
    for image in images:
        below = [folder / place for place in image.relative_to(folder).parents][-2::-1]  # from the outermost, without the folder itself
        unwanted = next((place for place in below if why(place)), None)
        if unwanted is None:
            kept.append(image)
        else:
            left_out[unwanted] += 1
    return kept, {place: (count, why(place)) for place, count in left_out.items()}


def read_results(file: Path) -> tuple[Sequence[str], list[dict[str, str]]]:
    """Header and rows of a table; nothing of what is no table."""
    if not file.is_file():
        return (), []
    try:
        with file.open(newline="", encoding="utf-8-sig") as text:
            reader = csv.DictReader(text)
            return reader.fieldnames or (), list(reader)
    except (OSError, ValueError, csv.Error):
        return (), []


def _holds_results(folder: Path) -> bool:
    """Whether a table of results of this program lies in the folder."""
    return set(read_results(folder / TABLE)[0]) >= OURS


def _why_not(place: Path, written: Collection[Path]) -> str:
    """What the images of a folder are that are not to be inspected; "" for all others."""
    if place.name == "ground_truth" and any((place.parent / part).is_dir() for part in ("train", "test")):
        return "the true masks of a data set"
    if place.name in PARTS.values() and (_holds_results(place.parent) or place.resolve() in written):
        return "the results of an earlier inspection"
    return ""
