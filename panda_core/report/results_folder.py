"""The folder that ``panda inspect --out`` writes: results.csv, overlays/ and masks/, of one run and no other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from panda_core.batch.choosing import OURS, PARTS, TABLE, read_results
from panda_core.errors import PandaError
from panda_core.inspection import Decision, Inspection
from panda_core.rendering import mask_picture, overlay
from panda_core.report.files import Names, whole_file
from panda_core.report.pictures import encode_png
from panda_core.report.tables import COLUMNS, write_csv


class ResultsFolder:
    """Takes what a run finds, image by image; files of equal names get numbers."""

    def __init__(self, folder: Path) -> None:
        """Makes the folder, and clears away the files of the earlier run whose results.csv lies there.

        Raises PandaError where it cannot be written, or does not say which files are an earlier run's.
        """
        self.folder = folder
        self._names = Names()
        try:
            for file in _earlier(folder):
                file.unlink(missing_ok=True)
            for part in PARTS.values():
                (folder / part).mkdir(parents=True, exist_ok=True)
            self.write(())  # an inspection of the folder above leaves the pictures out, however this run ends
        except OSError as error:
            raise PandaError(f"{folder} cannot be written: {error.strerror}. Choose another --out folder.") from error

    def add(self, source: Path, inspection: Inspection, decision: Decision) -> dict[str, str]:
        """Write overlay and mask of one image; returns where, relative to the folder, by column. Raises PandaError."""
        name = self._names.take(source.stem)
        places = {column: f"{part}/{name}.png" for column, part in PARTS.items()}
        pictures = {"overlay": overlay(inspection, decision), "mask": mask_picture(decision)}
        for column, place in places.items():
            with whole_file(self.folder / place) as file:
                file.write(encode_png(pictures[column]))
        return places

    def write(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Write the table, which appears whole. Raises PandaError."""
        write_csv(self.folder / TABLE, records, columns=(*COLUMNS[:-1], *PARTS, COLUMNS[-1]))


def _earlier(folder: Path) -> list[Path]:
    """The table of an earlier run and the pictures that it names. Raises PandaError where it names none, and OSError."""
    table = folder / TABLE
    if not table.exists():
        return []
    header, rows = read_results(table)
    if not set(header) >= {*OURS, *PARTS}:
        raise PandaError(f"{table} does not say which pictures belong to it. Choose another --out folder, or move what lies in this one.")
    named = [(part, row.get(column) or "") for row in rows for column, part in PARTS.items()]
    return [table, *(folder / name for part, name in named if name == f"{part}/{Path(name).name}")]
