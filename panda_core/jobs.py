"""Trainings as jobs: started as processes of their own, found again by anyone, ended within seconds. The run folders are all there is.

A job is `panda train --run DIR --resume`, the command a person would type, in a session of its own: it outlives the program that
started it. Nothing about it is kept in memory, so two programs, or one that was restarted, see the same jobs.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from panda_core.config import Config
from panda_core.errors import PandaError, TrainingError
from panda_core.places import home
from panda_core.runs import KILLED, RunDir
from panda_core.shelf import Shelf

PATIENCE = 4.0
"""Seconds a training gets to stop with a checkpoint, and two of its steps; then its process is killed, and the last checkpoint stays."""
LONGEST_PATIENCE = 30.0


@dataclass(frozen=True, slots=True)
class DamagedRun:
    """A folder among the runs that cannot be understood."""

    path: Path
    problem: str
    """What is wrong, in a sentence."""


class Jobs:
    """The trainings of one place; an id is a folder's name. Holds no state: make as many as you like."""

    def __init__(self, place: Path | None = None) -> None:
        """``place``: the folder of the runs; None: ``runs`` in `places.home`."""
        self.shelf = Shelf(place or home() / "runs", marker="config.json")
        self.place = self.shelf.place

    def list(self) -> tuple[RunDir | DamagedRun, ...]:
        """All trainings, newest first."""
        return tuple(map(_open, self.shelf.folders()))

    def find(self, id: str) -> RunDir:
        """One training. Raises TrainingError when there is none of this id, or it cannot be understood."""
        path = self.shelf.find(id)
        if path is None:
            raise TrainingError(f"There is no training '{id}' in {self.place}. It may have been discarded.")
        return RunDir.open(path)

    def start(
        self,
        data: str | Path,
        config: Config,
        *,
        name: str,
        parent: str | Path | None = None,
        exclude: Collection[str] = (),
        device: str = "auto",
        low_priority: bool = True,
    ) -> RunDir:
        """Make a run folder and start its process. Raises TrainingError where the folder cannot be made."""
        path = self.shelf.claim(name)
        run = RunDir.create(path, config, data, name=name, parent=parent, exclude=exclude, device=device, low_priority=low_priority)
        self._launch(run)
        return run

    def resume(self, id: str) -> RunDir:
        """Go on with a training from its last checkpoint, at the priority it had.

        Raises TrainingError where it is done or still at work.
        """
        run = self.find(id)
        state = run.status().state
        if run.alive():
            raise TrainingError(f"“{run.name}” is at work already.")
        if state == "done":
            raise TrainingError(f"“{run.name}” is done; there is nothing to go on with.")
        run.clear_cancel()
        run.write_status("created")
        self._launch(run)
        return run

    def cancel(self, id: str) -> threading.Thread | None:
        """Ask a training to stop; returns at once. None: it is over already. Raises TrainingError as `find`.

        It stops with a checkpoint, or is killed when it takes too long and keeps the last one. The thread sees to that and ends with this
        program: who is about to leave waits for it.
        """
        run = self.find(id)
        if run.status().over:
            return None
        run.cancel()
        watch = threading.Thread(target=_see_it_end, args=[run], daemon=True)
        watch.start()
        return watch

    def discard(self, id: str) -> None:
        """Take a training that is over, or damaged, out of the list; `restore` brings it back. Raises TrainingError while it is at work."""
        self.shelf.discard(id, busy="alive.lock")

    def restore(self, id: str) -> RunDir:
        """Undo `discard`. Raises TrainingError where nothing of this id was discarded."""
        return RunDir.open(self.shelf.restore(id))

    def _launch(self, run: RunDir) -> None:
        arguments = ["train", "--run", str(run.path), "--resume", "--device", run.device]
        try:
            launch([*arguments, "--low-priority"] if run.low_priority else arguments, run.log_path)
        except OSError as error:
            run.write_status("failed", detail=f"The training could not be started ({error.strerror}).")
            raise TrainingError(
                f"The training could not be started ({error.strerror}). Free some memory or disk, then resume it."
            ) from error


def launch(arguments: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    """Start ``panda ARGUMENTS`` as a process that outlives this one; what it prints is appended to ``log``. Raises OSError."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "panda_core", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
    # Whoever starts a process has to take note of its end, or it stays in the table of processes as a zombie.
    threading.Thread(target=process.wait, daemon=True).start()
    return process


def _see_it_end(run: RunDir) -> None:
    """Kill a training that does not stop in time, and write down that it was stopped."""
    deadline = time.monotonic() + _patience(run)
    while time.monotonic() < deadline:
        if run.status().over:
            return
        time.sleep(0.1)
    worker = run.holder()
    if worker is None:
        return  # it has not begun yet, and will see the request when it does
    _kill(worker)
    with suppress(PandaError), run.hold():
        if run.status().state not in ("done", "failed", "stopped"):
            run.write_status("stopped", detail=KILLED)


def _patience(run: RunDir) -> float:
    """Seconds to wait for a training: one that takes long over a step cannot stop before that is done."""
    seconds = next((event["seconds"] for event in reversed(run.events()) if event.get("event") == "step"), 0.0)
    return min(LONGEST_PATIENCE, PATIENCE + 2 * float(seconds))


def _kill(process: int) -> None:
    """At once, with the processes it leads: a data-parallel training is several."""
    with suppress(OSError):
        if sys.platform == "win32":
            os.kill(process, signal.SIGTERM)
        elif os.getpgid(process) == process:
            os.killpg(process, signal.SIGKILL)
        else:
            os.kill(process, signal.SIGKILL)


def _open(path: Path) -> RunDir | DamagedRun:
    try:
        run = RunDir.open(path)
        run.status()
        return run
    except PandaError as error:
        return DamagedRun(path, str(error))
    except OSError as error:
        return DamagedRun(path, f"{error.filename or path} cannot be opened ({error.strerror}). Look at its permissions.")
