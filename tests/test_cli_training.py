"""``panda train``, ``calibrate``, ``pretext`` and ``inspect`` where a person does what nobody asked for."""

from __future__ import annotations

import errno
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
from command_line import Captured, call, call_json

from panda_core import worker
from panda_core.card import read_card
from panda_core.config import TrainConfig
from panda_core.errors import BrokenOffError, TrainingError
from panda_core.inspector import Inspector
from panda_core.presets import preset
from panda_core.runs import RunDir
from panda_core.trainer import run_training
from panda_core.training import steps_between_checkpoints


def copied(run: RunDir, place: Path) -> RunDir:
    return RunDir.open(Path(shutil.copytree(run.path, place)))


def test_a_done_training_is_not_gone_on_with(capsys: Captured, tiny_run: RunDir, tmp_path: Path) -> None:
    run = copied(tiny_run, tmp_path / "run")
    code, _, err = call(capsys, "train", "--run", run.path, "--resume")
    assert code == 2 and "nothing to go on with" in err and str(run.model_path) in err
    assert run.status() == tiny_run.status()


@pytest.mark.parametrize("option", [("--preset", "best"), ("--name", "Other")])
def test_what_resume_would_ignore_is_refused(capsys: Captured, tmp_path: Path, option: tuple[str, str]) -> None:
    code, _, err = call(capsys, "train", "--run", tmp_path / "run", "--resume", *option)
    assert code == 2 and "takes data and settings from the run" in err


@pytest.mark.parametrize(("named", "taken"), [((), "cuda:1"), (("--device", "cpu"), "cpu")])
def test_resume_stays_on_the_device_unless_told_otherwise(
    capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: tuple[str, ...], taken: str
) -> None:
    run, seen = RunDir.create(tmp_path / "run", preset("tiny"), tmp_path, device="cuda:1"), list[str]()

    def stop(run: RunDir, *, device: str, **_: Any) -> str:
        seen.append(device)
        return "stopped"

    monkeypatch.setattr(worker, "work", stop)
    assert call(capsys, "train", "--run", run.path, "--resume", *named)[0] == 0
    assert seen == [taken]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_training_that_is_stopped_while_it_loads_has_stopped_as_asked(
    capsys: Captured, toy_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    train = worker._train

    def interrupted(run: RunDir, *arguments: Any) -> str:
        os.kill(os.getpid(), number)
        return train(run, *arguments)

    monkeypatch.setattr(worker, "_train", interrupted)
    code, _, err = call(capsys, "train", toy_folder, "--preset", "tiny", "--run", tmp_path / "run", "--device", "cpu")
    run = RunDir.open(tmp_path / "run")
    assert code == 0 and run.status().state == "stopped" and "--resume" in err.replace("\n", " ") and not run.cancelled()
    monkeypatch.undo()
    assert call(capsys, "train", "--run", run.path, "--resume", "--device", "cpu")[0] == 0 and run.status().state == "done"


def test_a_training_goes_on_with_the_images_it_began_with_only(toy_folder: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(toy_folder / "train" / "good", data)
    run = RunDir.create(tmp_path / "run", preset("tiny"), data)
    record = run.record

    def stop_early(event: dict[str, Any]) -> None:
        record(event)
        if event["event"] == "step":
            run.cancel()

    run.record = stop_early  # type: ignore[method-assign]
    assert run_training(run, device="cpu") == "stopped"
    shutil.copy(next((toy_folder / "test" / "good").iterdir()), data / "another.png")
    with pytest.raises(TrainingError, match="has changed since this training began"):
        run_training(RunDir.open(run.path), device="cpu")
    (data / "another.png").unlink()
    assert run_training(RunDir.open(run.path), device="cpu") == "done"


def test_what_training_and_calibrating_made_is_told_to_programs(capsys: Captured, toy_folder: Path, tmp_path: Path) -> None:
    steps = ("--set", "train.warmup_steps=2", "--set", "train.adversarial_steps=0")
    told = call_json(capsys, "train", toy_folder, "--preset", "tiny", "--run", tmp_path / "run", *steps, "--device", "cpu")
    card = read_card(tmp_path / "run" / "model")
    assert (told["state"], told["model"]) == ("done", str(tmp_path / "run" / "model"))
    assert [(one["auroc"], one["normal"], one["anomalous"]) for one in told["metrics"]] == [(card.metrics[0].auroc, 6, 6)]
    assert (told["boundary"], told["pixel_threshold"]) == (card.calibration["boundary"]["value"], card.calibration["pixel_threshold"])
    assert told["miss_rate"] == card.calibration["boundary"]["miss_rate"] and told["log"] is None
    assert told["false_alarm_rate"] == card.calibration["boundary"]["false_alarm_rate"]
    photos = Path(shutil.copytree(toy_folder / "test" / "good", tmp_path / "photos"))
    shutil.copy(photos / "000.png", photos / "copy.png")
    (photos / "broken.png").write_bytes(b"no picture")
    copy = tmp_path / "copy"
    options = ("--model", tmp_path / "run" / "model", "--out", copy, "--boundary", "tail", "--device", "cpu")
    told = call_json(capsys, "calibrate", photos, *options)
    assert (told["name"], told["path"], told["normal"], told["unused"]) == ("copy", str(copy), 6, 2)
    calibration = Inspector.load(copy, device="cpu").calibration
    assert (told["boundary"], told["boundary_kind"]) == (calibration.boundary.value, "tail")
    assert (told["false_alarm_rate"], told["pixel_threshold"]) == (calibration.boundary.false_alarm_rate, calibration.pixel_threshold)


def test_the_folder_one_is_in_is_not_replaced_by_a_model(
    capsys: Captured, toy_folder: Path, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for out in (".", "x/.."):
        code, _, err = call(capsys, "calibrate", toy_folder / "test" / "good", "--model", tiny_model, "--out", out)
        assert code == 2 and "the folder you are in" in err and not list(tmp_path.iterdir())


def test_a_training_that_stops_tells_programs_that_there_is_no_model(
    capsys: Captured, toy_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(run: RunDir, **_: Any) -> str:
        run.write_status("stopped")
        return "stopped"

    monkeypatch.setattr(worker, "work", stop)
    told = call_json(capsys, "train", toy_folder, "--preset", "tiny", "--run", tmp_path / "run")
    assert (told["state"], told["model"], told["metrics"]) == ("stopped", None, []) and "boundary" not in told


def test_checkpoints_come_with_the_epochs_but_a_hundred_at_most() -> None:
    train = TrainConfig(warmup_steps=600, adversarial_steps=400, batch=15)
    assert [steps_between_checkpoints(train, images) for images in (20, 100, 450)] == [10, 10, 30]
    assert steps_between_checkpoints(train, 1_000_000) == 100, "a large folder has checkpoints, too"
    assert steps_between_checkpoints(TrainConfig(warmup_steps=6, adversarial_steps=4, batch=15), 20) == 1


def test_what_the_machine_or_the_program_ended_is_exit_code_1(capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> str:
        raise MemoryError

    monkeypatch.setattr(worker, "_train", fail)
    run = RunDir.create(tmp_path / "run", preset("tiny"), tmp_path)
    code, _, err = call(capsys, "train", "--run", run.path, "--resume", "--device", "cpu")
    assert code == 1 and "memory" in err and run.status().state == "failed"
    assert issubclass(BrokenOffError, TrainingError)


def test_inspecting_a_folder_again_leaves_out_what_was_written_into_it(
    capsys: Captured, toy_folder: Path, tiny_model: Path, tmp_path: Path
) -> None:
    shutil.copytree(toy_folder / "test" / "good", tmp_path / "photos")
    out = tmp_path / "photos" / "results"
    first, again = (call_json(capsys, "inspect", tmp_path / "photos", "--model", tiny_model, "--out", out) for _ in range(2))
    assert [one["path"] for one in again] == [one["path"] for one in first]


def test_places_that_cannot_be_written_are_said_before_the_work(
    capsys: Captured, toy_folder: Path, tiny_model: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    normal = toy_folder / "test" / "good"
    code, _, err = call(capsys, "calibrate", normal, "--model", tiny_model, "--out", tmp_path / "file" / "copy")
    assert code == 2 and "below a file" in err
    code, _, err = call(capsys, "pretext", normal, "--out", tmp_path / "file")
    assert code == 2 and "exists" in err and (tmp_path / "file").read_text() == ""
    (tmp_path / "none").mkdir()
    code, _, err = call(capsys, "calibrate", normal, "--model", tiny_model, "--out", tmp_path / "copy", "--anomalies", tmp_path / "none")
    assert code == 2 and "holds no images" in err


def test_a_field_is_named_once_in_a_grid(capsys: Captured, toy_folder: Path, tmp_path: Path) -> None:
    grid = ("--grid", "train.seed=0", "--grid", "train.seed=1")
    code, _, err = call(capsys, "sweep", toy_folder, "--out", tmp_path / "search", *grid)
    assert code == 2 and "twice" in err and not (tmp_path / "search").exists()


def test_a_search_goes_on_where_it_began(capsys: Captured, tmp_path: Path) -> None:
    code, _, err = call(capsys, "sweep", "--out", tmp_path / "search", "--resume", "--device", "cpu")
    assert code == 2 and "leave out --device" in err


def test_a_model_named_as_a_folder_is_exported_beside_and_not_into_it(
    capsys: Captured, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(tiny_model, tmp_path / "parts")
    monkeypatch.chdir(tmp_path)
    assert call(capsys, "models", "export", "parts/")[0] == 0
    assert (tmp_path / "parts.zip").exists() and not list((tmp_path / "parts").glob(".zip"))


def test_calibrating_says_what_was_not_used(capsys: Captured, toy_folder: Path, tiny_model: Path, tmp_path: Path) -> None:
    photos = Path(shutil.copytree(toy_folder / "test" / "good", tmp_path / "photos"))
    shutil.copy(photos / "000.png", photos / "copy.png")
    (photos / "text.png").write_text("no picture")
    few = tmp_path / "few"
    few.mkdir()
    shutil.copy(toy_folder / "test" / "scar" / "000.png", few)
    code, _, err = call(capsys, "calibrate", photos, "--model", tiny_model, "--out", tmp_path / "copy", "--anomalies", few)
    assert code == 0 and "6 of 8 normal images were used" in err and f"anomalies in {few} were not used" in err


def test_a_place_that_turns_out_not_to_be_writable_is_a_sentence(
    capsys: Captured, toy_folder: Path, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(folder: Path, model: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(folder))

    monkeypatch.setattr("panda_core.checkpoint.save_model", refuse)
    code, _, err = call(capsys, "calibrate", toy_folder / "test" / "good", "--model", tiny_model, "--out", tmp_path / "copy")
    assert code == 2 and err.splitlines()[-1].startswith(f"Error: {tmp_path / 'copy'}: No space left on device.")
