"""`History`: what the program does with its memory of inspections."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.orm import Session

from panda_core.history import search
from panda_core.history.copies import Copies, digest_of, thumbnail_name
from panda_core.history.database import HistoryError, explained, open_database
from panda_core.history.recording import Recorder, Seen, intact, read_entry
from panda_core.history.records import Entry, Mark, Page, Query, Settings, Source, Statistics, legible
from panda_core.history.tables import InspectionRow, MarkRow, SettingsRow
from panda_core.inspection import Decision, Inspection, Verdict
from panda_core.places import home

MOST_ROWS = 1000
"""Entries a page may hold."""
UNDO = timedelta(days=1)
"""How long a deleted entry can be brought back, if nobody purges before."""
_CHUNK = 500
"""Ids in one statement; SQLite takes a limited number of values."""


class History:
    """Every inspection, searchable. One object serves all threads; several programs may open the same file."""

    def __init__(self, path: Path | None = None) -> None:
        """``path``: the database, by default history.sqlite in `places.home`; made where there is none. Raises HistoryError."""
        self.path = home() / "history.sqlite" if path is None else Path(path)
        self.copies = Copies(self.path.parent / "history")
        self._reading = open_database(self.path)
        self._writing = self._reading.execution_options(writes=True)
        self._recorder = Recorder(self.copies)

    def close(self) -> None:
        """Let go of the file. The history can be used afterwards; it opens the file again."""
        self._reading.dispose()

    def __enter__(self) -> History:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def add(
        self,
        inspection: Inspection,
        decision: Decision,
        *,
        path: Path | None = None,
        source: Source = "single",
        name: str = "",
        fingerprint: str = "",
        keep: bool = True,
    ) -> int:
        """Keep an inspection; returns its entry's id. Raises HistoryError.

        ``path``: the image file, copied if the setting and ``keep`` say so; None for a bare array, copied as PNG. ``name``: shown
        instead of the file's; ``fingerprint``: of the model. With ``keep`` False only the thumbnail is made.
        """
        return self.add_many([Seen(inspection, decision, path, name, fingerprint, keep)], source=source)[0]

    def add_many(self, items: Iterable[Seen], *, source: Source) -> list[int]:
        """Keep inspections: all or none. Of lazy ``items`` the thumbnail is held and, without a file, the PNG. Raises HistoryError."""
        settings = self.settings()
        prepared = [self._recorder.prepare(self._renamed(item), source=source, keep_copies=settings.keep_copies) for item in items]
        with self._write() as session:
            for one in prepared:
                one.ensure()
            session.add_all(rows := [one.row for one in prepared])
            session.flush()
            return [row.id for row in rows]

    def mark(self, ids: int | Iterable[int], mark: Mark, *, who: str = "", note: str = "") -> None:
        """Say what the image really is. Earlier marks are kept; the latest counts. Raises HistoryError for an unknown entry.

        A mark is worth what is left of its image: one that will be deleted, as uploads are, is copied now, if the setting says so.
        Raises HistoryError if that copy cannot be written, too; then nothing is marked.
        """
        self._say(ids, mark, who, note)

    def unmark(self, ids: int | Iterable[int], *, who: str = "") -> None:
        """Take the mark back. Raises HistoryError for an unknown entry."""
        self._say(ids, None, who, "")

    def search(self, query: Query | None = None, *, limit: int = 100, offset: int = 0) -> Page:
        """A page of at most ``limit`` (1 to MOST_ROWS) entries from ``offset`` on, and how many there are in all."""
        statement = search.found_by(query or Query())
        limit, offset = min(max(limit, 1), MOST_ROWS), max(offset, 0)
        with self._read() as session:
            total = session.scalar(statement.order_by(None).with_only_columns(func.count()))
            rows = session.execute(statement.limit(limit).offset(offset)).all()
            return Page(tuple(self._entry(row, mark) for row, mark in rows), total or 0, offset)

    def get(self, id: int) -> Entry:
        """One entry. Raises HistoryError if there is none, or it was deleted."""
        with self._read() as session:
            found = session.execute(search.current().where(InspectionRow.id == id)).one_or_none()
            if found is None:
                raise HistoryError(f"There is no entry {id} in the history any more. Search again to see what there is.")
            return self._entry(found[0], found[1])

    def marks(self, id: int) -> list[tuple[datetime, Mark | None, str, str]]:
        """All marks of an entry, oldest first: time, mark (None: taken back), who, note."""
        with self._read() as session:
            rows = session.scalars(select(MarkRow).where(MarkRow.inspection_id == id).order_by(MarkRow.id))
            return [(row.created, row.mark, row.who, row.note) for row in rows]  # type: ignore[misc]  # the database checks the words

    def file(self, id: int) -> Path:
        """The image of an entry, byte for byte as it was inspected: the original, else our copy. Raises HistoryError if neither is left."""
        entry = self.get(id)
        changed = False
        for path in (entry.path, entry.kept):
            try:
                if path is not None and digest_of(path) == entry.sha256:
                    return path
                changed = changed or path is not None
            except OSError:
                continue
        if changed:
            raise HistoryError(f"{entry.name} has changed since it was inspected, and no copy was kept. Inspect it anew.")
        where = f" It was read from {entry.path.parent}." if entry.path is not None else ""
        raise HistoryError(
            f"{entry.name} is gone: the file was moved or deleted, and no copy was kept.{where} Open it from where it is now."
        )

    def entries(self, ids: Sequence[int]) -> list[Entry]:
        """The entries of these ids that are there, in the order given."""
        with self._read() as session:
            found = {entry.id: entry for entry in self._entries(session, ids)}
        return [found[id] for id in ids if id in found]

    def thumbnail(self, sha256: str) -> Path | None:
        """JPEG of at most 96 pixels of an image in the history; None without one. Safe for any text."""
        return self.copies.thumbnail(sha256)

    def models(self) -> list[str]:
        """Names of the models that have entries, sorted."""
        statement = select(InspectionRow.model).where(InspectionRow.deleted.is_(None)).distinct().order_by(InspectionRow.model)
        with self._read() as session:
            return list(session.scalars(statement))

    def rename_model(self, old: str, new: str) -> None:
        """A model has another name from now on; its entries keep to it. Raises HistoryError."""
        with self._write() as session:
            session.execute(update(InspectionRow).where(InspectionRow.model == legible(old)).values(model=legible(new)))

    def find_ids(self, query: Query) -> list[int]:
        """Ids of all entries a search finds, in its order."""
        with self._read() as session:
            return list(session.scalars(search.found_by(query).with_only_columns(InspectionRow.id)))

    def delete(self, ids: Iterable[int]) -> int:
        """Put entries away; `restore` brings them back until `purge`. Returns how many there were."""
        return self._set_deleted(ids, datetime.now(UTC))

    def restore(self, ids: Iterable[int]) -> int:
        """Bring deleted entries back. Returns how many came."""
        return self._set_deleted(ids, None)

    def purge(self, before: datetime | None = None) -> int:
        """Remove for good what was deleted (before a time, else all), and the copies that no entry uses. Returns the entries removed."""
        condition = InspectionRow.deleted.is_not(None) if before is None else InspectionRow.deleted < before
        with self._write() as session:
            return self._remove(session, list(session.scalars(select(InspectionRow.id).where(condition))))

    def apply_retention(self, now: datetime | None = None) -> int:
        """Remove entries older than the setting allows, those deleted more than UNDO ago, and what crashes left among the copies.

        To be called when the program starts, and now and then. Returns the entries removed.
        """
        now, days = now or datetime.now(UTC), self.settings().retention_days
        too_old = InspectionRow.deleted < now - UNDO
        if days is not None:
            too_old = or_(too_old, InspectionRow.created < now - timedelta(days=days))
        with self._write() as session:
            count = self._remove(session, list(session.scalars(select(InspectionRow.id).where(too_old))))
            used = {name for name in session.scalars(select(InspectionRow.kept).distinct()) if name is not None}
            used |= {thumbnail_name(digest) for digest in session.scalars(select(InspectionRow.sha256).distinct())}
            self.copies.sweep(used)
            return count

    def settings(self) -> Settings:
        """The settings in force."""
        with self._read() as session:
            return _settings(session)

    def save_settings(self, settings: Settings) -> None:
        """Put settings in force. Raises HistoryError for a retention below one day."""
        if settings.retention_days is not None and settings.retention_days < 1:
            raise HistoryError("The retention time must be at least one day. Leave it empty to keep entries for ever.")
        with self._write() as session:
            session.merge(SettingsRow(id=1, retention_days=settings.retention_days, keep_copies=settings.keep_copies))

    def marked_entries(self, model: str | None, mark: Mark, *, verdict: Verdict | None = None) -> list[Entry]:
        """One entry for each image (by content) whose latest mark, with this model (None: any), is ``mark``; oldest mark first."""
        latest: dict[str, Entry] = {}
        with self._read() as session:
            for row, said in session.execute(search.marked(model)):
                entry = self._entry(row, said)
                latest.pop(entry.sha256, None)
                latest[entry.sha256] = entry
        return [entry for entry in latest.values() if entry.mark == mark and verdict in (None, entry.verdict)]

    def of_image(self, sha256: str, model: str) -> list[Entry]:
        """A model's entries of one image: first those that nobody has marked, and last that of the latest word."""
        with self._read() as session:
            return [self._entry(row, said) for row, said in session.execute(search.of_image(sha256, model))]

    def marked(self, model: str | None, mark: Mark) -> list[Path]:
        """Image files of `marked_entries` as they were inspected: our copy, else the original; those that are gone are left out."""
        return [path for entry in self.marked_entries(model, mark) if (path := intact(entry)) is not None]

    def statistics(self, model: str | None = None) -> Statistics:
        """Counts of marks, false alarms and misses."""
        with self._read() as session:
            return Statistics(*session.execute(search.counts(model)).one())

    def _renamed(self, item: Seen) -> Seen:
        """Our own copy, opened again and inspected anew, goes by the name its image came with."""
        if item.path is None or item.name or not item.path.is_relative_to(self.copies.folder):
            return item
        with self._read() as session:
            newest = select(InspectionRow).where(InspectionRow.sha256 == item.path.stem).order_by(InspectionRow.id.desc()).limit(1)
            row = session.scalar(newest)
            return item if row is None else replace(item, name=row.name)

    def _say(self, ids: int | Iterable[int], mark: Mark | None, who: str, note: str) -> None:
        wanted = {ids} if isinstance(ids, int) else set(ids)
        now = datetime.now(UTC)
        with self._write() as session:
            known: set[int] = set()
            for part in _parts(wanted):
                known |= set(session.scalars(select(InspectionRow.id).where(InspectionRow.id.in_(part), InspectionRow.deleted.is_(None))))
            if known != wanted:
                raise HistoryError(f"There is no entry {min(wanted - known)} in the history any more. Search again to see what there is.")
            who, note = legible(who.strip()), legible(note.strip())
            session.add_all(MarkRow(inspection_id=id, mark=mark, who=who, note=note, created=now) for id in sorted(wanted))
            if mark is not None and _settings(session).keep_copies:
                # Inside the transaction, as in `_remove`: nobody may find the copies unused before their entries name them.
                for id, name in self._recorder.copy_passing(list(self._entries(session, wanted))):
                    session.execute(update(InspectionRow).where(InspectionRow.id == id).values(kept=name))

    def _set_deleted(self, ids: Iterable[int], moment: datetime | None) -> int:
        changes = InspectionRow.deleted.is_not(None) if moment is None else InspectionRow.deleted.is_(None)
        count = 0
        with self._write() as session:
            for part in _parts(set(ids)):
                statement = update(InspectionRow).where(InspectionRow.id.in_(part), changes).values(deleted=moment)
                count += len(session.scalars(statement.returning(InspectionRow.id)).all())
        return count

    def _remove(self, session: Session, ids: Sequence[int]) -> int:
        """Delete rows, then the files only they used. Inside the transaction: its lock keeps others from adding an entry meanwhile."""
        gone: set[tuple[str, str | None]] = set()
        for part in _parts(ids):
            statement = delete(InspectionRow).where(InspectionRow.id.in_(part)).returning(InspectionRow.sha256, InspectionRow.kept)
            gone |= {(digest, kept) for digest, kept in session.execute(statement)}
        for digest, kept in gone:
            if kept is not None and not session.scalar(select(func.count()).where(InspectionRow.kept == kept)):
                self.copies.remove(kept)
            if not session.scalar(select(func.count()).where(InspectionRow.sha256 == digest)):
                self.copies.remove(thumbnail_name(digest))
        return len(ids)

    def _entries(self, session: Session, ids: Iterable[int]) -> Iterator[Entry]:
        for part in _parts(ids):
            for row, said in session.execute(search.current().where(InspectionRow.id.in_(part))):
                yield self._entry(row, said)

    def _entry(self, row: InspectionRow, mark: MarkRow | None) -> Entry:
        return read_entry(row, mark, self.copies.folder)

    @contextmanager
    def _read(self) -> Iterator[Session]:
        with explained(self.path), Session(self._reading) as session:
            yield session

    @contextmanager
    def _write(self) -> Iterator[Session]:
        with explained(self.path), Session(self._writing) as session, session.begin():
            yield session


def _settings(session: Session) -> Settings:
    row = session.get(SettingsRow, 1)
    return Settings() if row is None else Settings(row.retention_days, row.keep_copies)


def _parts(ids: Iterable[int]) -> Iterator[list[int]]:
    ordered = sorted(ids)
    return (ordered[start : start + _CHUNK] for start in range(0, len(ordered), _CHUNK))
