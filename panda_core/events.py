"""The event log of a run: one JSON object a line, appended by one process, read by anyone while it grows."""

from __future__ import annotations

import json
import logging
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from panda_core.printable import printable

log = logging.getLogger(__name__)


class EventReader:
    """Events of one file as they come. Asking again costs one look at the file's size when nothing is new."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.events: list[dict[str, Any]] = []
        """All whole lines so far, oldest first."""
        self._offset = 0

    def read(self) -> int:
        """Take in what was appended; returns how many events are new. A line that is still being written waits for the next time.

        A whole line that is damaged, as by a power cut, is left out and said in the program's log.
        """
        try:
            size = self.path.stat().st_size
        except FileNotFoundError:
            return 0
        if size < self._offset:  # another file in the same place: a run that was made again
            self.events, self._offset = [], 0
        if size == self._offset:
            return 0
        with self.path.open("rb") as file:
            file.seek(self._offset)
            content = file.read(size - self._offset)
        whole = content[: content.rfind(b"\n") + 1]
        lines = whole.splitlines()
        new = [event for event in map(_event, lines) if event is not None]
        self.events += new
        self._offset += len(whole)
        if len(new) < len(lines):
            log.warning("%s: damaged lines left out: %d.", self.path, len(lines) - len(new))
        return len(new)


def append_event(path: Path, event: Mapping[str, Any]) -> None:
    """Append one event, made `plain`."""
    line = json.dumps(plain(event), ensure_ascii=False, allow_nan=False)
    with path.open("a", encoding="utf-8") as file:
        file.write(line + "\n")


def cut_torn_tail(path: Path) -> None:
    """Remove the half line that a killed writer left: the next event must not be glued to it."""
    if not path.exists():
        return
    content = path.read_bytes()
    if content and not content.endswith(b"\n"):
        os.truncate(path, content.rfind(b"\n") + 1)


def _event(line: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def plain(value: Any) -> Any:
    """The same JSON value as every reader takes it: null for a number that is not finite, "?" for what is no Unicode in a file's name."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, str):
        return printable(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value
