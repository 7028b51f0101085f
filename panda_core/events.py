"""The event log of a run: one JSON object a line, appended by one process, read by anyone while it grows."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from panda_core.errors import TrainingError


class EventReader:
    """Events of one file as they come. Asking again costs one look at the file's size when nothing is new."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.events: list[dict[str, Any]] = []
        """All whole lines so far, oldest first."""
        self._offset = 0

    def read(self) -> int:
        """Take in what was appended; returns how many events are new. A line that is still being written waits for the next time.

        Raises TrainingError when a whole line is damaged.
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
        before = len(self.events)
        for line in whole.splitlines():
            try:
                self.events.append(json.loads(line))
            except ValueError as error:
                number = len(self.events) + 1
                raise TrainingError(f"{self.path}, line {number} is damaged. Delete that line to see the rest.") from error
        self._offset += len(whole)
        return len(self.events) - before


def append_event(path: Path, event: Mapping[str, Any]) -> None:
    """Append one event; numbers that are not finite become null, for JSON has none."""
    line = json.dumps(finite(event), ensure_ascii=False, allow_nan=False)
    with path.open("a", encoding="utf-8") as file:
        file.write(line + "\n")


def cut_torn_tail(path: Path) -> None:
    """Remove the half line that a killed writer left: the next event must not be glued to it."""
    if not path.exists():
        return
    content = path.read_bytes()
    if content and not content.endswith(b"\n"):
        os.truncate(path, content.rfind(b"\n") + 1)


def finite(value: Any) -> Any:
    """The same JSON value with null for every number that is not finite."""
    if isinstance(value, Mapping):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
