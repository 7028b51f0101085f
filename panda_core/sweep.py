"""A grid search on disk: every combination of a few fields' values is a run of its own, compared on held-out images only.

    sweep.json    data folder, base configuration, grid; written first, never changed
    status.json   state and every trial so far; replaced whole by the process that leads (`sweeper`), for whoever looks on
    sweep.db      Optuna's study: what the leading process goes on from
    log.txt       what that process printed
    alive.lock    held by it
    cancel        an empty file: please stop

The runs lie among all other runs and use their queue. Test images are never looked at: a trial's value is the AUROC on the images its
model was calibrated with, which are held-out normal images against known anomalies, or synthetic ones where none are known (section
IV-C: the paper, too, chose its weights by a grid search).
"""

from __future__ import annotations

import itertools
import json
import shlex
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from panda_core.config import Config
from panda_core.durable import read_object, replace_text
from panda_core.errors import ConfigError, FolderError, TrainingError
from panda_core.locks import is_held
from panda_core.run_status import LAUNCH_GRACE
from panda_core.runs import LOCK_TIMEOUT

MOST_TRIALS = 64
"""A larger grid would take days on the machines this is made for."""
Value = bool | int | float | str
TrialState = Literal["waiting", "running", "stopped", "done", "failed"]
SearchState = Literal["created", "running", "done", "stopped", "failed", "interrupted"]


@dataclass(frozen=True, slots=True)
class Trial:
    """One combination of values."""

    number: int
    """Its place in the grid, from 0."""
    values: Mapping[str, Value]
    """Dotted field -> value."""
    state: TrialState
    run: str = ""
    """The run's id among `jobs.Jobs`; "" before it began."""
    auroc: float | None = None
    """On the calibration images (held-out normal against known or synthetic anomalies), in [0, 1]."""
    separation: float | None = None
    """Distance of the two mean scores in pooled standard deviations; tells trials of equal AUROC apart."""
    detail: str = ""
    """Why it failed; "" otherwise."""


@dataclass(frozen=True, slots=True)
class SearchStatus:
    """Where a search stands; "interrupted" is never written, it is concluded from a free lock."""

    state: SearchState
    trials: tuple[Trial, ...]
    """All combinations in the grid's order."""
    detail: str = ""
    """One sentence for the person; empty when there is nothing to say."""
    updated: float = 0.0
    """Unix time of the last write."""

    @property
    def over(self) -> bool:
        """Whether no process leads this search any more; all but "done" can be resumed."""
        return self.state in ("done", "stopped", "failed", "interrupted")

    @property
    def tried(self) -> int:
        """Trials that have come to an end, good or bad."""
        return sum(trial.state in ("done", "failed") for trial in self.trials)

    @property
    def best(self) -> Trial | None:
        """The finished trial of the highest AUROC on held-out images; among equals the one that separates more. None before any."""
        done = [trial for trial in self.trials if trial.state == "done"]
        return max(done, key=lambda trial: (trial.auroc or 0.0, trial.separation or 0.0), default=None)


def resuming(path: Path) -> str:
    """The command that goes on with the search in ``path``, for a person to copy."""
    return f"panda sweep --out {shlex.quote(str(path))} --resume"


class Sweep:
    """One grid search on disk. Make it with ``create`` or ``open``."""

    def __init__(self, path: Path, header: Mapping[str, Any]) -> None:
        """``header``: the content of sweep.json. Raises KeyError, TypeError, ValueError, ConfigError where it is not one."""
        self.path, self.header = path, header
        self.data = Path(header["data"])
        self.base = Config.from_dict(header["base"])
        self.grid: dict[str, tuple[Value, ...]] = {field: tuple(values) for field, values in header["grid"].items()}
        self.exclude = frozenset(header["exclude"])
        self.device = str(header["device"])
        self.title = str(header.get("name") or path.name)
        """As a person knows it."""
        self.parent = Path(header["parent"]) if header.get("parent") else None
        """Folder of the model that every trial fine-tunes; None: from scratch."""
        self.low_priority = header.get("low_priority") is not False
        self.created = float(header.get("created", 0.0))
        self.combinations = [dict(zip(self.grid, values, strict=True)) for values in itertools.product(*self.grid.values())]
        self._lock = FileLock(path / "alive.lock")

    @property
    def name(self) -> str:
        """The folder's name; the runs' names begin with it."""
        return self.path.name

    @property
    def log_path(self) -> Path:
        """What the leading process printed, where a program started it."""
        return self.path / "log.txt"

    @classmethod
    def create(
        cls,
        path: str | Path,
        data: str | Path,
        base: Config,
        grid: Mapping[str, Sequence[Value]],
        *,
        name: str = "",
        parent: str | Path | None = None,
        exclude: Collection[str] = (),
        device: str = "auto",
        low_priority: bool = True,
    ) -> Sweep:
        """Check every combination, make the folder and write sweep.json.

        Raises ConfigError and FolderError as `check_grid` does, TrainingError where the folder holds a search already or cannot be
        made.
        """
        check_grid(base, grid, data=data)
        path = Path(path).resolve()
        if (path / "config.json").exists():  # its status would be overwritten
            raise TrainingError(f"{path} holds a training. Choose another folder for the search.")
        if (path / "sweep.json").exists():
            raise TrainingError(f"{path} already holds a search. Choose another folder, or go on with it: {resuming(path)}")
        header = {
            "name": name,
            "data": str(Path(data).resolve()),
            "parent": str(Path(parent).resolve()) if parent else None,
            "base": base.to_dict(),
            "grid": {field: list(values) for field, values in grid.items()},
            "exclude": sorted(exclude),
            "device": device,
            "low_priority": low_priority,
            "created": time.time(),
        }
        try:
            path.mkdir(parents=True, exist_ok=True)
            replace_text(path / "sweep.json", json.dumps(header, indent=2, ensure_ascii=False), durable=True)
        except OSError as error:
            raise TrainingError(f"{path} cannot be made a search folder ({error.strerror}). Choose another folder.") from error
        made = cls(path, header)
        made.write_status("created")
        return made

    @classmethod
    def open(cls, path: str | Path) -> Sweep:
        """Read an existing search. Raises TrainingError when the folder holds none or it cannot be understood."""
        path = Path(path).resolve()
        header = read_object(path / "sweep.json")
        if header is None:
            raise TrainingError(f"{path} holds no search. Start one: panda sweep DATA --out {path} --grid FIELD=VALUE,VALUE")
        try:
            return cls(path, header)
        except (ValueError, KeyError, TypeError, AttributeError, ConfigError) as error:
            raise TrainingError(f"{path / 'sweep.json'} cannot be understood ({error}). Start a new search in another folder.") from error

    def status(self) -> SearchStatus:
        """Where the search stands; reads one small file. Raises TrainingError when that is damaged."""
        status = self._last_status()
        if not self._claims_life(status) or self.alive():
            return status
        status = self._last_status()  # the process may have finished between the read and the probe
        if not self._claims_life(status):
            return status
        detail = "The search ended without saying so (killed, or the machine went down). Resume goes on with what is left."
        if status.state == "created":
            detail = "The search was asked for and never began. Start it with Resume."
        return SearchStatus("interrupted", status.trials, detail, status.updated)

    def write_status(self, state: SearchState, trials: Sequence[Trial] | None = None, *, detail: str = "") -> None:
        """Replace status.json; ``trials`` None: those that were written before."""
        if trials is None:
            trials = self._last_status().trials
        if state == "stopped":  # and with it the training it was in
            trials = [replace(trial, state="stopped") if trial.state == "running" else trial for trial in trials]
        content = {"state": state, "detail": detail, "updated": time.time(), "trials": [asdict(trial) for trial in trials]}
        replace_text(self.path / "status.json", json.dumps(content, ensure_ascii=False, allow_nan=False), durable=False)

    def alive(self) -> bool:
        """Whether a process leads this search now."""
        return self._lock.is_locked or is_held(self.path / "alive.lock")

    def cancel(self) -> None:
        """Ask the search to stop, with the run it is training."""
        (self.path / "cancel").touch()

    def cancelled(self) -> bool:
        """Whether somebody asked to stop."""
        return (self.path / "cancel").exists()

    def clear_cancel(self) -> None:
        """Take the request back, as a resume does."""
        (self.path / "cancel").unlink(missing_ok=True)

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Be the one process that leads; letting go clears a request to stop, which has been met. Raises TrainingError."""
        try:
            self._lock.acquire(timeout=LOCK_TIMEOUT)
        except Timeout as error:
            raise TrainingError(
                f"Another process leads the search {self.path}. Wait for it, or stop it: touch {shlex.quote(str(self.path / 'cancel'))}"
            ) from error
        try:
            yield
        finally:
            self.clear_cancel()
            self._lock.release()

    def _last_status(self) -> SearchStatus:
        content = read_object(self.path / "status.json")
        if content is None:
            return SearchStatus("created", tuple(Trial(number, values, "waiting") for number, values in enumerate(self.combinations)))
        try:
            trials = tuple(Trial(**trial) for trial in content["trials"])
            return SearchStatus(content["state"], trials, str(content["detail"]), float(content["updated"]))
        except (KeyError, TypeError, ValueError) as error:
            raise TrainingError(
                f"{self.path / 'status.json'} cannot be understood ({error}). Delete it; resuming the search writes it anew."
            ) from error

    @staticmethod
    def _claims_life(status: SearchStatus) -> bool:
        late = status.state == "created" and 0 < status.updated < time.time() - LAUNCH_GRACE
        return late or status.state == "running"


def check_grid(base: Config, grid: Mapping[str, Sequence[Value]], *, data: str | Path | None = None) -> list[Config]:
    """The configuration of every combination, in the grid's order.

    Raises ConfigError where the grid is empty or too large, names a value twice, or a combination is not a valid configuration,
    FolderError where ``data`` is given and no folder.
    """
    if data is not None and not Path(data).is_dir():
        raise FolderError(f"{data} is not a folder. Give the path of a folder with normal images.")
    if not grid or not all(grid.values()):
        raise ConfigError("The grid is empty. Name fields and values, e.g. loss.adversarial_weight=0.01,0.05,0.1.")
    for field, values in grid.items():
        for place, value in enumerate(values):
            if value in values[:place]:  # 1 and 1.0, too: Optuna takes them for one
                raise ConfigError(f"The grid names {field}={value} twice. Name each value once: equal trainings tell nothing new.")
    count = count_combinations(grid)
    if count > MOST_TRIALS:
        raise ConfigError(f"The grid has {count} combinations; at most {MOST_TRIALS} are trained. Leave out some values.")
    return [base.override(**dict(zip(grid, values, strict=True))) for values in itertools.product(*grid.values())]


def count_combinations(grid: Mapping[str, Sequence[Value]]) -> int:
    """How many trainings a grid asks for."""
    count = 1
    for values in grid.values():
        count *= len(values)
    return count


def parse_values(text: str) -> list[Value]:
    """ "0.01, 0.05" -> [0.01, 0.05]; what does not parse as JSON is a word. Empty parts are left out."""
    return [_value(part.strip()) for part in text.split(",") if part.strip()]


def _value(text: str) -> Value:
    try:
        found = json.loads(text)
    except ValueError:
        return text
    return found if isinstance(found, bool | int | float | str) else text
