"""A grid search trains every combination once, goes on where it was stopped, and chooses by held-out images only."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from safetensors.numpy import save_file

from panda_core import sweeper as sweeper_module
from panda_core.__main__ import run
from panda_core.cli.sweeping import parse_row
from panda_core.cli.sweeping import sweep as command
from panda_core.config import Config
from panda_core.errors import ConfigError, FolderError, TrainingError
from panda_core.presets import preset
from panda_core.runs import RunDir
from panda_core.sweep import MOST_TRIALS, Sweep, Trial, parse_values
from panda_core.sweeper import lead, validation

GRID = {"train.seed": [0, 1], "data.size": [32, 64]}


class FakeJobs:
    """Runs that are over as soon as they are begun, as ``finish`` ends them."""

    def __init__(self, place: Path, finish: Callable[[RunDir], None]) -> None:
        self.place, self.finish = place, finish
        self.started: list[str] = []
        self.resumed: list[str] = []

    def list(self) -> tuple[RunDir, ...]:
        return tuple(RunDir.open(path) for path in sorted(self.place.glob("*"), reverse=True))

    def start(self, data: Path, config: Config, *, name: str, low_priority: bool, **options: Any) -> RunDir:
        self.started.append(name)
        run = RunDir.create(self.place / f"{len(self.started):04d}-{name}", config, data, name=name, **options)
        self.low_priority = low_priority
        self.finish(run)
        return run

    def resume(self, name: str) -> None:
        self.resumed.append(name)
        self.finish(RunDir.open(self.place / name))

    def cancel(self, name: str) -> None:
        RunDir.open(self.place / name).write_status("stopped")


def write_scores(folder: Path, normal: Sequence[float], anomalous: Sequence[float]) -> None:
    folder.mkdir()
    arrays = {"calibration.normal_scores": np.array(normal), "calibration.anomalous_scores": np.array(anomalous, dtype=float)}
    save_file(arrays, folder / "model.safetensors")


def finish_well(run: RunDir) -> None:
    """The larger the seed, the better the model; the size only moves the anomalies further away."""
    overlap = 0.0 if run.config.train.seed else 2.0
    write_scores(run.model_path, [0.0, 1.0, 2.0], [2.5 - overlap, 3.0, 3.0 + run.config.data.size])
    run.write_status("done")


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeper_module, "POLL_SECONDS", 0.01)


def make_sweep(tmp_path: Path, grid: dict[str, Any] = GRID, *, place: str = "search") -> Sweep:
    return Sweep.create(tmp_path / place, tmp_path, preset("tiny"), grid)


def trials_of(search: Sweep) -> tuple[Trial, ...]:
    return search.status().trials


def test_every_combination_is_trained_once_and_the_best_is_named(tmp_path: Path) -> None:
    search, jobs = make_sweep(tmp_path), FakeJobs(tmp_path / "runs", finish_well)
    seen: list[int] = []
    assert lead(search, jobs, on_trial=lambda trial: seen.append(trial.number)) == "done"  # type: ignore[arg-type]
    trials = trials_of(search)
    assert seen == [0, 1, 2, 3] and len(jobs.started) == 4
    assert [dict(trial.values) for trial in trials] == [{"train.seed": s, "data.size": d} for s in (0, 1) for d in (32, 64)]
    assert [trial.state for trial in trials] == ["done"] * 4
    assert {RunDir.open(jobs.place / trial.run).config.train.seed for trial in trials} == {0, 1}
    assert trials[0].auroc == pytest.approx(7 / 9) and trials[2].auroc == 1.0
    best = search.status().best
    assert best is not None and best.values["train.seed"] == 1
    assert best.separation == max(trial.separation or 0 for trial in trials if trial.auroc == 1.0)


@pytest.mark.parametrize("place", ["50%25 parts", "{new} parts", "what?"])
def test_values_that_lie_close_together_are_trained_in_a_folder_of_any_name(tmp_path: Path, place: str) -> None:
    search, jobs = (
        make_sweep(tmp_path, {"train.seed": [20261128, 20261129, 20261130]}, place=place),
        FakeJobs(tmp_path / "runs", finish_well),
    )
    assert lead(search, jobs) == "done"  # type: ignore[arg-type]
    assert [trial.state for trial in trials_of(search)] == ["done"] * 3
    assert (search.path / "sweep.db").is_file()


def test_a_training_and_a_search_do_not_share_a_folder(tmp_path: Path) -> None:
    search = make_sweep(tmp_path)
    with pytest.raises(TrainingError, match="grid search"):
        RunDir.create(search.path, preset("tiny"), tmp_path / "data")
    run = RunDir.create(tmp_path / "run", preset("tiny"), tmp_path / "data")
    with pytest.raises(TrainingError, match="holds a training"):
        make_sweep(tmp_path, place="run")
    assert run.status().state == "created" and search.status().state == "created"


def test_a_search_that_broke_off_says_so(tmp_path: Path) -> None:
    def break_off(run: RunDir) -> None:
        raise RuntimeError("database or disk is full")

    search = make_sweep(tmp_path)
    with pytest.raises(RuntimeError):
        lead(search, FakeJobs(tmp_path / "runs", break_off))  # type: ignore[arg-type]
    assert search.status().state == "failed" and "disk is full" in search.status().detail


def test_running_it_again_trains_nothing_anew(tmp_path: Path) -> None:
    search, jobs = make_sweep(tmp_path), FakeJobs(tmp_path / "runs", finish_well)
    lead(search, jobs)  # type: ignore[arg-type]
    before = trials_of(search)
    again = Sweep.open(search.path)
    assert lead(again, jobs) == "done" and len(jobs.started) == 4  # type: ignore[arg-type]
    assert trials_of(again) == before


def test_a_failed_training_is_a_failed_trial_and_the_search_goes_on(tmp_path: Path) -> None:
    def finish(run: RunDir) -> None:
        if run.config.data.size == 64:
            run.write_status("failed", detail="The gradient is not finite.")
        else:
            finish_well(run)

    search, jobs = make_sweep(tmp_path), FakeJobs(tmp_path / "runs", finish)
    assert lead(search, jobs) == "done"  # type: ignore[arg-type]
    assert [trial.state for trial in trials_of(search)] == ["done", "failed", "done", "failed"]
    assert trials_of(search)[1].detail == "The gradient is not finite."
    best = search.status().best
    assert best is not None and best.number == 2


def test_a_search_that_died_goes_on_in_the_run_it_was_training(tmp_path: Path) -> None:
    class Killed(Exception):
        pass

    def die(run: RunDir) -> None:
        if run.name.endswith("002"):
            run.write_status("stopped")
            raise Killed
        finish_well(run)

    search, jobs = make_sweep(tmp_path), FakeJobs(tmp_path / "runs", die)
    with pytest.raises(Killed):
        lead(search, jobs)  # type: ignore[arg-type]
    assert [trial.state for trial in trials_of(search)] == ["done", "running", "waiting", "waiting"]
    jobs.finish = finish_well
    assert lead(Sweep.open(search.path), jobs) == "done"  # type: ignore[arg-type]
    assert jobs.resumed == ["0002-search-002"] and len(jobs.started) == 4
    assert [trial.state for trial in trials_of(search)] == ["done"] * 4


@pytest.mark.parametrize(
    ("place", "grid"),
    [("search", GRID), ("search", {"loss.adversarial_weight": [0.5, 0.9]}), ("other/search", {"loss.adversarial_weight": [0.5, 0.9]})],
    ids=["made-again", "made-again-with-another-grid", "of-the-same-name"],
)
def test_a_search_does_not_take_over_the_trainings_of_another(tmp_path: Path, place: str, grid: dict[str, Any]) -> None:
    jobs = FakeJobs(tmp_path / "runs", finish_well)
    first = make_sweep(tmp_path)
    lead(first, jobs)  # type: ignore[arg-type]
    before = {trial.run for trial in trials_of(first)}
    shutil.rmtree(first.path)
    second = make_sweep(tmp_path, grid, place=place)
    assert lead(second, jobs) == "done"  # type: ignore[arg-type]
    for trial in trials_of(second):
        assert trial.run not in before
        assert RunDir.open(jobs.place / trial.run).config == preset("tiny").override(**trial.values)


def test_a_search_that_was_stopped_goes_on_with_its_own_training_and_not_with_its_twins(tmp_path: Path) -> None:
    search, twin = make_sweep(tmp_path), make_sweep(tmp_path, place="other/search")
    jobs = FakeJobs(tmp_path / "runs", lambda run: search.cancel())
    assert lead(search, jobs) == "stopped"  # type: ignore[arg-type]
    jobs.finish = finish_well
    lead(twin, jobs)  # type: ignore[arg-type]
    search = Sweep.open(search.path.rename(tmp_path / "renamed"))
    assert lead(search, jobs) == "done"  # type: ignore[arg-type]
    assert jobs.resumed == ["0001-search-001"] and len(jobs.started) == 1 + 4 + 3
    assert not {trial.run for trial in trials_of(search)} & {trial.run for trial in trials_of(twin)}


@pytest.mark.parametrize("change", ["config", "parent", "exclude", "created"])
def test_a_killed_search_goes_on_in_no_run_that_it_would_not_have_started(tmp_path: Path, change: str) -> None:
    class Killed(Exception):
        pass

    class Dying(FakeJobs):
        def start(self, *_arguments: object, **_options: object) -> RunDir:
            raise Killed

    place, config = tmp_path / "runs", preset("tiny").override(**{"train.seed": 0})
    search = make_sweep(tmp_path, {"train.seed": [0]})
    with pytest.raises(Killed):
        lead(search, Dying(place, finish_well))  # type: ignore[arg-type]
    foreign: dict[str, Any] = {"parent": {"parent": tmp_path}, "exclude": {"exclude": ["ab"]}}.get(change, {})
    if change == "config":
        config = config.override(**{"train.seed": 1})
    run = RunDir.create(place / "0000-search-001", config, tmp_path, name="search-001", **foreign)
    if change == "created":
        header = run.path / "config.json"
        header.write_text(header.read_text().replace(f'"created": {run.created}', f'"created": {search.created - 1}'))
    finish_well(run)
    jobs = FakeJobs(place, finish_well)
    assert lead(search, jobs) == "done"  # type: ignore[arg-type]
    assert jobs.started == ["search-001"]


def test_asking_it_to_stop_stops_the_present_run_and_keeps_the_rest(tmp_path: Path) -> None:
    search = make_sweep(tmp_path)
    jobs = FakeJobs(tmp_path / "runs", lambda run: search.cancel() if run.name.endswith("002") else finish_well(run))
    assert lead(search, jobs) == "stopped"  # type: ignore[arg-type]
    assert [trial.state for trial in trials_of(search)] == ["done", "stopped", "waiting", "waiting"]
    assert not search.cancelled(), "the request has been met"


def test_a_training_that_was_stopped_alone_is_no_failed_trial(tmp_path: Path) -> None:
    search = make_sweep(tmp_path)
    jobs = FakeJobs(tmp_path / "runs", lambda run: run.write_status("stopped", detail="Stopped at step 3 of 10."))
    assert lead(search, jobs) == "stopped"  # type: ignore[arg-type]
    assert [trial.state for trial in trials_of(search)] == ["stopped", "waiting", "waiting", "waiting"]
    jobs.finish = finish_well
    assert lead(search, jobs) == "done" and jobs.resumed == ["0001-search-001"]  # type: ignore[arg-type]


def test_one_process_leads_a_search(tmp_path: Path) -> None:
    search = make_sweep(tmp_path, {"train.seed": [0]})
    inside, go = threading.Event(), threading.Event()

    def wait(run: RunDir) -> None:
        inside.set()
        go.wait(10)
        finish_well(run)

    thread = threading.Thread(target=lead, args=[search, FakeJobs(tmp_path / "runs", wait)])
    thread.start()
    inside.wait(10)
    other = Sweep.open(search.path)
    assert other.alive()
    go.set()
    thread.join()
    assert not other.alive()


@pytest.mark.parametrize(
    ("grid", "words"),
    [
        ({}, "empty"),
        ({"train.seed": []}, "empty"),
        ({"loss.adversarial_weight": parse_values("0.1,0.10,1")}, "loss.adversarial_weight=0.1 twice"),
        ({"loss.adversarial_weight": parse_values("0.1,1,1.0")}, "loss.adversarial_weight=1.0 twice"),
        ({"train.sede": [1]}, "train.seed"),
        ({"data.size": [32, 33]}, "multiple of 32"),
        ({"train.seed": list(range(MOST_TRIALS + 1))}, "Leave out"),
    ],
)
def test_a_grid_that_cannot_be_trained_is_refused_before_anything_is_written(tmp_path: Path, grid: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        make_sweep(tmp_path, grid)
    assert not (tmp_path / "search").exists()


def test_a_folder_holds_one_search(tmp_path: Path) -> None:
    make_sweep(tmp_path)
    with pytest.raises(TrainingError, match="--resume"):
        make_sweep(tmp_path)
    with pytest.raises(TrainingError, match="holds no search"):
        Sweep.open(tmp_path)
    (tmp_path / "search" / "sweep.json").write_text("{}")
    with pytest.raises(TrainingError, match="cannot be understood"):
        Sweep.open(tmp_path / "search")


def test_a_model_without_calibration_anomalies_has_no_value(tmp_path: Path) -> None:
    write_scores(tmp_path / "model", [0.0, 1.0], [])
    with pytest.raises(TrainingError, match="boundary=auto"):
        validation(tmp_path / "model")
    with pytest.raises(TrainingError, match="cannot be read"):
        validation(tmp_path / "nowhere")


def test_the_command_reads_grids_and_shows_what_was_found(tmp_path: Path) -> None:
    assert parse_row("train.seed=0,1") == ("train.seed", [0, 1])
    assert parse_row("data.augment=flip, none") == ("data.augment", ["flip", "none"])
    search = make_sweep(tmp_path)
    lead(search, FakeJobs(tmp_path / "runs", finish_well))  # type: ignore[arg-type]
    shown = CliRunner().invoke(command, ["--out", str(search.path), "--show", "--json"], catch_exceptions=False)
    document = json.loads(shown.stdout)
    assert document["best"] in (2, 3) and len(document["trials"]) == 4
    for wrong in (
        ["--out", str(search.path), "--show", "--preset", "best"],
        ["--out", "x"],
        ["d", "--out", "x", "--grid", "seed"],
        ["d", "--out", "x", "--show"],
    ):
        assert CliRunner().invoke(command, wrong).exit_code == 2


def test_a_folder_that_is_not_there_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(FolderError, match="is not a folder"):
        Sweep.create(tmp_path / "search", tmp_path / "absent", preset("tiny"), GRID)
    assert not (tmp_path / "search").exists()


@pytest.mark.parametrize(("ends", "code"), [("failed", 1), ("done", 0)])
def test_the_exit_code_tells_whether_any_training_gave_a_model(tmp_path: Path, ends: str, code: int) -> None:
    search = make_sweep(tmp_path)
    finish = finish_well if ends == "done" else lambda one: one.write_status("failed", detail="No.")
    lead(search, FakeJobs(tmp_path / "runs", finish))  # type: ignore[arg-type]
    assert run(["sweep", "--out", str(search.path), "--show"]) == code
