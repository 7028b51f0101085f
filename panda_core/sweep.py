"""A grid search: every combination of a few fields' values is trained as a run of its own, and compared on held-out images only.

    sweep.json    data folder, base configuration, grid; written first, never changed
    sweep.db      Optuna's study: one trial a combination, with its number of the run and its result
    alive.lock    held by the process that leads the search
    cancel        an empty file: please stop

The runs lie among all other runs and use their queue. A search that was stopped or killed goes on where it was, in the run it was
training. Test images are never looked at: a trial's value is the AUROC on the images its model was calibrated with, which are
held-out normal images against known anomalies, or synthetic ones where none are known (section IV-C: the paper, too, chose its
weights by a grid search).
"""

from __future__ import annotations

import itertools
import json
import os
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from filelock import FileLock, Timeout

from panda_core.card import TENSOR_FILE
from panda_core.config import Config
from panda_core.errors import ConfigError, PandaError, TrainingError
from panda_core.runs import LOCK_TIMEOUT, RunDir
from panda_core.scoring.metrics import auroc

if TYPE_CHECKING:
    import optuna

    from panda_core.jobs import Jobs

MOST_TRIALS = 64
"""A larger grid would take days on the machines this is made for."""
POLL_SECONDS = 1.0
Value = bool | int | float | str
TrialState = Literal["waiting", "running", "done", "failed"]
STATES: Mapping[str, TrialState] = {"WAITING": "waiting", "RUNNING": "running", "COMPLETE": "done", "FAIL": "failed"}
"""Optuna's names -> ours."""


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


class Sweep:
    """One grid search on disk. Make it with ``create`` or ``open``."""

    def __init__(self, path: Path, *, data: Path, base: Config, grid: Mapping[str, Sequence[Value]], exclude: Collection[str], device: str):
        self.path, self.data, self.base, self.device = path, data, base, device
        self.grid = {field: tuple(values) for field, values in grid.items()}
        self.exclude = frozenset(exclude)
        self.combinations = [dict(zip(self.grid, values, strict=True)) for values in itertools.product(*self.grid.values())]
        self._lock = FileLock(path / "alive.lock")

    @property
    def name(self) -> str:
        """The folder's name; the runs' names begin with it."""
        return self.path.name

    @classmethod
    def create(
        cls,
        path: str | Path,
        data: str | Path,
        base: Config,
        grid: Mapping[str, Sequence[Value]],
        *,
        exclude: Collection[str] = (),
        device: str = "auto",
    ) -> Sweep:
        """Check every combination, make the folder and write sweep.json.

        Raises ConfigError where the grid is empty or too large or a combination is not a valid configuration, TrainingError where
        the folder holds a search already or cannot be made.
        """
        sweep = cls(Path(path).resolve(), data=Path(data).resolve(), base=base, grid=grid, exclude=exclude, device=device)
        sweep._check_grid()
        if (sweep.path / "sweep.json").exists():
            raise TrainingError(
                f"{sweep.path} already holds a search. Choose another folder, or go on with it: panda sweep --out {path} --resume"
            )
        header = {
            "data": str(sweep.data),
            "base": base.to_dict(),
            "grid": {field: list(values) for field, values in sweep.grid.items()},
            "exclude": sorted(sweep.exclude),
            "device": device,
            "created": time.time(),
        }
        try:
            sweep.path.mkdir(parents=True, exist_ok=True)
            temporary = sweep.path / f".sweep.json.{uuid.uuid4().hex}"
            temporary.write_text(json.dumps(header, indent=2, ensure_ascii=False), encoding="utf-8")
            os.replace(temporary, sweep.path / "sweep.json")
        except OSError as error:
            raise TrainingError(f"{sweep.path} cannot be made a search folder ({error.strerror}). Choose another folder.") from error
        return sweep

    @classmethod
    def open(cls, path: str | Path) -> Sweep:
        """Read an existing search. Raises TrainingError when the folder holds none or it cannot be understood."""
        path = Path(path).resolve()
        try:
            header = json.loads((path / "sweep.json").read_text(encoding="utf-8"))
            base = Config.from_dict(header["base"])
            return cls(
                path, data=Path(header["data"]), base=base, grid=header["grid"], exclude=header["exclude"], device=str(header["device"])
            )
        except OSError as error:
            raise TrainingError(f"{path} holds no search. Start one: panda sweep DATA --out {path} --grid FIELD=VALUE,VALUE") from error
        except (ValueError, KeyError, TypeError, AttributeError, ConfigError) as error:
            raise TrainingError(f"{path / 'sweep.json'} cannot be understood ({error}). Start a new search in another folder.") from error

    def run(
        self, jobs: Jobs, *, on_trial: Callable[[Trial], None] = lambda trial: None, should_stop: Callable[[], bool] = lambda: False
    ) -> Literal["done", "stopped"]:
        """Train what is left of the grid, one run after the other; "stopped" when asked to, with the present run stopped, too.

        A training that fails is a failed trial, and the search goes on. Raises TrainingError where another process leads this search.
        """
        with self._hold():
            study = self._study()
            for number, values in enumerate(self.combinations):
                study.enqueue_trial(values, user_attrs={"number": number}, skip_if_exists=True)
            while (trial := self._next(study)) is not None:
                index, number = trial
                run = self._begin(jobs, number)
                study.set_user_attr(f"run {number}", run.path.name)
                if not self._wait(jobs, run, lambda: should_stop() or self.cancelled()):
                    return "stopped"
                self._tell(study, index, number, run)
                on_trial(self.trials()[number])
        return "done"

    def trials(self) -> tuple[Trial, ...]:
        """All combinations in the grid's order, with what is known of them; reads the study only."""
        found = [Trial(number, values, "waiting") for number, values in enumerate(self.combinations)]
        if (self.path / "sweep.db").exists():
            study = self._study()
            said = study.user_attrs
            for frozen in study.get_trials(deepcopy=False):
                number = int(frozen.user_attrs["number"])
                found[number] = replace(
                    found[number],
                    state=STATES[frozen.state.name],
                    run=said.get(f"run {number}", ""),
                    auroc=frozen.value,
                    separation=said.get(f"separation {number}"),
                    detail=said.get(f"detail {number}", ""),
                )
        return tuple(found)

    def best(self) -> Trial | None:
        """The finished trial of the highest AUROC on held-out images; among equals the one that separates more. None before any."""
        done = [trial for trial in self.trials() if trial.state == "done"]
        return max(done, key=lambda trial: (trial.auroc or 0.0, trial.separation or 0.0), default=None)

    def alive(self) -> bool:
        """Whether a process leads this search now."""
        if self._lock.is_locked:
            return True
        try:
            with FileLock(self.path / "alive.lock").acquire(timeout=0):
                return False
        except Timeout:
            return True

    def cancel(self) -> None:
        """Ask the search to stop, with the run it is training."""
        (self.path / "cancel").touch()

    def cancelled(self) -> bool:
        """Whether somebody asked to stop."""
        return (self.path / "cancel").exists()

    @contextmanager
    def _hold(self) -> Iterator[None]:
        try:
            self._lock.acquire(timeout=LOCK_TIMEOUT)
        except Timeout as error:
            raise TrainingError(
                f"Another process leads the search {self.path}. Wait for it, or stop it: touch {self.path / 'cancel'}"
            ) from error
        try:
            yield
        finally:
            (self.path / "cancel").unlink(missing_ok=True)
            self._lock.release()

    def _check_grid(self) -> None:
        if not self.grid or not all(self.grid.values()):
            raise ConfigError("The grid is empty. Name fields and values, e.g. loss.adversarial_weight=0.01,0.05,0.1.")
        if len(self.combinations) > MOST_TRIALS:
            raise ConfigError(
                f"The grid has {len(self.combinations)} combinations; at most {MOST_TRIALS} are trained. Leave out some values."
            )
        for values in self.combinations:
            self.base.override(**values)

    def _study(self) -> optuna.Study:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        return optuna.create_study(
            storage=f"sqlite:///{self.path / 'sweep.db'}", study_name="sweep", direction="maximize", load_if_exists=True
        )

    def _next(self, study: optuna.Study) -> tuple[int, int] | None:
        """(index in the study, number in the grid) of the trial to train: the one a killed process left, else the next one waiting."""
        from optuna.trial import TrialState as State

        left = study.get_trials(deepcopy=False, states=(State.RUNNING,))
        if left:
            return left[0].number, int(left[0].user_attrs["number"])
        if not study.get_trials(deepcopy=False, states=(State.WAITING,)):
            return None
        trial = study.ask()
        for field, values in self.grid.items():
            trial.suggest_categorical(field, values)
        return trial.number, int(trial.user_attrs["number"])

    def _begin(self, jobs: Jobs, number: int) -> RunDir:
        """The trial's run, under way: found by its name where a killed search had begun it."""
        name = f"{self.name}-{number:03d}"
        known = [run for run in jobs.list() if isinstance(run, RunDir) and run.name == name and run.data == self.data]
        if not known:
            config = self.base.override(**self.combinations[number])
            return jobs.start(self.data, config, name=name, exclude=sorted(self.exclude), device=self.device)
        if known[0].status().state in ("stopped", "interrupted"):
            jobs.resume(known[0].path.name)
        return known[0]

    def _wait(self, jobs: Jobs, run: RunDir, should_stop: Callable[[], bool]) -> bool:
        """Until the run is over; False where the search was asked to stop, which stops the run."""
        stopping = False
        while not run.status().over:
            if not stopping and should_stop():
                jobs.cancel(run.path.name)
                stopping = True
            time.sleep(POLL_SECONDS)
        return not stopping or run.status().state in ("done", "failed")

    def _tell(self, study: optuna.Study, index: int, number: int, run: RunDir) -> None:
        from optuna.trial import TrialState as State

        status = run.status()
        try:
            if status.state != "done":
                raise TrainingError(status.detail or f"The run was {status.state}.")
            area, separation = validation(run.model_path)
        except PandaError as error:
            study.set_user_attr(f"detail {number}", str(error))
            study.tell(index, state=State.FAIL)
            return
        study.set_user_attr(f"separation {number}", separation)
        study.tell(index, area)


def validation(model: Path) -> tuple[float, float]:
    """(AUROC, separation) of a model on the images it was calibrated with, from its file; needs no torch and no images.

    Raises TrainingError where the calibration had no anomalies, known or synthetic, or the file cannot be read.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(model / TENSOR_FILE, framework="numpy") as file:
            normal, anomalous = (np.asarray(file.get_tensor(f"calibration.{kind}_scores")) for kind in ("normal", "anomalous"))
    except (OSError, SafetensorError) as error:
        raise TrainingError(f"{model} cannot be read ({error}), so the trial has no value. Train it again.") from error
    if not anomalous.size:
        raise TrainingError("The model was calibrated without anomalies, so there is nothing to compare by. Set scoring.boundary=auto.")
    labels = np.concatenate([np.zeros(normal.size), np.ones(anomalous.size)])
    spread = float(np.sqrt((normal.var() + anomalous.var()) / 2))
    gap = float(anomalous.mean() - normal.mean())
    return auroc(labels, np.concatenate([normal, anomalous])), gap / spread if spread > 0 else 0.0
