"""Grid searches as processes of their own, as `jobs` are: `panda sweep --out DIR --resume`, which outlives the program that started it.

Nothing is kept in memory: the folders are all there is. The process that leads a search starts its trainings among all the others.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from panda_core.config import Config
from panda_core.errors import PandaError, TrainingError
from panda_core.jobs import launch
from panda_core.places import home
from panda_core.shelf import Shelf
from panda_core.sweep import Sweep, Value, check_grid


class Searches:
    """The grid searches of one place; an id is a folder's name. Holds no state: make as many as you like."""

    def __init__(self, place: Path | None = None) -> None:
        """``place``: the folder of the searches; None: ``searches`` in `places.home`."""
        self.shelf = Shelf(place or home() / "searches", marker="sweep.json")

    def list(self) -> tuple[Sweep, ...]:
        """All searches that can be understood, newest first."""
        found = []
        for path in self.shelf.folders():
            try:
                found.append(Sweep.open(path))
            except PandaError:
                continue  # its runs are still among the trainings; nothing else of it can be used
        return tuple(found)

    def find(self, id: str) -> Sweep:
        """One search. Raises TrainingError when there is none of this id, or it cannot be understood."""
        path = self.shelf.find(id)
        if path is None:
            raise TrainingError(f"There is no search '{id}' in {self.shelf.place}. It may have been discarded.")
        return Sweep.open(path)

    def start(
        self,
        data: str | Path,
        base: Config,
        grid: Mapping[str, Sequence[Value]],
        *,
        name: str,
        parent: str | Path | None = None,
        exclude: Collection[str] = (),
        device: str = "auto",
        low_priority: bool = True,
    ) -> Sweep:
        """Make a search folder and start its process. Raises ConfigError, FolderError and TrainingError as `Sweep.create` does."""
        check_grid(base, grid, data=data)  # before a folder is claimed for it
        path = self.shelf.claim(name)
        sweep = Sweep.create(path, data, base, grid, name=name, parent=parent, exclude=exclude, device=device, low_priority=low_priority)
        self._launch(sweep)
        return sweep

    def resume(self, id: str) -> Sweep:
        """Go on with what is left. Raises TrainingError where the search is done or still at work."""
        sweep = self.find(id)
        if sweep.alive():
            raise TrainingError(f"“{sweep.title}” is at work already.")
        if sweep.status().state == "done":
            raise TrainingError(f"“{sweep.title}” is done; there is nothing to go on with.")
        sweep.clear_cancel()
        sweep.write_status("created")
        self._launch(sweep)
        return sweep

    def cancel(self, id: str) -> None:
        """Ask a search to stop, with the run it is training; returns at once."""
        sweep = self.find(id)
        if not sweep.status().over:
            sweep.cancel()

    def discard(self, id: str) -> None:
        """Take a search that is over out of the list; its trainings stay, `restore` brings it back. Raises TrainingError at work."""
        self.shelf.discard(id, busy="alive.lock")

    def restore(self, id: str) -> Sweep:
        """Undo `discard`. Raises TrainingError where nothing of this id was discarded."""
        return Sweep.open(self.shelf.restore(id))

    def _launch(self, sweep: Sweep) -> None:
        arguments = ["sweep", "--out", str(sweep.path), "--resume"]
        try:
            launch(arguments, sweep.log_path)
        except OSError as error:
            sweep.write_status("failed", detail=f"The search could not be started ({error.strerror}).")
            raise TrainingError(f"The search could not be started ({error.strerror}). Free some memory or disk, then resume it.") from error
