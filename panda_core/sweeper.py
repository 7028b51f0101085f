"""The process that leads a grid search: one run after the other, each compared by what its model says of held-out images.

What it goes on from is Optuna's study, so a search that was stopped or killed continues in the run it was training. Whoever only looks
reads `Sweep.status`, which needs neither Optuna nor the database.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from panda_core.card import TENSOR_FILE
from panda_core.errors import PandaError, TrainingError
from panda_core.runs import RunDir
from panda_core.scoring.metrics import auroc
from panda_core.sweep import Sweep, Trial, TrialState

if TYPE_CHECKING:
    from panda_core.config import Config
    from panda_core.jobs import Jobs

POLL_SECONDS = 1.0
STATES: Mapping[str, TrialState] = {"WAITING": "waiting", "RUNNING": "running", "COMPLETE": "done", "FAIL": "failed"}
"""Optuna's names -> ours."""


def lead(
    sweep: Sweep,
    jobs: Jobs,
    *,
    on_trial: Callable[[Trial], None] = lambda trial: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Literal["done", "stopped"]:
    """Train what is left of the grid, one run after the other; "stopped" when asked to, with the present run stopped, too.

    A training that fails is a failed trial, and the search goes on. Every error is written to the status before it is raised. Raises
    TrainingError where another process leads this search.
    """
    with sweep.hold(), _said(sweep):
        outcome = _Leader(sweep, jobs, on_trial, lambda: should_stop() or sweep.cancelled()).run()
        sweep.write_status(outcome, detail="" if outcome == "done" else "Stopped. Resume goes on with what is left.")
    return outcome


@contextmanager
def _said(sweep: Sweep) -> Iterator[None]:
    try:
        yield
    except PandaError as error:
        sweep.write_status("failed", detail=str(error))
        raise
    except OSError as error:
        said = f"A file could not be read or written: {error.strerror or error} ({error.filename or sweep.path}). Look at the disk."
        sweep.write_status("failed", detail=said)
        raise TrainingError(said) from error
    except Exception as error:  # of the study's database, for instance on a full disk
        sweep.write_status("failed", detail=f"The search broke off ({type(error).__name__}: {error}). Resume goes on with what is left.")
        raise


class _Leader:
    """Holds the study while a search is led."""

    def __init__(self, sweep: Sweep, jobs: Jobs, on_trial: Callable[[Trial], None], should_stop: Callable[[], bool]) -> None:
        import optuna
        from sqlalchemy.pool import NullPool

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.sweep, self.jobs, self.on_trial, self.should_stop = sweep, jobs, on_trial, should_stop
        database = sweep.path / "sweep.db"
        # Not by its path in an address: there, %, ? and braces of a folder's name mean something.
        storage = optuna.storages.RDBStorage(
            "sqlite://", engine_kwargs={"creator": lambda: sqlite3.connect(database), "poolclass": NullPool}
        )
        self.study = optuna.create_study(storage=storage, study_name="sweep", direction="maximize", load_if_exists=True)
        known = {trial.user_attrs["number"] for trial in self.study.get_trials(deepcopy=False)}
        # Not by Optuna's own search for what is there, which takes values for equal that lie close together.
        for number in set(range(len(sweep.combinations))) - known:
            self.study.enqueue_trial(sweep.combinations[number], user_attrs={"number": number})

    def run(self) -> Literal["done", "stopped"]:
        while (trial := self._next()) is not None:
            if self.should_stop():
                return "stopped"
            index, number, left = trial
            self._publish()
            run = (self._begun(number) if left else None) or self._start(number)
            self.study.set_user_attr(f"run {number}", run.path.name)
            self._publish()
            if not self._wait(run):
                return "stopped"
            self._tell(index, number, run)
            self.on_trial(self._publish()[number])
        self._publish()
        return "done"

    def _publish(self) -> tuple[Trial, ...]:
        """Write down for others what the study knows of every combination."""
        found = [Trial(number, values, "waiting") for number, values in enumerate(self.sweep.combinations)]
        said = self.study.user_attrs
        for frozen in self.study.get_trials(deepcopy=False):
            number = int(frozen.user_attrs["number"])
            found[number] = replace(
                found[number],
                state=STATES[frozen.state.name],
                run=said.get(f"run {number}", ""),
                auroc=frozen.value,
                separation=said.get(f"separation {number}"),
                detail=said.get(f"detail {number}", ""),
            )
        self.sweep.write_status("running", found)
        return tuple(found)

    def _next(self) -> tuple[int, int, bool] | None:
        """The trial to train: the one a killed or stopped process left, else the next one waiting.

        Given as (index in the study, number in the grid, whether it was left).
        """
        from optuna.trial import TrialState as State

        left = self.study.get_trials(deepcopy=False, states=(State.RUNNING,))
        if left:
            return left[0].number, int(left[0].user_attrs["number"]), True
        if not self.study.get_trials(deepcopy=False, states=(State.WAITING,)):
            return None
        trial = self.study.ask()
        for field, values in self.sweep.grid.items():
            trial.suggest_categorical(field, values)
        return trial.number, int(trial.user_attrs["number"]), False

    def _name(self, number: int) -> str:
        return f"{self.sweep.name}-{number + 1:03d}"  # counted as the page does

    def _config(self, number: int) -> Config:
        return self.sweep.base.override(**self.sweep.combinations[number])

    def _start(self, number: int) -> RunDir:
        sweep = self.sweep
        return self.jobs.start(
            sweep.data,
            self._config(number),
            name=self._name(number),
            parent=sweep.parent,
            exclude=sorted(sweep.exclude),
            device=sweep.device,
            low_priority=sweep.low_priority,
        )

    def _begun(self, number: int) -> RunDir | None:
        """The run that an earlier process had begun for this trial, under way again; None where it had begun none, or that is gone."""
        id = self.study.user_attrs.get(f"run {number}")  # None: it was killed before it could write down which
        for run in self.jobs.list():
            if isinstance(run, RunDir) and self._is_trial(run, number, id):
                if run.status().state in ("stopped", "interrupted"):
                    self.jobs.resume(run.path.name)
                return run
        return None

    def _is_trial(self, run: RunDir, number: int, id: str | None) -> bool:
        """Whether a run is this trial's: named so, and all that this search would have started it with; others may bear the same name."""
        if run.path.name != id if id else run.name != self._name(number):
            return False
        sweep = self.sweep
        wanted = (sweep.data, self._config(number), sweep.parent, sweep.exclude)
        return (run.data, run.config, run.parent, run.exclude) == wanted and run.created >= sweep.created

    def _wait(self, run: RunDir) -> bool:
        """Until the run is over; False where it was stopped, alone or with the search: `resume` goes on with it."""
        stopping = False
        while not run.status().over:
            if not stopping and self.should_stop():
                self.jobs.cancel(run.path.name)
                stopping = True
            time.sleep(POLL_SECONDS)
        state = run.status().state
        return state in ("done", "failed") or (state != "stopped" and not stopping and not self.should_stop())

    def _tell(self, index: int, number: int, run: RunDir) -> None:
        from optuna.trial import TrialState as State

        status = run.status()
        try:
            if status.state != "done":
                raise TrainingError(status.detail or f"The run was {status.state}.")
            area, separation = validation(run.model_path)
        except PandaError as error:
            self.study.set_user_attr(f"detail {number}", str(error))
            self.study.tell(index, state=State.FAIL)
            return
        self.study.set_user_attr(f"separation {number}", separation)
        self.study.tell(index, area)


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
