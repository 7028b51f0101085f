"""Fine-tuning begins with a model's networks, keeps its architecture and is compared with it; a training says what it does meanwhile."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import pytest
import torch
from click.testing import CliRunner

from panda_core import finishing
from panda_core import trainer as trainer_module
from panda_core.__main__ import panda
from panda_core.card import find_model, read_card
from panda_core.checkpoint import load_model
from panda_core.cli.results import results
from panda_core.cli.training import starting_point
from panda_core.data.images import content_hash
from panda_core.detectors import build_detector
from panda_core.errors import ConfigError, TrainingError
from panda_core.origins import read_origins
from panda_core.presets import PRESETS, tuned
from panda_core.resume import load_state
from panda_core.runs import RunDir
from panda_core.trainer import run_training
from panda_core.training import Progress
from panda_core.tuning import check_tuning, take_over
from panda_core.watching import MOST_PREVIEWS, thin_out


@pytest.fixture(scope="module")
def child(tiny_run: RunDir, toy_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """A finished fine-tuning of the tiny model."""
    config = tuned(read_card(tiny_run.model_path).config).override(**{"train.seed": 5})
    run = RunDir.create(tmp_path_factory.mktemp("tuned") / "child", config, toy_folder, parent=tiny_run.model_path)
    assert run_training(run, device="cpu") == "done"
    return run


def events(run: RunDir, kind: str) -> list[dict[str, Any]]:
    return [event for event in run.events() if event["event"] == kind]


def test_a_fine_tuned_model_takes_fewer_and_gentler_steps() -> None:
    for config in PRESETS.values():
        short = tuned(config)
        assert 0 < short.train.warmup_steps + short.train.adversarial_steps < config.train.warmup_steps + config.train.adversarial_steps
        assert short.train.critic_lr < config.train.critic_lr
        assert (short.generator, short.critic, short.loss, short.scoring) == (config.generator, config.critic, config.loss, config.scoring)


def test_a_parent_of_many_kinds_can_be_tuned_on_a_small_folder_of_one() -> None:
    parent = PRESETS["best"].override(**{"percept.modes": 5, "percept.dimensions": 80})
    assert tuned(parent).percept == PRESETS["best"].override(**{"percept.dimensions": 80}).percept


def test_the_networks_are_the_parents_and_the_re_encoders_copies_of_its_encoders(tiny_model: Path) -> None:
    parent = load_model(tiny_model)
    torch.manual_seed(7)
    fresh = build_detector(parent.config, pretrained=True)
    take_over(fresh, tiny_model)
    expected = parent.detector.inference_state()
    assert all(torch.equal(value, expected[name]) for name, value in fresh.inference_state().items())
    encoder, copy = fresh.generator.encode_low.state_dict(), fresh.reencoders.low.state_dict()  # type: ignore[union-attr]
    assert all(torch.equal(value, encoder[name]) for name, value in copy.items())


def test_the_card_names_the_parent_and_the_comparison_counts_the_same_images(child: RunDir, tiny_run: RunDir) -> None:
    card = read_card(child.model_path)
    assert card.parent == tiny_run.name and card.data.licence == "not stated"
    found = json.loads((child.path / "comparison.json").read_text())
    assert found["parent"] == tiny_run.name and found["normal"] == card.data.validation
    for who in ("parent_false_alarms", "false_alarms"):
        assert 0 <= found[who] <= found["normal"]
    (event,) = events(child, "compared")
    assert event["false_alarms"] == found["false_alarms"] and "changed" not in event


def test_what_the_parent_was_trained_on_does_not_calibrate_the_child(child: RunDir, tiny_run: RunDir) -> None:
    prints = [load_model(run.model_path).calibration.fingerprint for run in (child, tiny_run)]
    assert child.config.train.seed != tiny_run.config.train.seed and prints[0] == prints[1]


def test_a_fine_tuned_model_keeps_its_parents_licence_beside_the_unknown_one_of_the_folder() -> None:
    leaf = read_card(find_model("leaf"))
    licence = finishing._licence(leaf)
    assert licence == f"not stated; the model it began as, “leaf”: {leaf.data.licence}" and "CC BY-SA" in licence
    assert finishing._licence(None) == "not stated"


def test_parent_and_child_are_measured_on_the_same_test_images(child: RunDir, tiny_run: RunDir) -> None:
    (before,), (after,) = (read_card(run.model_path).metrics for run in (tiny_run, child))
    (event,) = events(child, "compared")
    test = event["test"]
    assert (test["parent_auroc"], test["auroc"]) == (before.auroc, after.auroc)
    assert (test["normal"], test["anomalous"]) == (after.normal, after.anomalous)
    assert test["gain"] == pytest.approx(after.auroc - before.auroc)
    assert test["gain_ci"][0] <= test["gain"] <= test["gain_ci"][1]
    first, second, third = results(child)
    assert first.startswith("discs test: AUROC ") and second.startswith(f"Beside {tiny_run.name}, on held-out images")
    assert third.startswith(f"On the test images: AUROC {before.auroc:.3f} -> {after.auroc:.3f}, a difference of ")


def test_test_images_of_the_folder_are_measured_and_written_down_with_an_interval(tiny_run: RunDir, toy_folder: Path) -> None:
    (metric,) = read_card(tiny_run.model_path).metrics
    assert metric.data == "discs test" and metric.normal > 0 and metric.anomalous > 0
    assert metric.auroc_ci[0] <= metric.auroc <= metric.auroc_ci[1] and metric.trivial_auroc is not None


def test_test_images_that_cannot_be_read_are_a_warning_and_the_model_is_saved(toy_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(toy_folder, tmp_path / "discs"))
    for image in (folder / "test" / "good").iterdir():
        image.write_text("version https://git-lfs.github.com/spec/v1\n")
    run = RunDir.create(tmp_path / "run", PRESETS["tiny"].override(**{"train.warmup_steps": 1, "train.adversarial_steps": 1}), folder)
    assert run_training(run, device="cpu") == "done" and run.status().state == "done"
    assert read_card(run.model_path).metrics == ()
    (warning,) = events(run, "warning")
    assert "could not be measured" in warning["message"] and "0 normal images can be read" in warning["message"]


def test_a_field_that_the_parent_has_decided_is_named(tiny_model: Path) -> None:
    card = read_card(tiny_model)
    for field, value in (("data.size", 64), ("generator.width", 16), ("critic.attention_maps", 8), ("detector", "vae")):
        with pytest.raises(ConfigError, match=field):
            check_tuning(card, card.config.override(**{field: value}))
    check_tuning(card, card.config.override(**{"train.warmup_steps": 99, "scoring.boundary": "tail", "data.augment": "none"}))


def test_a_parent_that_is_gone_stops_the_training_before_anything_is_read(tiny_model: Path, toy_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_model, tmp_path / "parent")
    run = RunDir.create(tmp_path / "run", tuned(read_card(tiny_model).config), toy_folder, parent=tmp_path / "parent")
    shutil.rmtree(tmp_path / "parent")
    with pytest.raises(TrainingError, match="model to fine-tune"):
        run_training(run, device="cpu")
    assert run.status().state == "failed" and not run.events()


def test_a_parent_that_goes_while_it_trains_ends_nothing(
    child: RunDir, tiny_model: Path, toy_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(tiny_model, tmp_path / "parent")
    run = RunDir.create(tmp_path / "run", child.config, toy_folder, parent=tmp_path / "parent")
    step = trainer_module._Stages._on_step

    def stop_soon(self: trainer_module._Stages, progress: Progress) -> None:
        step(self, progress)
        if progress.step == 1:
            self.run.cancel()

    with monkeypatch.context() as patch:
        patch.setattr(trainer_module._Stages, "_on_step", stop_soon)
        assert run_training(run, device="cpu") == "stopped"
    shutil.rmtree(tmp_path / "parent")
    assert run.status().step == 1
    assert run_training(run, device="cpu") == "done"
    card = read_card(run.model_path)
    assert (card.parent, card.data.licence) == (read_card(child.model_path).parent, read_card(child.model_path).data.licence)
    assert read_origins(run.model_path) == read_origins(child.model_path)
    assert any("no comparison" in event["message"] for event in events(run, "warning"))


def test_a_model_that_was_fine_tuned_before_takes_as_many_steps_again(child: RunDir) -> None:
    config = read_card(child.model_path).config
    assert tuned(config, again=True).train == config.train
    assert starting_point("best", str(child.model_path))[0].train == config.train


def test_a_fine_tuning_that_was_stopped_ends_as_one_that_was_not(child: RunDir, tiny_run: RunDir, toy_folder: Path, tmp_path: Path) -> None:
    run = RunDir.create(tmp_path / "again", child.config, toy_folder, parent=tiny_run.model_path)
    run.cancel()
    assert run_training(run, device="cpu") == "stopped"
    run.clear_cancel()
    assert run_training(run, device="cpu") == "done"
    one, other = (load_model(each.model_path).detector.inference_state() for each in (child, run))
    assert all(torch.equal(value, other[name]) for name, value in one.items())


def test_each_epoch_leaves_a_picture_and_the_critics_opinion_of_held_out_images(tiny_run: RunDir) -> None:
    validations, previews = events(tiny_run, "validation"), events(tiny_run, "preview")
    held_out = read_card(tiny_run.model_path).data.validation
    assert len(validations) == len(previews) > 1
    for event in validations:
        assert len(event["critic_x"]) == len(event["critic_rec"]) == held_out and event["recon"] > 0
    for event in previews:
        sheet = cv2.imread(str(tiny_run.path / event["file"]))
        assert sheet is not None and sheet.shape[0] == 64 and sheet.shape[1] == 32 * min(8, held_out)
    assert tiny_run.preview_path.is_file()


def test_the_csv_log_has_a_line_a_step(tiny_run: RunDir) -> None:
    (file,) = (tiny_run.path / "csv").glob("*/metrics.csv")
    with file.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert [int(row["step"]) for row in rows] == list(range(1, 11))
    assert all(float(row["seconds"]) > 0 for row in rows)


def test_pictures_are_thinned_out_evenly_and_the_newest_stays(tmp_path: Path) -> None:
    for number in range(MOST_PREVIEWS + 1):
        (tmp_path / f"{number:03d}.jpg").touch()
    thin_out(sorted(tmp_path.glob("*.jpg")))
    left = sorted(path.name for path in tmp_path.glob("*.jpg"))
    assert len(left) <= MOST_PREVIEWS // 2 + 2 and (left[0], left[-1]) == ("000.jpg", f"{MOST_PREVIEWS:03d}.jpg")


def test_images_left_out_by_a_person_are_neither_trained_on_nor_held_out(toy_folder: Path, tmp_path: Path) -> None:
    left_out = sorted((toy_folder / "train" / "good").iterdir())[:3]
    run = RunDir.create(tmp_path / "run", PRESETS["tiny"], toy_folder, exclude=[content_hash(path) for path in left_out])
    assert run_training(run, device="cpu") == "done"
    (data,) = events(run, "data")
    said = {Path(event["path"]) for event in events(run, "problem") if event["reason"] == "left out by you"}
    assert data["train"] + data["validation"] == 21 and said == set(left_out)


def test_stopping_is_heeded_while_the_folder_is_read(toy_folder: Path, tmp_path: Path) -> None:
    run = RunDir.create(tmp_path / "run", PRESETS["tiny"], toy_folder)
    run.cancel()
    assert run_training(run, device="cpu") == "stopped"
    assert not run.events() and load_state(run.state_path) is None
    assert run.status().state == "stopped" and "step 0" in run.status().detail


def test_an_estimate_is_measured_and_leaves_nothing_behind(toy_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = CliRunner().invoke(panda, ["estimate", str(toy_folder), "--preset", "tiny", "--json", "--device", "cpu"])
    assert found.exit_code == 0, found.output
    values = json.loads(found.stdout)
    assert values["seconds"] > 6 * values["warmup_step"] + 4 * values["game_step"] > 0
    assert values["images"] + values["held_out"] == 24 and not list(tmp_path.iterdir())
