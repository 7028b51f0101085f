"""The command line: exit codes, one JSON document on stdout, files under --out, no traceback for a person's mistake."""

from __future__ import annotations

import csv
import json
import math
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from command_line import Captured, call, call_json

from panda_core import __main__ as command_line
from panda_core.__main__ import COMMANDS, run
from panda_core.card import read_card
from panda_core.inspector import Inspector
from panda_core.presets import preset
from panda_core.runs import RunDir

KEYS = {"path", "model", "score", "gauge", "verdict", "boundary", "boundary_kind", "p_value", "errors", "regions"}


OPTIONS = {
    "check": "--preset",
    "estimate": "--from",
    "reproduce": "--quick",
    "sweep": "--grid",
    "inspect": "--pixel-threshold",
    "train": "--resume",
    "calibrate": "--anomalies",
    "pretext": "--task",
    "evaluate": "--seed",
    "models": "export",
    "jobs": "resume",
    "datasets": "--data",
    "examples": "--count",
}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(capsys: Captured, command: str) -> None:
    code, out, _ = call(capsys, command, "--help")
    assert code == 0 and "Usage: panda" in out and len(out.splitlines()) > 5 and OPTIONS[command] in out


def test_the_help_lists_every_command(capsys: Captured) -> None:
    code, out, _ = call(capsys, "--help")
    assert code == 0 and all(command in out for command in COMMANDS)


def test_the_help_loads_neither_torch_nor_a_command() -> None:
    code = (
        "import sys; from panda_core.__main__ import run; run(['--help']); sys.exit(bool({'torch', 'gradio', 'rich'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["frobnicate"], "frobnicate"),
        (["inspect"], "PATH"),
        (["inspect", "a.png"], "--model"),
        (["inspect", "a.png", "--model", "m", "--batch", "0"], "batch"),
        (["train", "--run", "r"], "normal images"),
        (["train", "d", "--run", "r", "--resume"], "leave out DATA"),
        (["train", "d", "--run", "r", "--set", "seed"], "FIELD=VALUE"),
        (["train", "d", "--run", "r", "--set", "train.sed=1"], "train.seed"),
        (["train", "d", "--run", "r", "--set", "data.size=100"], "multiple of 32"),
        (["train", "d", "--run", "r", "--preset", "bset"], "best"),
        (["train", "--run", "r", "--resume"], "holds no run"),
        (["inspect", "a.png", "--model", "no-such-model"], "no-such-model"),
        (["calibrate", "d", "--model", "no-such-model", "--out", "o"], "no-such-model"),
        (["evaluate", "d", "--model", "no-such-model"], "no-such-model"),
        (["examples", "--kind", "fish", "--out", "o"], "fish"),
        (["examples", "--kind", "leaf", "--out", "o", "--seed", "-1"], "seed"),
        (["examples", "--kind", "leaf", "--out", "o", "--count", "0"], "count"),
        (["examples", "--kind", "xray", "--out", "o", "--size", "7"], "size"),
        (["evaluate", "d", "--model", "m", "--seed", "-1"], "seed"),
        (["evaluate", "d", "--model", "m", "--out", "absent/r.html"], "absent"),
        (["evaluate", "d", "--model", "m", "--out", "r.pdf"], "r.pdf"),
        (["pretext", "d", "--out", "absent/weights.safetensors"], "absent"),
        (["train", "d", "--run", "r", "--set", "train.seed=-1"], "train.seed"),
    ],
)
def test_bad_usage_is_one_message_and_exit_code_2(
    capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = call(capsys, *arguments)
    assert code == 2 and words in err and not out and "Traceback" not in err
    assert not list(tmp_path.iterdir()), "a refused command leaves nothing behind"


def test_what_nobody_foresaw_is_one_line_and_exit_code_1(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    def break_down(*_: object, **__: object) -> None:
        raise RuntimeError("the sky fell")

    monkeypatch.setattr(command_line.panda, "main", break_down)
    code, _, err = call(capsys, "models")
    assert code == 1 and "the sky fell" in err and "--debug" in err and len(err.splitlines()) == 1
    with pytest.raises(RuntimeError, match="the sky fell"):
        run(["models"], debug=True)


def test_one_image_gives_one_object(capsys: Captured, toy_folder: Path, tiny_model: Path) -> None:
    path = toy_folder / "test" / "scar" / "000.png"
    found = call_json(capsys, "inspect", path, "--model", tiny_model)
    assert found.keys() == KEYS and found["path"] == str(path)
    assert found["errors"].keys() >= {"recon", "adv_x", "adv_rec"}
    assert all(map(math.isfinite, [found["score"], found["boundary"], *found["errors"].values()]))
    assert 0 <= found["gauge"] <= 1
    assert found["verdict"] == ("anomalous" if found["score"] > found["boundary"] else "normal")
    assert found["boundary_kind"] in ("labelled", "synthetic", "tail")


def test_the_same_image_twice_is_the_same_document(capsys: Captured, toy_folder: Path, tiny_model: Path) -> None:
    path = toy_folder / "test" / "good" / "000.png"
    first, second = (call_json(capsys, "inspect", path, "--model", tiny_model, "--device", "cpu") for _ in range(2))
    assert first == second


def test_a_folder_gives_a_list_in_which_a_bad_file_has_its_reason(capsys: Captured, mixed_folder: Path, tiny_model: Path) -> None:
    found = call_json(capsys, "inspect", mixed_folder, "--model", tiny_model, "--batch", 2)
    assert [Path(entry["path"]).name for entry in found] == ["000.png", "001.png", "000.png", "001.png", "text.png"]
    assert all(entry.keys() == KEYS for entry in found[:-1])
    assert found[-1].keys() == {"path", "error"} and found[-1]["error"]


def test_a_folder_is_judged_as_its_images_alone(capsys: Captured, mixed_folder: Path, tiny_model: Path) -> None:
    for entry in call_json(capsys, "inspect", mixed_folder, "--model", tiny_model)[:2]:
        alone = call_json(capsys, "inspect", entry["path"], "--model", tiny_model)
        assert alone["score"] == pytest.approx(entry["score"], rel=1e-2)


@pytest.mark.parametrize("name", ["text.png", "absent.png"])
def test_a_single_bad_file_is_a_message_and_exit_code_2(capsys: Captured, mixed_folder: Path, tiny_model: Path, name: str) -> None:
    code, out, err = call(capsys, "inspect", mixed_folder / "scar" / name, "--model", tiny_model, "--json")
    assert code == 2 and not out and name in err and "Traceback" not in err


def test_an_empty_folder_is_a_message_and_exit_code_2(capsys: Captured, tmp_path: Path, tiny_model: Path) -> None:
    code, out, err = call(capsys, "inspect", tmp_path, "--model", tiny_model, "--json")
    assert code == 2 and not out and "no images" in err


def test_a_boundary_given_by_hand_decides_and_is_called_manual(capsys: Captured, toy_folder: Path, tiny_model: Path) -> None:
    path = toy_folder / "test" / "good" / "001.png"
    own = call_json(capsys, "inspect", path, "--model", tiny_model)
    for boundary, verdict in ((own["score"] - 1, "anomalous"), (own["score"] + 1, "normal")):
        found = call_json(capsys, "inspect", path, "--model", tiny_model, "--boundary", boundary)
        assert (found["verdict"], found["boundary_kind"]) == (verdict, "manual")
        assert found["boundary"] == pytest.approx(boundary) and found["score"] == own["score"]


def test_a_higher_pixel_threshold_never_enlarges_the_regions(capsys: Captured, toy_folder: Path, tiny_model: Path) -> None:
    path = toy_folder / "test" / "scar" / "000.png"
    areas = []
    for threshold in (0.5, 1.0, 2.0, 1e6):
        found = call_json(capsys, "inspect", path, "--model", tiny_model, "--pixel-threshold", threshold)
        areas.append(sum(region["area"] for region in found["regions"]))
        for region in found["regions"]:
            x0, y0, x1, y1 = region["box"]
            assert 0 < region["area"] <= (x1 - x0) * (y1 - y0) and region["peak"] >= region["mean"] >= threshold
    assert areas == sorted(areas, reverse=True) and areas[0] > 0 and areas[-1] == 0


def test_without_json_there_is_a_table_with_full_names(capsys: Captured, mixed_folder: Path, tiny_model: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("panda_core.cli.inspecting.OUT.width", 400)
    code, out, _ = call(capsys, "inspect", mixed_folder, "--model", tiny_model)
    assert code == 0 and "parts [b]" in out and "text.png" in out and "not read" in out


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no file names that are no Unicode")
def test_a_file_name_that_is_no_unicode_is_shown_with_a_question_mark(
    capsys: Captured, toy_folder: Path, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("panda_core.cli.inspecting.OUT.width", 400)
    shutil.copy(toy_folder / "test" / "good" / "000.png", tmp_path / os.fsdecode(b"Pr\xfcf.png"))
    (found,) = call_json(capsys, "inspect", tmp_path, "--model", tiny_model)
    assert found["path"] == str(tmp_path / "Pr?f.png") and "score" in found
    code, out, _ = call(capsys, "inspect", tmp_path, "--model", tiny_model)
    assert code == 0 and "Pr?f.png" in out


def test_out_holds_a_line_a_mask_and_an_overlay_for_each_image(
    capsys: Captured, mixed_folder: Path, tiny_model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "new" / "results"
    found = call_json(capsys, "inspect", mixed_folder, "--model", tiny_model, "--out", out, "--pixel-threshold", 1)
    with (out / "results.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["path"] for row in rows] == [entry["path"] for entry in found]
    for column in ("score", "p_value"):
        assert [float(row[column]) for row in rows[:-1]] == [entry[column] for entry in found[:-1]]
    assert rows[-1]["error"] and not rows[-1]["score"]
    assert len(list((out / "masks").iterdir())) == len(list((out / "overlays").iterdir())) == 4, "equal stems must not overwrite each other"
    areas = sorted(int(np.count_nonzero(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE))) for path in (out / "masks").iterdir())
    assert areas == sorted(sum(region["area"] for region in entry["regions"]) for entry in found[:-1])
    for region in (region for entry in found[:-1] for region in entry["regions"]):
        (x, y), (left, top, right, bottom) = region["peak_at"], region["box"]
        assert left <= x < right and top <= y < bottom
    assert not list(out.rglob(".*")), "no temporary files stay"


def test_out_that_cannot_be_written_is_a_message(capsys: Captured, toy_folder: Path, tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    path = toy_folder / "test" / "good" / "000.png"
    code, _, err = call(capsys, "inspect", path, "--model", tiny_model, "--out", tmp_path / "file")
    assert code == 2 and "--out" in err


def test_training_makes_a_model_that_inspects(capsys: Captured, toy_folder: Path, tmp_path: Path) -> None:
    place = tmp_path / "run"
    settings = ("--set", "train.warmup_steps=2", "--set", "train.adversarial_steps=1", "--set", "data.augment=none")
    code, out, err = call(capsys, "train", toy_folder, "--preset", "tiny", "--run", place, *settings, "--name", "discs", "--device", "cpu")
    assert code == 0 and not out and str(place / "model") in err.replace("\n", "")
    made = RunDir.open(place)
    assert (made.status().state, made.status().step, made.name) == ("done", 3, "discs")
    assert made.config == preset("tiny").override(**{"train.warmup_steps": 2, "train.adversarial_steps": 1, "data.augment": "none"})
    found = call_json(capsys, "inspect", toy_folder / "test" / "good", "--model", place / "model")
    assert len(found) == 6
    code, _, err = call(capsys, "train", toy_folder, "--preset", "tiny", "--run", place)
    assert code == 2 and "--resume" in err


def test_a_wrong_data_folder_can_be_corrected_with_the_same_command(capsys: Captured, toy_folder: Path, tmp_path: Path) -> None:
    place, steps = tmp_path / "run", ("--set", "train.warmup_steps=1", "--set", "train.adversarial_steps=0")
    code, _, err = call(capsys, "train", tmp_path / "absent", "--preset", "tiny", "--run", place, *steps, "--device", "cpu")
    assert code == 2 and "absent" in err
    assert call(capsys, "train", toy_folder, "--preset", "tiny", "--run", place, *steps, "--device", "cpu")[0] == 0


def test_resume_finishes_what_a_stop_left(capsys: Captured, toy_folder: Path, tmp_path: Path) -> None:
    made = RunDir.create(tmp_path / "run", preset("tiny"), toy_folder)
    made.write_status("stopped")
    made.cancel()
    code, _, _ = call(capsys, "train", "--run", made.path, "--resume", "--device", "cpu")
    assert code == 0 and made.status().state == "done" and not made.cancelled()


def test_calibrating_writes_a_copy_and_leaves_the_model_alone(capsys: Captured, toy_folder: Path, tiny_model: Path, tmp_path: Path) -> None:
    before = {path.name: path.read_bytes() for path in tiny_model.iterdir()}
    code, _, err = call(
        capsys, "calibrate", toy_folder / "test" / "good", "--model", tiny_model, "--out", tmp_path / "copy", "--boundary", "tail"
    )
    assert code == 0, err
    assert {path.name: path.read_bytes() for path in tiny_model.iterdir()} == before
    copied = read_card(tmp_path / "copy")
    assert (copied.name, copied.title, copied.metrics) == ("copy", "copy", ())
    image = toy_folder / "test" / "scar" / "000.png"
    assert call_json(capsys, "inspect", image, "--model", tmp_path / "copy")["boundary_kind"] == "tail"
    code, _, err = call(capsys, "calibrate", toy_folder / "test" / "good", "--model", tiny_model, "--out", tmp_path / "copy")
    assert code == 2 and "already holds a model" in err


def test_calibrating_tells_normal_images_from_known_anomalies(capsys: Captured, toy_folder: Path, tiny_model: Path, tmp_path: Path) -> None:
    parts, copied = tmp_path / "parts", tmp_path / "copy"
    shutil.copytree(toy_folder / "test" / "good", parts / "normal")
    shutil.copytree(toy_folder / "test" / "scar", parts / "anomalous")
    code, _, err = call(capsys, "calibrate", parts, "--model", tiny_model, "--out", copied, "--boundary", "labelled")
    assert code == 0, err
    calibration = Inspector.load(copied, device="cpu").calibration
    assert (len(calibration.normal_scores), len(calibration.anomalous_scores)) == (6, 6)
    assert "calibrated on 6 normal and 6 anomalous images" in read_card(copied).limits[-1]
    (parts / "normal" / "broken.png").write_bytes(b"\x89PNG broken")
    for boundary, used in (("tail", "6 normal and 6 anomalous images"), ("synthetic", "6 normal images")):
        out = tmp_path / boundary
        code, _, err = call(capsys, "calibrate", parts, "--model", tiny_model, "--out", out, "--boundary", boundary)
        assert code == 0 and f"calibrated on {used}" in read_card(out).limits[-1], err
        assert read_card(out).data.validation == 6
    code, _, err = call(capsys, "calibrate", toy_folder, "--model", tiny_model, "--out", tmp_path / "other")
    assert code == 2 and "test/good" in err


def test_calibrating_never_replaces_what_a_person_keeps(capsys: Captured, toy_folder: Path, tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "mine.txt").write_text("mine")
    for out in (tmp_path / "photos", tmp_path / "photos" / "mine.txt"):
        code, _, err = call(capsys, "calibrate", toy_folder / "test" / "good", "--model", tiny_model, "--out", out)
        assert code == 2 and "--out" in err
    assert (tmp_path / "photos" / "mine.txt").read_text() == "mine"


def test_evaluating_gives_a_report(capsys: Captured, toy_folder: Path, tiny_model: Path) -> None:
    report = call_json(capsys, "evaluate", toy_folder, "--model", tiny_model)
    low, high = report["auroc_ci"]
    assert 0 <= low <= report["auroc"] <= high <= 1 and (report["normal"], report["anomalous"]) == (6, 6)


def test_two_models_are_compared_in_one_report(capsys: Captured, toy_folder: Path, tiny_model: Path, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    both = call_json(capsys, "evaluate", toy_folder, "--model", tiny_model, "--model", tiny_model, "--out", out)
    assert len(both) == 2 and both[0]["auroc"] == both[1]["auroc"] and len(both[0]["images"]) == 12
    assert re.search(r"\+0\.000 \(−(0\.\d{3}) to \+\1\)", out.read_text(encoding="utf-8"))
    code, shown, _ = call(capsys, "evaluate", toy_folder, "--model", tiny_model, "--model", tiny_model)
    assert code == 0 and "AUROC +0.000" in shown and "(6 masks)" in shown


def test_models_are_listed_from_their_cards(capsys: Captured, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(tiny_model, tmp_path / "mine")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "card.json").write_text("{")
    monkeypatch.setenv("PANDA_MODELS", str(tmp_path))
    listed = {entry["name"]: entry for entry in call_json(capsys, "models")}
    assert listed["mine"]["folder"] == str(tmp_path / "mine")
    assert "error" in listed["broken"]


def test_examples_are_the_same_for_the_same_seed(capsys: Captured, tmp_path: Path) -> None:
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        code, out, _ = call(capsys, "examples", "--kind", "leaf", "--out", tmp_path / name, "--count", 2, "--seed", seed, "--size", 32)
        assert code == 0 and not out
    images = {name: {p.relative_to(tmp_path / name): p.read_bytes() for p in (tmp_path / name).rglob("*.png")} for name in "abc"}
    assert images["a"] == images["b"] != images["c"]
    assert len([p for p in images["a"] if p.parts[:2] == ("train", "good")]) == 2


def test_examples_have_the_mvtec_layout_with_a_mask_for_every_anomaly(capsys: Captured, tmp_path: Path) -> None:
    out = tmp_path / "set"
    assert call(capsys, "examples", "--kind", "xray", "--out", out, "--count", 2, "--size", 32)[0] == 0
    assert len(list((out / "train" / "good").glob("*.png"))) == 2 and list((out / "test" / "good").glob("*.png"))
    anomalous = [path for path in (out / "test").glob("*/*.png") if path.parent.name != "good"]
    assert anomalous and all((out / "ground_truth" / path.parent.name / f"{path.stem}_mask.png").exists() for path in anomalous)


def test_examples_leave_a_folder_that_holds_something_alone(capsys: Captured, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    code, _, err = call(capsys, "examples", "--kind", "leaf", "--out", tmp_path, "--count", 1, "--size", 32)
    assert code == 2 and "not empty" in err and [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("text", "found"),
    [("train.seed=3", 3), ("loss.kl_weight=1e-3", 1e-3), ("percept.enabled=true", True), ("data.augment=none", "none"), ("a.b=c=d", "c=d")],
)
def test_a_setting_is_json_where_it_parses_and_a_word_otherwise(text: str, found: object) -> None:
    from panda_core.cli.training import parse_change

    value = parse_change(text)[1]
    assert value == found and type(value) is type(found)


def test_the_process_itself_keeps_the_contract(toy_folder: Path, tiny_model: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "panda_core",
        "inspect",
        str(toy_folder / "test" / "good" / "000.png"),
        "--model",
        str(tiny_model),
        "--json",
    ]
    found = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout).keys() == KEYS
