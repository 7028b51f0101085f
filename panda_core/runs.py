"""The run directory: everything about one training, readable by anyone at any time, written by one process.

    config.json        configuration, data folder, name, time, version; written first, never changed
    status.json        state, step, total; replaced atomically
    events.jsonl       one JSON object a line, appended
    log.txt            what the process printed
    preview.png        latest reconstructions
    previews/          reconstructions over the training
    state.safetensors  what a resumed training needs
    model/             the finished model; appears last, by rename
    alive.lock         held by the process that trains; the kernel frees it however that process ends
    pid                of that process; believed only while the lock is held
    cancel             an empty file: please stop

Locks on network file systems may lie: keep run directories on a local disk.
"""

from __future__ import annotations

import json
import os
import shlex
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

from filelock import FileLock, Timeout

from panda_core.config import Config
from panda_core.durable import read_object, replace_text
from panda_core.errors import PandaError, TrainingError
from panda_core.events import EventReader, append_event, cut_torn_tail, plain
from panda_core.locks import is_held
from panda_core.run_status import RunStatus, State
from panda_core.version import installed_version

KILLED = "Stopped. Resume goes on from the last checkpoint."
"""What is said of a training that was asked to stop and killed."""

LOCK_TIMEOUT = 5.0
"""Seconds to wait for alive.lock: a reader's probe holds it for an instant, and a worker that does not wait would be refused by it."""


def resuming(path: Path) -> str:
    """The command that goes on with the run in ``path``, for a person to copy."""
    return f"panda train --run {shlex.quote(str(path))} --resume"


class RunDir:
    """One training on disk. Make it with ``create`` or ``open``; pickling keeps the path only, never the lock."""

    def __init__(
        self,
        path: Path,
        *,
        config: Config,
        data: Path,
        name: str,
        parent: Path | None = None,
        exclude: Collection[str] = (),
        device: str = "auto",
        low_priority: bool = True,
        created: float = 0.0,
    ) -> None:
        self.path = path
        self.config = config
        self.data = data
        self.name = name
        self.parent = parent
        """Folder of the model that is fine-tuned; None: from scratch."""
        self.exclude = frozenset(exclude)
        """SHA-256 of the images that are not to be used, as `data.images.content_hash` gives."""
        self.device = device
        self.low_priority = low_priority
        """Whether its process lets other programs go first, the one that a resume starts too."""
        self.created = created
        """Unix time."""
        self.state_path = path / "state.safetensors"
        self.model_path = path / "model"
        self.log_path = path / "log.txt"
        self.preview_path = path / "preview.png"
        self.events_path = path / "events.jsonl"
        self._lock = FileLock(path / "alive.lock")
        self._tail_checked = False

    def __reduce__(self) -> tuple[Any, ...]:
        return RunDir.open, (self.path,)

    @classmethod
    def create(
        cls,
        path: str | Path,
        config: Config,
        data: str | Path,
        *,
        name: str | None = None,
        parent: str | Path | None = None,
        exclude: Collection[str] = (),
        device: str = "auto",
        low_priority: bool = True,
    ) -> RunDir:
        """Make the directory and write its config.json. ``name`` defaults to the folder's name.

        ``parent``: folder of the model to fine-tune. ``exclude``: SHA-256 of images of ``data`` that are not to be used.

        Raises TrainingError when the folder already holds a run, unless that one failed before it had read its data: a person
        who named the wrong data folder corrects the command and runs it again.
        """
        path = Path(path).resolve()
        cls._refuse_begun(path)
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise TrainingError(f"{path} cannot be made a run folder ({error.strerror}). Choose another folder.") from error
        header: dict[str, Any] = {
            "name": name or path.name,
            "data": str(Path(data).resolve()),
            "parent": str(Path(parent).resolve()) if parent else None,
            "exclude": sorted(exclude),
            "device": device,
            "low_priority": low_priority,
            "created": time.time(),
            "version": installed_version(),
            "config": config.to_dict(),
        }
        run = cls._of(path, header)
        with run._locked():  # of several that make a run here at the same time, one finds nothing yet
            cls._refuse_begun(path)
            replace_text(path / "config.json", json.dumps(header, indent=2, ensure_ascii=False), durable=True)
            run.write_status("created")
        return run

    @classmethod
    def _refuse_begun(cls, path: Path) -> None:
        if (path / "sweep.json").exists():  # its status would be overwritten
            raise TrainingError(f"{path} holds a grid search. Choose another folder for the run.")
        there = cls.open(path) if (path / "config.json").exists() else None
        if there and (there._last_status().state != "failed" or there.events_path.exists()):
            raise TrainingError(f"{path} already holds a run. Choose another folder, or go on: {resuming(path)}")

    @classmethod
    def open(cls, path: str | Path) -> RunDir:
        """Read an existing run. Raises TrainingError when the folder holds none, or its config.json cannot be understood."""
        path = Path(path).resolve()
        header = read_object(path / "config.json")
        if header is None:
            raise TrainingError(f"{path} holds no run (no config.json). Start one: panda train DATA --run {path}")
        try:
            return cls._of(path, header)
        except KeyError as error:
            raise TrainingError(f"{path / 'config.json'}: {error} is missing; this is not a run of ours. Start a new one.") from error
        except (TypeError, ValueError) as error:
            raise TrainingError(f"{path / 'config.json'} is not of a run of ours ({error}). Start a new one.") from error
        except PandaError as error:
            written = f"{path / 'config.json'} (version {header.get('version', 'unknown')})"
            raise TrainingError(f"{written} does not fit this version {installed_version()}: {error}") from error

    @classmethod
    def _of(cls, path: Path, header: Mapping[str, Any]) -> RunDir:
        parent = header.get("parent")
        return cls(
            path,
            config=Config.from_dict(header["config"]),
            data=Path(header["data"]),
            name=str(header["name"]),
            parent=Path(parent) if parent else None,
            exclude=header.get("exclude", ()),
            device=str(header.get("device", "auto")),
            low_priority=header.get("low_priority") is not False,
            created=float(header.get("created", 0.0)),
        )

    def record(self, event: Mapping[str, Any]) -> None:
        """Append one event with the Unix time as "time", made `events.plain`."""
        if not self._tail_checked:
            cut_torn_tail(self.events_path)
            self._tail_checked = True
        append_event(self.events_path, {"time": time.time(), **event})

    def events(self) -> list[dict[str, Any]]:
        """All events so far, oldest first; damaged lines, and a last one that is still being written, are left out."""
        reader = EventReader(self.events_path)
        reader.read()
        return reader.events

    def write_status(self, status: State, *, detail: str = "", step: int | None = None, total: int | None = None, **fields: Any) -> None:
        """Replace the status atomically. ``step`` and ``total`` keep their last value when left out; other fields (JSON types) do not."""
        last = self._last_status()
        content = {
            **fields,
            "state": status,
            "detail": detail,
            "step": last.step if step is None else step,
            "total": last.total if total is None else total,
            "updated": time.time(),
        }
        # A running step is rewritten in a moment; only a change of state must survive a power cut.
        replace_text(self.path / "status.json", json.dumps(plain(content), ensure_ascii=False), durable=status != last.state)

    def status(self) -> RunStatus:
        """The last status; a run that should live and that nobody works on reads as "interrupted". Raises TrainingError when damaged."""
        status = self._last_status()
        if not status.claims_life or self.alive():
            return status
        status = self._last_status()  # the process may have finished between the read and the probe
        if not status.claims_life:
            return status
        state: State = "interrupted"
        detail = "The process ended without saying so (killed, or the machine went down). Resume goes on from the last checkpoint."
        if status.state == "created":
            detail = "The training was asked for and never began. Start it with Resume."
        elif self.cancelled():  # killed because it did not stop in time, and whoever killed it is about to say so
            state, detail = "stopped", KILLED
        return RunStatus(state, detail, status.step, status.total, status.updated, status.fields)

    def alive(self) -> bool:
        """Whether a process (this one included) holds the lock now."""
        return self._lock.is_locked or is_held(self.path / "alive.lock")

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            self._lock.acquire(timeout=LOCK_TIMEOUT)
        except Timeout as error:
            raise TrainingError(
                f"Another process trains in {self.path}. Wait for it, or stop it: touch {shlex.quote(str(self.path / 'cancel'))}"
            ) from error
        except OSError as error:
            raise TrainingError(f"{self.path} cannot be written ({error.strerror}). Look at its permissions.") from error
        try:
            yield
        finally:
            self._lock.release()

    @contextmanager
    def hold(self) -> Iterator[RunDir]:
        """Be the one process that trains here; may be nested. Letting go also clears a request to cancel, which has been met.

        Raises TrainingError when another process trains here, or the folder cannot be written.
        """
        with self._locked():
            try:
                if self._lock.lock_counter == 1:
                    (self.path / "pid").write_text(str(os.getpid()), encoding="ascii")
                yield self
            finally:
                if self._lock.lock_counter == 1:
                    self.clear_cancel()
                    (self.path / "pid").unlink(missing_ok=True)

    def holder(self) -> int | None:
        """The process that trains here; None where nobody does, or it has not said so yet."""
        try:
            number = int((self.path / "pid").read_text(encoding="ascii"))
        except (OSError, ValueError):
            return None
        return number if self.alive() else None

    def require_unfinished(self) -> None:
        """Raises TrainingError where the run is done: to train its end again would lose what was kept in its model since then."""
        if self._last_status().state == "done":
            raise TrainingError(f"{self.path} is done; there is nothing to go on with. Its model is {self.model_path}.")

    def cancel(self) -> None:
        """Ask the training to stop at its next step, with a checkpoint."""
        (self.path / "cancel").touch()

    def cancelled(self) -> bool:
        """Whether somebody asked to stop."""
        return (self.path / "cancel").exists()

    def clear_cancel(self) -> None:
        """Take the request back, as a resume does."""
        (self.path / "cancel").unlink(missing_ok=True)

    def _last_status(self) -> RunStatus:
        path = self.path / "status.json"
        content = read_object(path)
        if content is None:
            return RunStatus("created")
        try:
            state, detail, step, total, updated = (content.pop(key) for key in ("state", "detail", "step", "total", "updated"))
        except KeyError as error:
            raise TrainingError(f"{path}: {error} is missing. Delete the file; the checkpoint is not touched by that.") from error
        if state not in get_args(State):
            raise TrainingError(f"{path}: unknown state {state!r}; known are {', '.join(get_args(State))}.")
        return RunStatus(state, str(detail), int(step), int(total), float(updated), content)
