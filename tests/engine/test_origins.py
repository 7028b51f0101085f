"""A model knows the files it was made of: none of them measures it, or calibrates what was trained on them, without a word."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from safetensors.numpy import load_file

from panda_core.__main__ import panda
from panda_core.calibration import calibrate, calibrate_anew
from panda_core.card import TENSOR_FILE
from panda_core.checkpoint import load_model, save_model
from panda_core.config import ScoringConfig
from panda_core.data.folders import LabelledImage, distinct, labelled_test
from panda_core.data.images import content_hash, list_images
from panda_core.errors import CalibrationError, ModelError
from panda_core.evaluation import evaluate
from panda_core.inspector import Inspector
from panda_core.origins import LENGTH, UNKNOWN, Origins, read_origins
from panda_core.presets import preset, tuned
from panda_core.runs import RunDir
from panda_core.trainer import run_training
from panda_core.trivial import trivial_baseline


def digests(paths: Sequence[Path]) -> list[str]:
    return [content_hash(path) for path in paths]


def copied(paths: Sequence[Path], folder: Path) -> Path:
    folder.mkdir(parents=True)
    for path in paths:
        shutil.copy(path, folder / path.name)
    return folder


def replace_path(sample: LabelledImage, folder: Path) -> LabelledImage:
    return sample._replace(path=folder / sample.path.name)


@pytest.fixture(scope="module")
def trained(toy_folder: Path, tiny_model: Path) -> list[Path]:
    images = read_origins(tiny_model)
    return [path for path in list_images(toy_folder / "train" / "good") if images.has_trained_on(content_hash(path))]


def test_a_training_writes_down_each_image_once_and_test_images_not_at_all(toy_folder: Path, tiny_run: RunDir, tiny_model: Path) -> None:
    (data,) = [event for event in tiny_run.events() if event["event"] == "data"]
    images = read_origins(tiny_model)
    assert (len(images.trained), len(images.calibrated)) == (data["train"], data["validation"])
    assert images == load_model(tiny_model).images and not images.trained & images.calibrated
    assert all(map(images.knows, digests(list_images(toy_folder / "train" / "good"))))
    assert not any(map(images.knows, digests(list_images(toy_folder / "test"))))


def test_known_anomalies_count_where_the_model_is_calibrated_with_them(toy_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(toy_folder / "train", tmp_path / "discs" / "train")).parent
    scars = copied(list_images(toy_folder / "test" / "scar"), folder / "train" / "scar")
    found = []
    for boundary in ("labelled", "synthetic"):
        config = preset("tiny").override(**{"train.warmup_steps": 1, "train.adversarial_steps": 1, "scoring.boundary": boundary})
        run = RunDir.create(tmp_path / boundary, config, folder)
        assert run_training(run, device="cpu") == "done"
        found.append(any(map(read_origins(run.model_path).knows, digests(list_images(scars)))))
    assert found == [True, False]


def test_eight_bytes_of_each_hash_are_kept_in_an_order_that_tells_nothing(tiny_model: Path) -> None:
    stored = load_file(tiny_model / TENSOR_FILE)["images.trained"]
    assert stored.dtype == np.uint8 and stored.shape[1] == LENGTH
    assert [row.tobytes() for row in stored] == sorted(row.tobytes() for row in stored)


def test_a_model_of_an_earlier_version_knows_no_images_and_works(inspector: Inspector, tmp_path: Path) -> None:
    save_model(tmp_path / "old", replace(inspector.model, images=UNKNOWN))
    assert not any(name.startswith("images.") for name in load_file(tmp_path / "old" / TENSOR_FILE))
    assert load_model(tmp_path / "old").images == read_origins(tmp_path / "old") == UNKNOWN


def test_a_list_of_another_kind_is_no_list_of_ours(tmp_path: Path) -> None:
    for name, array in (
        ("images.trained", np.zeros((2, 4), np.uint8)),
        ("images.trained", np.zeros((2, LENGTH), np.float32)),
        ("images.trained", np.zeros(LENGTH, np.uint8)),
        ("images.other", np.zeros((2, LENGTH), np.uint8)),
    ):
        with pytest.raises(ModelError, match="no list of images"):
            Origins.from_arrays({name: array})
    (tmp_path / TENSOR_FILE).write_bytes(b"nothing")
    for folder in (tmp_path, tmp_path / "gone"):
        with pytest.raises(ModelError, match="cannot be read"):
            read_origins(folder)


def test_a_measurement_on_its_own_images_says_so_wherever_it_is_shown(
    toy_folder: Path, tiny_model: Path, trained: list[Path], tmp_path: Path
) -> None:
    copied(trained[:3], tmp_path / "parts" / "normal")
    fresh = list_images(toy_folder / "test" / "good")[0]
    shutil.copy(fresh, tmp_path / "parts" / "normal" / "fresh.png")
    copied(list_images(toy_folder / "test" / "scar"), tmp_path / "parts" / "anomalous")
    report = evaluate(Inspector(load_model(tiny_model)), tmp_path / "parts")
    assert report.known == 3 and "on 3 of these 10 images" in report.warning
    assert report.metric("parts", trivial_auroc=None).data == "parts, 3 of its images used to make the model"
    page = tmp_path / "report.html"
    arguments = ["evaluate", str(tmp_path / "parts"), "--model", str(tiny_model), "--device", "cpu"]
    said = CliRunner().invoke(panda, [*arguments, "--out", str(page)])
    assert said.exit_code == 0 and "on 3 of these 10 images" in " ".join(said.stderr.split())
    assert "on 3 of these 10 images" in page.read_text()
    assert json.loads(CliRunner().invoke(panda, [*arguments, "--json"]).stdout)["known"] == 3


def test_a_measurement_on_new_images_has_no_warning(inspector: Inspector, toy_folder: Path) -> None:
    report = evaluate(inspector, toy_folder)
    assert report.known == 0 and report.warning == "" and report.metric("discs", trivial_auroc=None).data == "discs"


def test_copies_of_training_images_among_test_images_are_a_warning_of_the_training(toy_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(toy_folder, tmp_path / "discs"))
    shutil.copy(folder / "train" / "good" / "000.png", folder / "test" / "good" / "copy.png")
    run = RunDir.create(tmp_path / "run", preset("tiny").override(**{"train.warmup_steps": 1, "train.adversarial_steps": 1}), folder)
    assert run_training(run, device="cpu") == "done"
    (warning,) = [event["message"] for event in run.events() if event["event"] == "warning"]
    assert warning.startswith("Test images: The model was trained or calibrated on 1 of these 13 images")
    (metric,) = load_model(run.model_path).card.metrics
    assert metric.data == "discs test, 1 of its images used to make the model"


def test_copies_count_once_and_what_is_normal_and_anomalous_alike_not_at_all(
    toy_folder: Path, inspector: Inspector, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(toy_folder, tmp_path / "discs"))
    before = evaluate(inspector, folder)
    good, scar = folder / "test" / "good", folder / "test" / "scar"
    for number in range(3):
        shutil.copy(good / "001.png", good / f"again{number}.png")
    shutil.copy(scar / "002.png", good / "both.png")
    (folder / "test" / "crack").mkdir()
    shutil.copy(scar / "003.png", folder / "test" / "crack" / "same.png")
    (good / "broken.png").write_bytes(b"")
    after = evaluate(inspector, folder)
    assert (after.normal, after.anomalous) == (before.normal, before.anomalous - 1)
    assert not {"test/good/both.png", "test/scar/002.png"} & {image.name for image in after.images}
    reasons = dict(problem.split(": ", 1) for problem in after.problems)
    assert reasons["test/good/again2.png"] == "has the same content as good/001.png, which counts"
    assert "is the same image as scar/002.png" in reasons["test/good/both.png"]
    assert "is the same image as good/both.png" in reasons["test/scar/002.png"]
    assert reasons["test/scar/003.png"] == "has the same content as crack/same.png, which counts"
    assert "test/good/broken.png" in reasons


def test_a_copy_is_no_second_image_for_colour_statistics_either(toy_folder: Path, tmp_path: Path) -> None:
    train, samples = list_images(toy_folder / "train" / "good"), labelled_test(toy_folder)
    copies = [replace_path(sample, copied([sample.path], tmp_path / str(number))) for number, sample in enumerate(samples[:3])]
    assert trivial_baseline(train, [*samples, *copies]) == trivial_baseline(train, samples)


def test_looking_for_copies_can_be_ended(toy_folder: Path) -> None:
    def stop() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        distinct(labelled_test(toy_folder), on_file=stop)


def test_what_was_trained_on_does_not_calibrate(toy_folder: Path, tiny_model: Path, trained: list[Path]) -> None:
    model, fresh = load_model(tiny_model), list_images(toy_folder / "test" / "good")
    alone = calibrate(model, fresh, scoring=ScoringConfig(boundary="tail"))
    mixed = calibrate(model, [*trained, *fresh], scoring=ScoringConfig(boundary="tail"))
    assert mixed.count == len(fresh) and mixed.normal_scores.tolist() == alone.normal_scores.tolist()
    with pytest.raises(CalibrationError, match=f"trained on {len(trained)} of these {len(trained) + 3} normal images.*at least 4 others"):
        calibrate(model, [*trained, *fresh[:3]], scoring=ScoringConfig(boundary="tail"))


def test_a_recalibrated_copy_knows_its_new_images_and_those_it_was_trained_on(toy_folder: Path, tiny_model: Path, tmp_path: Path) -> None:
    model, fresh = load_model(tiny_model), list_images(toy_folder / "test" / "good")
    before = model.images
    calibrate_anew(model, fresh, anomalous_paths=list_images(toy_folder / "test" / "scar"), name="anew", config=model.config)
    save_model(tmp_path / "anew", model)
    images = read_origins(tmp_path / "anew")
    assert images.trained == before.trained and len(images.calibrated) == 12
    assert all(map(images.knows, digests(list_images(toy_folder / "test"))))


def test_the_command_says_how_many_were_left_out(toy_folder: Path, tiny_model: Path, trained: list[Path], tmp_path: Path) -> None:
    folder = copied(trained[:5], tmp_path / "normal")
    for number, path in enumerate(list_images(toy_folder / "test" / "good")):
        shutil.copy(path, folder / f"new{number}.png")
    said = CliRunner().invoke(
        panda, ["calibrate", str(folder), "--model", str(tiny_model), "--out", str(tmp_path / "out"), "--device", "cpu", "--json"]
    )
    assert said.exit_code == 0 and "6 of 11 normal images were used" in said.stderr
    assert (json.loads(said.stdout)["normal"], json.loads(said.stdout)["unused"]) == (6, 5)


def test_of_a_folder_that_has_grown_a_child_holds_out_nothing_that_its_parent_was_trained_on(
    toy_folder: Path, tiny_model: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(toy_folder / "train", tmp_path / "discs" / "train")).parent
    for number in range(12):  # like nothing that is there: near-duplicates would stay on one side
        noise = np.random.default_rng(number).integers(0, 255, (48, 48, 3), np.uint8)
        cv2.imwrite(str(folder / "train" / "good" / f"new{number}.png"), noise)
    parent = read_origins(tiny_model)
    config = tuned(load_model(tiny_model).config)
    run = RunDir.create(tmp_path / "child", config, folder, parent=tiny_model)
    assert run_training(run, device="cpu") == "done"
    images = read_origins(run.model_path)
    assert not images.calibrated & parent.trained, "held out, and trained on by the parent"
    assert images.calibrated > parent.calibrated, "what the parent held out is held out again, and the new images are learned"
    assert images.trained >= parent.trained and len(images.trained | images.calibrated) == 36
    assert not [event for event in run.events() if event["event"] == "warning"]
