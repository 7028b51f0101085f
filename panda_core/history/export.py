"""Marked images as a folder that `panda calibrate`, `panda evaluate` and `panda train` read: normal/ and anomalous/."""

from __future__ import annotations

import csv
import os
import shutil
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from panda_core.history.database import HistoryError
from panda_core.history.recording import intact
from panda_core.history.records import Entry, Mark, legible
from panda_core.history.store import History
from panda_core.spreadsheet import guard

MANIFEST = "manifest.csv"
COLUMNS = ("file", "mark", "who", "note", "model", "verdict", "score", "boundary", "inspected", "sha256", "read from")


@dataclass(frozen=True, slots=True)
class Exported:
    """How many images an export wrote."""

    normal: int
    anomalous: int
    missing: int
    """Marked images whose file is gone or has changed since, with no copy kept; they are left out."""


def export_marked(history: History, folder: Path, model: str | None = None) -> Exported:
    """Copy the images marked with ``model`` (None: any) into the new folder ``folder``, with a manifest of who said what.

    The folder appears whole or not at all. Raises HistoryError if it exists and is not empty, cannot be written, or nothing is marked.
    """
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise HistoryError(f"{folder} exists and is not an empty folder. Choose another name.")
    marks: tuple[Mark, ...] = ("normal", "anomalous")
    entries = {mark: history.marked_entries(model, mark) for mark in marks}
    if not any(entries.values()):
        raise HistoryError("No image is marked yet. Mark some in the history: N for normal, A for anomalous.")
    temporary = folder.parent / f".{folder.name}.{uuid.uuid4().hex}.partial"
    try:
        temporary.mkdir(parents=True)
        rows = {mark: _copy(found, temporary / mark) for mark, found in entries.items()}
        _write_manifest(temporary / MANIFEST, [row for part in rows.values() for row in part])
        if folder.exists():
            folder.rmdir()
        os.replace(temporary, folder)
    except OSError as error:
        raise HistoryError(f"{folder} cannot be written ({error.strerror}). Choose another folder, or free some space.") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    normal, anomalous = len(rows["normal"]), len(rows["anomalous"])
    return Exported(normal, anomalous, sum(map(len, entries.values())) - normal - anomalous)


def file_name(entry: Entry, file: Path) -> str:
    """A name for a copy of the entry's image: the image's own, made unique by its content."""
    stem = "".join(letter if letter.isalnum() or letter in "-_. " else "_" for letter in Path(entry.name).stem).strip(". ")
    return f"{stem[:80] or 'image'}_{entry.sha256[:10]}{file.suffix.lower()}"


def _copy(entries: Sequence[Entry], folder: Path) -> list[tuple[str, ...]]:
    """Copies what is left as it was inspected; returns the manifest's rows of it."""
    folder.mkdir()
    rows = []
    for entry in entries:
        file = intact(entry)
        if file is None:
            continue
        target = folder / file_name(entry, file)
        shutil.copyfile(file, target)
        rows.append(_manifest_row(entry, f"{folder.name}/{target.name}"))
    return rows


def _manifest_row(entry: Entry, file: str) -> tuple[str, ...]:
    words = (file, entry.mark or "", entry.marked_by, entry.note, entry.model, entry.verdict)
    numbers = (f"{entry.score:.6g}", f"{entry.boundary:.6g}")
    origin = legible(str(entry.path)) if entry.path else ""
    return (*map(guard, words), *numbers, entry.created.isoformat(timespec="seconds"), entry.sha256, guard(origin))


def _write_manifest(path: Path, rows: Sequence[tuple[str, ...]]) -> None:
    # With the byte order mark Excel knows the file for UTF-8.
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(rows)
