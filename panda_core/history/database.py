"""The database file: opened, checked, brought to the newest schema; and its errors in words.

Nothing here deletes or replaces a file. A file that is not a sound history is left as it is found.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, inspect
from sqlalchemy.engine import URL
from sqlalchemy.exc import DatabaseError

from panda_core.errors import PandaError

MIGRATIONS = Path(__file__).parent / "migrations"
VERSIONS = MIGRATIONS / "versions"
PATIENCE = 30.0
"""Seconds a write waits for another one to end."""
_DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB")
_migrating = threading.Lock()
"""Alembic keeps the migration that is running in module variables."""


class HistoryError(PandaError):
    """The history cannot be opened, read or written; or an entry or its image is not there any more."""


def open_database(path: Path, *, versions: Sequence[Path] = (VERSIONS,)) -> Engine:
    """The engine of a sound history at the newest schema; a new one where there is no file.

    Transactions of an engine with the execution option ``writes=True`` take the write lock at their beginning.
    ``versions``: folders of revisions. Raises HistoryError if the file is damaged, foreign, newer than this program or out of reach.
    """
    with explained(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise HistoryError(f"{path.parent} cannot be made ({error.strerror}). Set PANDA_HOME to a folder you can write.") from error
        engine = create_engine(URL.create("sqlite", database=str(path)), connect_args={"timeout": PATIENCE})
        event.listen(engine, "connect", _prepare)
        event.listen(engine, "begin", _begin)
        try:
            config = _config(versions)
            _check(engine, path, ScriptDirectory.from_config(config))
            _use_write_ahead_log(engine)
            with _migrating, engine.execution_options(writes=True).begin() as connection:
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
        except BaseException:
            engine.dispose()
            raise
        return engine


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Errors of the database at ``path`` as a HistoryError that says what to do."""
    try:
        yield
    except DatabaseError as error:
        name = getattr(error.orig, "sqlite_errorname", "")
        raise HistoryError(_explain(path, name, str(error.orig))) from error


def _explain(path: Path, name: str, said: str) -> str:
    if name.startswith(_DAMAGED):
        return _damaged(path, said)
    if name.startswith("SQLITE_BUSY"):
        return f"The history {path} has been in use by another program for {PATIENCE:.0f} seconds. Try again when that one is done."
    if name.startswith("SQLITE_FULL"):
        return f"The history {path} cannot grow: the disk is full. Free some space, or shorten the retention time."
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_IOERR")):
        return f"The history {path} cannot be opened or written ({said}). Check the permissions of the file and its folder."
    return f"The history {path} cannot be used ({said}). Restart the program; if that does not help, move the file away and keep it."


def _damaged(path: Path, said: str) -> str:
    return (
        f"The history {path} is damaged or not a database ({said}). It was left as it is. Put a backup in its place, or move it away "
        "together with its -wal and -shm files: the program then begins a new one."
    )


def _prepare(connection: sqlite3.Connection, record: Any) -> None:
    # The driver's own transactions begin late and not before a change of the schema; `_begin` does it instead.
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys = ON")
    # With a write-ahead log this is safe against crashes; after a power cut the last entries may be missing, nothing more.
    connection.execute("PRAGMA synchronous = NORMAL")


def _begin(connection: Connection) -> None:
    # A transaction that reads first and writes later fails at once, without patience, if somebody wrote in between.
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get("writes") else "BEGIN")


def _check(engine: Engine, path: Path, scripts: ScriptDirectory) -> None:
    with engine.connect() as connection:
        said = str(connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one())
        if said != "ok":
            raise HistoryError(_damaged(path, said.splitlines()[-1]))
        heads = MigrationContext.configure(connection).get_current_heads()
        if not heads and inspect(connection).get_table_names():
            raise HistoryError(
                f"{path} is a database, but not a history of PANDA Inspector. Move it away, or set PANDA_HOME to another folder."
            )
    unknown = set(heads) - {revision.revision for revision in scripts.walk_revisions()}
    if unknown:
        raise HistoryError(
            f"The history {path} was written by a newer version of PANDA Inspector (schema {min(unknown)}; this one knows up to "
            f"{scripts.get_current_head()}). Update the program, or set PANDA_HOME to another folder to begin a new history."
        )


def _use_write_ahead_log(engine: Engine) -> None:
    """Readers and one writer at the same time. The switch itself needs the file for itself for a moment, and does not wait."""
    connection = engine.raw_connection()
    try:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                connection.cursor().execute("PRAGMA journal_mode = WAL").close()
                return
            except sqlite3.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
    finally:
        connection.close()


def _config(versions: Sequence[Path]) -> Config:
    """Alembic's configuration, made here: the folder the program is started in has no say."""
    config = Config()
    values = {"script_location": str(MIGRATIONS), "path_separator": "newline", "version_locations": "\n".join(map(str, versions))}
    for name, value in values.items():
        config.set_main_option(name, value.replace("%", "%%"))
    return config
