"""`panda reproduce`: the list of runs, a rehearsal from nothing to tables and pictures, stopping, forecasts."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner, Result
from reproduction.made_up import disc_job, made_up

from panda_core.__main__ import COMMANDS, run
from panda_core.cli.reproducing import reproduce
from panda_core.cli.training import parse_change
from panda_core.presets import preset
from panda_core.reproduction import plots
from panda_core.reproduction.figures import draw_all
from panda_core.reproduction.forecast import forecast, seconds_of
from panda_core.reproduction.galleries import COLUMNS, GAP, SIDE, sheet
from panda_core.reproduction.plan import make_plan
from panda_core.reproduction.record import read_records, write_record
from panda_core.reproduction.running import Places
from panda_core.reproduction.tables import Results

ROOT = Path(__file__).resolve().parents[2]


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(reproduce, [str(argument) for argument in arguments])


def test_a_dry_run_lists_every_run_and_trains_nothing(tmp_path: Path) -> None:
    write_record(tmp_path, made_up(system="trivial", detector="trivial", preset="", size=0, train_seconds=7.0))
    result = call("table1", "table2", "--out", tmp_path, "--runs", tmp_path / "runs", "--dry-run", "--json", "--seeds", "0")
    assert result.exit_code == 0, result.output
    listed = {run["run"]: run for run in json.loads(result.stdout)["runs"]}
    assert len(listed) == len(make_plan(["table1", "table2"], seeds=[0]))
    assert listed["trivial--elpv-mono-0-seed0-reduced"]["state"] == "done"
    assert listed["trivial--mvtec_ad-bottle-0-seed0-reduced"] == {
        "run": "trivial--mvtec_ad-bottle-0-seed0-reduced", "state": "open", "detail": "", "seconds": 7.0
    }  # fmt: skip
    assert not (tmp_path / "runs").exists()
    table = call("table1", "--out", tmp_path, "--runs", tmp_path / "runs", "--dry-run")
    assert "runs to do" in table.stdout and "nothing like" in table.stdout


def test_runs_whose_preset_is_not_in_this_version_are_listed_as_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(__import__("panda_core.presets", fromlist=["PRESETS"]).PRESETS, "balanced")
    result = call("table2", "--out", tmp_path, "--runs", tmp_path, "--dry-run", "--json", "--only", "panda-pixel/mvtec_ad-bottle")
    assert {run["state"] for run in json.loads(result.stdout)["runs"]} == {"missing"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--seeds", "a"], "whole numbers"),
        (["--part", "3/2"], "K/N"),
        (["--quick", "--full"], "Choose one"),
    ],
)
def test_a_mistake_on_the_command_line_is_a_sentence(options: list[str], said: str, tmp_path: Path) -> None:
    result = call("table1", "--out", tmp_path, "--dry-run", *options)
    assert result.exit_code == 2 and said in result.output


def test_the_shares_of_several_machines_are_the_whole_plan(tmp_path: Path) -> None:
    def runs(*options: str) -> list[str]:
        result = call("all", "--out", tmp_path, "--runs", tmp_path, "--dry-run", "--json", *options)
        return [run["run"] for run in json.loads(result.stdout)["runs"]]

    assert sorted(runs("--part", "1/3") + runs("--part", "2/3") + runs("--part", "3/3")) == sorted(runs())


@pytest.mark.slow
def test_a_rehearsal_goes_from_nothing_to_tables(data_root: Path, tmp_path: Path) -> None:
    result = call(
        "table2", "--data", data_root, "--out", tmp_path / "out", "--runs", tmp_path / "runs", "--quick", "--seeds", "0",
        "--only", "trivial/*", "--only", "panda-dcgan/mvtec_ad-bottle", "--workers", "2", "--device", "cpu",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    out = tmp_path / "out" / "quick"
    assert {record.system for record in read_records(out)} == {"trivial", "panda-dcgan"}
    text = (out / "tables" / "table2-mvtec_ad-bottle.md").read_text()
    assert "| PANDA, DCGAN critic | " in text and "missing" in text and "pixel AUROC" in text
    before = {path: path.stat().st_mtime_ns for path in out.glob("records/*/*.json")}
    again = call("table2", "--data", data_root, "--out", tmp_path / "out", "--runs", tmp_path / "runs", "--quick", "--tables-only")
    assert again.exit_code == 0 and before == {path: path.stat().st_mtime_ns for path in out.glob("records/*/*.json")}


@pytest.mark.slow
def test_a_run_that_fails_is_told_by_the_exit_code(data_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def reproduce_trivial(sets: str) -> int:
        places = ["--data", str(data_root), "--out", str(tmp_path / "out"), "--runs", str(tmp_path / "runs")]
        return run(["reproduce", "table2", "--only", f"trivial/{sets}", "--seeds", "0", *places])

    assert reproduce_trivial("*") == 1, "of two data sets there is one"
    assert "1 of 2 runs failed" in capsys.readouterr().err
    assert [record.category for record in read_records(tmp_path / "out")] == ["bottle"]
    assert reproduce_trivial("mvtec_ad-bottle") == 0


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_signal_stops_the_trainings_with_a_checkpoint(data_root: Path, tmp_path: Path) -> None:
    command = [
        "reproduce",
        "table2",
        "--only",
        "panda-dcgan/mvtec_ad-bottle",
        "--seeds",
        "0",
        "--size",
        "32",
        "--device",
        "cpu",
        "--workers",
        "2",
    ]
    places = ["--data", str(data_root), "--out", str(tmp_path / "out"), "--runs", str(tmp_path / "runs")]
    with (tmp_path / "said").open("wb") as said:
        process = subprocess.Popen([sys.executable, "-m", "panda_core", *command, *places], cwd=ROOT, stdout=said, stderr=said)
    try:
        run = tmp_path / "runs" / "panda-dcgan--mvtec_ad-bottle-32-seed0-reduced"
        deadline = time.monotonic() + 300
        while not (run / "state.safetensors").exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=200) == 1
    finally:
        process.kill()
    assert json.loads((run / "status.json").read_text())["state"] == "stopped", (tmp_path / "said").read_text()
    assert read_records(tmp_path / "out") == ()


def test_a_forecast_takes_the_nearest_record_and_scales_it() -> None:
    near = made_up(system="panda-pixel", dataset="elpv", size=32, steps=100, train_seconds=50.0, measure_seconds=1.0)
    job = disc_job("panda-pixel")
    steps = job.config().train.warmup_steps + job.config().train.adversarial_steps
    assert seconds_of(job, [near]) == pytest.approx(steps / 2 + 1)
    assert seconds_of(job, [near, made_up(size=32, steps=100, train_seconds=9e9)]) == seconds_of(job, [near])
    assert seconds_of(disc_job("panda-dcgan"), [near]) is not None, "another training of the same detector"
    ahead = forecast([job, disc_job("trivial")], [near])
    assert (ahead.known, ahead.unknown) == (1, 1)


def test_without_matplotlib_one_sentence_says_what_to_install(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    results = Results([made_up(), made_up(dataset="plantvillage", category="apple")])
    drawn, problems = draw_all(["table1"], make_plan(["table1"]), places, results)
    assert drawn == [] and len(problems) == 1 and "requirements-reproduce.txt" in problems[0]


def test_plots_are_drawn_alike_twice(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="pip install -r requirements-reproduce.txt")
    results = Results([made_up(), made_up(system="trivial"), made_up(dataset="mnist", category="3", auprc_normal=0.9)])
    kept = {"best": {"labels": np.arange(20) % 2, "scores": np.arange(20.0), "boundary": np.array([4.0])}}
    for folder in (tmp_path / "a", tmp_path / "b"):
        plots.areas(folder / "areas.svg", results, "elpv", "mono")
        plots.leave_one_out_bars(folder / "bars.svg", results, "mnist")
        plots.score_distributions(folder / "scores.svg", kept, "discs")
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes() and b"<svg" in path.read_bytes()


def test_a_sheet_has_a_line_for_each_caption_and_a_column_for_each_picture() -> None:
    pictures = [np.full((10, 20, 3), 30 * number, np.uint8) for number in range(len(COLUMNS))]
    made = sheet([("one", pictures), ("two", pictures)])
    assert made.shape[1] == len(COLUMNS) * (SIDE + GAP) + GAP
    middle = made.shape[0] // 4
    assert [int(made[middle, GAP + n * (SIDE + GAP) + SIDE // 2, 0]) for n in range(len(COLUMNS))] == [30 * n for n in range(len(COLUMNS))]


def test_the_recipe_for_gpus_lists_runs_when_rehearsed(tmp_path: Path) -> None:
    """Every `panda reproduce` command of the page, with --dry-run."""
    commands = re.findall(r"^panda reproduce (.+)$", (ROOT / "docs/reproduce.md").read_text(), re.MULTILINE)
    assert len(commands) >= 6
    for command in commands:
        words = os.path.expandvars(command).split("#")[0].replace("'", "").split()
        result = call(*words, "--out", tmp_path, "--runs", tmp_path / "runs", *([] if "--dry-run" in words else ["--dry-run"]))
        assert result.exit_code == 0 and "runs to do" in result.stdout, f"{command}: {result.output}"


def test_every_other_command_of_the_recipe_is_one(tmp_path: Path) -> None:
    """`panda train` and `panda datasets` cannot be rehearsed without data and GPUs; their words can be read."""
    lines = re.findall(r"^panda (train|datasets) (.+)$", (ROOT / "docs/reproduce.md").read_text(), re.MULTILINE)
    assert {name for name, _ in lines} == {"train", "datasets"}
    for name, words in lines:
        command: click.Command = getattr(import_module(COMMANDS[name][0]), COMMANDS[name][1])
        rest = words.split()
        if isinstance(command, click.Group):
            command = command.commands[rest.pop(0)]
        context = command.make_context(name, rest)
        for change in context.params.get("changes", ()):
            preset(context.params["preset"]).override(**dict([parse_change(change)]))


def test_galleries_and_scores_come_from_a_run(finished: Places) -> None:
    drawn, problems = draw_all(["figures"], [disc_job("best")], finished, Results(read_records(finished.out)))
    assert finished.runs / "galleries/mvtec_ad-bottle.png" in drawn
    assert all("matplotlib" in problem for problem in problems)
