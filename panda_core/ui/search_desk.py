"""What the Train tab does with grid searches, without Gradio: lists them, starts them, tells how their trials stand."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from panda_core.errors import ConfigError, PandaError
from panda_core.events import plain
from panda_core.searches import Searches
from panda_core.sweep import Sweep, resuming
from panda_core.ui.search_form import read_grid
from panda_core.ui.train_desk import hashes, stamp
from panda_core.ui.train_form import configuration, named
from panda_core.ui.uploads import field


class SearchDesk:
    """One for the whole program: what it knows is on the disk, so every browser tab sees the same."""

    def __init__(self, searches: Searches) -> None:
        self.searches = searches
        self._known: dict[Path, tuple[int, Sweep]] = {}
        """Searches by folder, with the time of their sweep.json: to understand a configuration takes milliseconds."""
        self._summaries: dict[Path, tuple[int, dict[str, Any]]] = {}

    def list(self) -> list[dict[str, Any]]:
        """Every search, newest first, in a few words."""
        return [self._summary(path) for path in self.searches.shelf.folders()]

    def look(self, id: str, known: int) -> dict[str, Any]:
        """The trials of one search, for a browser that knows what was written at ``known``; empty where nothing is new.

        Raises TrainingError where there is no such search, or its status is damaged.
        """
        sweep = self.searches.find(id)
        written = stamp(sweep.path / "status.json") // 1000  # a browser's numbers are exact below 2^53 only
        if written == known:
            return {}
        status = sweep.status()
        best = status.best
        return {
            "stamp": written,
            "fields": list(sweep.grid),
            "trials": [asdict(trial) for trial in status.trials],
            "best": best.number if best else None,
            "data": plain(str(sweep.data)),
            "preset": sweep.base.preset,
            "size": sweep.base.data.size,
            "parent": sweep.parent.name if sweep.parent else "",
            "command": resuming(sweep.path),
        }

    def start(self, folder: Path, form: Any) -> str:
        """Begin a search; returns its id. Raises PandaError."""
        grid = read_grid(form)
        if not grid:
            raise ConfigError("Choose a field to vary first, and write the values to try.")
        config, parent = configuration(form)
        name = named(form, folder, "search")
        exclude, low_priority = hashes(field(form, "exclude")), field(form, "low_priority") is not False
        return self.searches.start(folder, config, grid, name=name, parent=parent, exclude=exclude, low_priority=low_priority).name

    def _summary(self, path: Path) -> dict[str, Any]:
        written = stamp(path / "status.json")
        before = self._summaries.get(path)
        if before and before[0] == written and before[1]["over"]:
            return before[1]
        try:
            summary = _summary_of(self._open(path))
            self._summaries[path] = (written, summary)
            return summary
        except PandaError as error:
            return {"id": path.name, "name": path.name, "state": "damaged", "detail": str(error), "over": True, "runs": []}

    def _open(self, path: Path) -> Sweep:
        written = stamp(path / "sweep.json")
        known = self._known.get(path)
        if known is None or known[0] != written:
            known = self._known[path] = (written, Sweep.open(path))
        return known[1]


def _summary_of(sweep: Sweep) -> dict[str, Any]:
    status = sweep.status()
    return {
        "id": sweep.name,
        "name": sweep.title,
        "state": status.state,
        "detail": status.detail,
        "step": status.tried,
        "total": len(status.trials),
        "created": sweep.created,
        "updated": status.updated,
        "over": status.over,
        "stopping": not status.over and sweep.cancelled(),
        "runs": [trial.run for trial in status.trials if trial.run],
    }
