"""An inspection on its way into the tables, and out of them."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

from panda_core.history.copies import Copies, digest_of, draw_png, draw_thumbnail, png_name, thumbnail_name
from panda_core.history.records import Entry, Mark, Source, fold, legible
from panda_core.history.tables import InspectionRow, MarkRow
from panda_core.inspection import BoundaryKind, Decision, Inspection, Verdict


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """One inspection to keep; the fields as `History.add` explains them."""

    inspection: Inspection
    decision: Decision
    path: Path | None = None
    name: str = ""
    fingerprint: str = ""
    keep: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A row whose files are written, but which nobody can see yet."""

    row: InspectionRow
    ensure: Callable[[], None]
    """Writes the files that have gone since: another program may have removed the last other entry of the same image."""


@dataclass(frozen=True, slots=True)
class _Image:
    digest: str
    kept: str | None
    again: Callable[[], object] = lambda: None


class Recorder:
    """Writes the files of new entries and makes their rows."""

    def __init__(self, copies: Copies) -> None:
        self._copies = copies

    def prepare(self, seen: Seen, *, source: Source, keep_copies: bool) -> Prepared:
        """The row of an inspection; copy and thumbnail are written. Raises HistoryError if they cannot be."""
        image = self._keep(seen, seen.keep and keep_copies)
        small = draw_thumbnail(seen.inspection.image) if keep_copies else None

        def ensure() -> None:
            if image.kept is not None and not self._copies.holds(image.kept):
                image.again()
            if small is not None:
                self._copies.keep_bytes(small, thumbnail_name(image.digest))

        ensure()
        return Prepared(_row(seen, image, source), ensure)

    def copy_passing(self, entries: Iterable[Entry]) -> Iterator[tuple[int, str]]:
        """Copy images that have no copy and lie among the system's temporary files, as uploads do: those will be deleted.

        Yields entries and the names of their copies. Raises HistoryError if a copy cannot be written.
        """
        passing = Path(tempfile.gettempdir()).resolve()
        for entry in entries:
            path = entry.path
            if entry.kept is None and path is not None and path.resolve().is_relative_to(passing) and intact(entry) == path:
                with suppress(OSError):  # it was deleted just now
                    yield entry.id, self._copies.keep(path)[1]

    def _keep(self, seen: Seen, copy: bool) -> _Image:
        path = seen.path
        if path is not None:
            try:
                if not copy:
                    return _Image(digest_of(path), None)
                digest, name = self._copies.keep(path)
                return _Image(digest, name, lambda: self._copies.keep(path))
            except OSError:
                pass  # the file has gone since it was inspected; its pixels have not
        content = draw_png(seen.inspection.image)
        digest = hashlib.sha256(content).hexdigest()
        if not copy:
            return _Image(digest, None)
        return _Image(digest, png_name(digest), lambda: self._copies.keep_bytes(content, png_name(digest)))


def _row(seen: Seen, image: _Image, source: Source) -> InspectionRow:
    inspection, decision = seen.inspection, seen.decision
    origin = seen.path or Path(inspection.source)
    name = legible(seen.name or origin.name or "image")
    height, width = inspection.image.shape[:2]
    return InspectionRow(
        created=datetime.now(UTC),
        sha256=image.digest,
        name=name,
        searched=fold(f"{name}\n{origin.parent}\n{inspection.model}"),
        path=seen.path,
        kept=image.kept,
        width=width,
        height=height,
        model=legible(inspection.model),
        fingerprint=legible(seen.fingerprint),
        score=float(inspection.score),
        gauge=inspection.gauge,
        boundary=float(decision.boundary.value),
        boundary_kind=decision.boundary.kind,
        pixel_threshold=float(decision.pixel_threshold),
        verdict=decision.verdict,
        p_value=inspection.p_value,
        regions=len(decision.regions),
        errors={error: float(value) for error, value in inspection.errors.items()},
        contributions={error: float(value) for error, value in inspection.contributions.items()},
        milliseconds=float(inspection.milliseconds),
        source=source,
    )


def read_entry(row: InspectionRow, mark: MarkRow | None, folder: Path) -> Entry:
    """The record of a row and its latest mark; ``folder``: of the copies."""
    return Entry(
        id=row.id,
        created=row.created,
        sha256=row.sha256,
        name=row.name,
        path=row.path,
        kept=None if row.kept is None else folder / row.kept,
        width=row.width,
        height=row.height,
        model=row.model,
        fingerprint=row.fingerprint,
        score=row.score,
        gauge=row.gauge,
        boundary=row.boundary,
        boundary_kind=cast(BoundaryKind, row.boundary_kind),
        pixel_threshold=row.pixel_threshold,
        verdict=cast(Verdict, row.verdict),
        p_value=row.p_value,
        regions=row.regions,
        errors=row.errors,
        contributions=row.contributions,
        milliseconds=row.milliseconds,
        source=cast(Source, row.source),
        mark=None if mark is None else cast(Mark | None, mark.mark),
        marked_by="" if mark is None or mark.mark is None else mark.who,
        note="" if mark is None or mark.mark is None else mark.note,
    )


def present(entry: Entry) -> Path | None:
    """A file of the entry's image that exists, not checked further: our copy, else the original; None if both are gone."""
    return next((path for path in (entry.kept, entry.path) if path is not None and path.is_file()), None)


def intact(entry: Entry) -> Path | None:
    """The entry's image as it was inspected: our copy, named by its content, else the original if it has that content still."""
    path = present(entry)
    try:
        return path if path is None or path == entry.kept or digest_of(path) == entry.sha256 else None
    except OSError:
        return None
