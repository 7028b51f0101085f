"""Small files that are whole or not there: written aside, brought to the disk where it matters, renamed."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from panda_core.errors import TrainingError

_HERE = -100  # AT_FDCWD; of no importance for absolute paths
_EXCHANGE = 2  # RENAME_EXCHANGE of linux/fs.h


def read_object(path: Path) -> dict[str, Any] | None:
    """A JSON object of a run; None where there is no such file. Raises TrainingError when it is damaged or may not be read."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise TrainingError(f"{path} cannot be read ({error.strerror}). Look at its permissions and at the disk.") from error
    except ValueError as error:
        raise TrainingError(f"{path} is damaged: {error}. Delete it, or start a new run in another folder.") from error
    if not isinstance(content, dict):
        raise TrainingError(f"{path} holds {type(content).__name__} where an object is expected. Start a new run in another folder.")
    return content


def replace_text(path: Path, text: str, *, durable: bool) -> None:
    """Put a text file in the place of another. ``durable``: it survives a power cut after this returns.

    Bytes of a file name that are no text are written as ``\\udcxx``, from which JSON reads the same name again.
    """
    with written_aside(path, durable=durable) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


@contextmanager
def replacing(path: Path, temporary: Path, *, durable: bool) -> Iterator[None]:
    """``temporary``, written meanwhile in the same folder, then takes the place of ``path``; nothing is left of it where that fails."""
    try:
        yield
        if durable:
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if durable:
        sync_folder(path.parent)


@contextmanager
def written_aside(path: Path, *, durable: bool) -> Iterator[Path]:
    """A file to write ``path`` with, as `replacing` has it, under a hidden name that no other writer has, however long that of ``path``."""
    temporary = path.with_name(f".{uuid.uuid4().hex}.partial")
    with replacing(path, temporary, durable=durable):
        yield temporary


def exchange(one: Path, other: Path) -> bool:
    """Give two folders (or files) of one file system each other's name, in one step; False where this system cannot, or will not."""
    rename = getattr(ctypes.CDLL(None), "renameat2", None) if sys.platform == "linux" else None  # Python has no name for it
    return rename is not None and rename(_HERE, os.fsencode(one.absolute()), _HERE, os.fsencode(other.absolute()), _EXCHANGE) == 0


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut, as fsync does a file's content."""
    # The rename itself is data of the folder. Windows cannot open folders and does not need it.
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def swap_folder(temporary: Path, folder: Path) -> None:
    """Put ``temporary`` in the place of ``folder``; a folder cannot be renamed over a full one, so the old one steps aside."""
    if not folder.exists():
        os.replace(temporary, folder)
        return
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.old.", dir=folder.parent)) / folder.name
    if exchange(temporary, folder):
        os.replace(temporary, aside)
    else:
        os.replace(folder, aside)
        try:
            os.replace(temporary, folder)
        except BaseException:
            os.replace(aside, folder)
            aside.parent.rmdir()
            raise
    shutil.rmtree(aside.parent, ignore_errors=True)
