"""Numbered folders in one place, "0007-name", each with a file that says what it is; those thrown away can be brought back for a while."""

from __future__ import annotations

import os
import re
import shutil
import time
from contextlib import suppress
from pathlib import Path

from panda_core.errors import TrainingError
from panda_core.locks import is_held

TRASH = ".trash"


class Shelf:
    """The folders of one place; an id is a folder's name. Holds no state: make as many as you like."""

    def __init__(self, place: Path, *, marker: str) -> None:
        """``marker``: name of the file without which a folder is not one of ours. ``place`` may not exist yet."""
        self.place, self.marker = place.resolve(), marker

    def folders(self) -> tuple[Path, ...]:
        """All of ours, the highest number first."""
        if not self.place.is_dir():
            return ()
        ours = [path for path in self.place.iterdir() if not path.name.startswith(".") and self._is_ours(path)]
        return tuple(sorted(ours, key=lambda path: _natural(path.name), reverse=True))

    def find(self, id: str) -> Path | None:
        """The folder of an id, which may be anything; None where there is none."""
        return self.place / id if _is_name(id) and self._is_ours(self.place / id) else None

    def claim(self, name: str) -> Path:
        """A new folder "0007-name"; two programs that start at once get two. Raises TrainingError."""
        slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40] or "training"
        try:
            self.place.mkdir(parents=True, exist_ok=True)
            for number in range(self._last_number() + 1, 1_000_000):
                path = self.place / f"{number:04d}-{slug}"
                if any(self.place.glob(f"{number:04d}-*")):
                    continue
                with suppress(FileExistsError):
                    path.mkdir()
                    return path
        except OSError as error:
            raise TrainingError(f"{self.place} cannot be written ({error.strerror}). Look for its permissions and free space.") from error
        raise TrainingError(f"{self.place} is full. Discard some of what it holds.")

    def discard(self, id: str, *, busy: str) -> None:
        """Take a folder out of the list, whether it can be understood or not; `restore` brings it back.

        ``busy``: the file in it that whoever works there holds locked. Raises TrainingError where somebody does, where there is no such
        folder, or where it cannot be moved.
        """
        if self.find(id) is None:
            raise TrainingError(f"There is no training or search '{id}' in {self.place}. It may have been discarded.")
        if is_held(self.place / id / busy):
            raise TrainingError(f"“{id}” is still at work. Stop it first.")
        trash = self.place / TRASH
        trash.mkdir(exist_ok=True)
        try:
            os.utime(self.place / id)  # a rename leaves a folder's time as it is, and `empty_trash` counts from here
            os.replace(self.place / id, trash / id)
        except OSError as error:
            raise TrainingError(
                f"{self.place / id} cannot be moved ({error.strerror}). Close what uses its files, then try again."
            ) from error

    def discarded(self) -> tuple[str, ...]:
        """Ids that `restore` would bring back, the highest number first."""
        trash = self.place / TRASH
        names = [path.name for path in trash.iterdir() if self._is_ours(path)] if trash.is_dir() else []
        return tuple(sorted(names, key=_natural, reverse=True))

    def restore(self, id: str) -> Path:
        """Undo `discard`. Raises TrainingError where nothing of this id was discarded."""
        if not _is_name(id) or not (self.place / TRASH / id).is_dir() or (self.place / id).exists():
            raise TrainingError(f"There is no discarded training or search '{id}' in {self.place}. It may have been deleted for good.")
        os.replace(self.place / TRASH / id, self.place / id)
        return self.place / id

    def empty_trash(self, *, older_than: float) -> None:
        """Delete what was discarded more than ``older_than`` seconds ago."""
        trash = self.place / TRASH
        for path in trash.iterdir() if trash.is_dir() else ():
            if path.stat().st_mtime < time.time() - older_than:
                shutil.rmtree(path, ignore_errors=True)

    def _is_ours(self, folder: Path) -> bool:
        # Not Path.is_file: it raises where a folder may not be entered, and one such folder would hide all others.
        return os.path.isfile(folder / self.marker)

    def _last_number(self) -> int:
        known = [path.name for folder in (self.place, self.place / TRASH) if folder.is_dir() for path in folder.iterdir()]
        return max((int(name[:4]) for name in known if re.match(r"\d{4}-", name)), default=0)


def _is_name(id: str) -> bool:
    return bool(id) and id == Path(id).name and not id.startswith(".") and "\0" not in id


def _natural(name: str) -> tuple[int, str]:
    number = re.match(r"\d+", name)
    return (int(number.group()) if number else 0, name)
