"""A model as an ONNX file answers like the engine, whatever the size of the image; what cannot be written is refused in a sentence."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from command_line import Captured, call, call_json

from panda_core import own_models
from panda_core.checkpoint import load_model, save_model
from panda_core.data.images import prepare
from panda_core.errors import ModelError
from panda_core.inspection import OperatingPoint, Picture
from panda_core.inspector import Inspector
from panda_core.portable import onnx_file
from panda_core.portable.graph import Answer, prepared
from panda_core.roi import RegionOfInterest, Shape, has_roi, save_roi
from panda_core.scoring.decision import decide
from panda_core.scoring.maps import resize_map

onnxruntime = pytest.importorskip("onnxruntime", reason="pip install -r requirements-onnx.txt")


@pytest.fixture(scope="module")
def written(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("onnx") / "discs.onnx"
    onnx_file.export_onnx(tiny_model, file)
    assert [entry.name for entry in file.parent.iterdir()] == ["discs.onnx"], "one file, and nothing beside it"
    return file


@pytest.fixture(scope="module")
def engine(tiny_model: Path) -> Inspector:
    model = load_model(tiny_model)
    return Inspector(replace(model, config=model.config.override(**{"train.precision": "fp32"})))


def picture(height: int, width: int, *, seed: int = 0) -> Picture:
    noise = cv2.GaussianBlur(np.random.default_rng(seed).normal(0, 1, (height, width, 3)), (0, 0), 3)
    return np.clip(128 + 70 * noise / noise.std(), 0, 255).astype(np.uint8)


def ask(file: Path, images: Sequence[Picture]) -> Answer:
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    return Answer(*session.run(list(Answer._fields), {onnx_file.INPUT: np.stack(images)}))


@pytest.mark.parametrize(("height", "width"), [(32, 32), (64, 64), (150, 201), (20, 90), (9, 11)])
def test_the_file_answers_like_the_engine_at_any_size(written: Path, engine: Inspector, height: int, width: int) -> None:
    images = [picture(height, width, seed=seed) for seed in range(3)]
    said = ask(written, images)
    for index, image in enumerate(images):
        inspection = engine.inspect(image)
        assert said.score[index] == pytest.approx(inspection.score, rel=0.02, abs=0.02)
        assert dict(zip(inspection.calibration.errors, said.errors[index], strict=True)) == pytest.approx(
            inspection.errors, rel=0.02, abs=0.01
        )
        assert abs(said.p_value[index] - inspection.p_value) <= 1.01 / (1 + inspection.calibration.count)
        shown = resize_map(said.anomaly_map[index], height, width)
        assert np.abs(shown - inspection.anomaly_map).max() <= 0.02 * max(10, np.abs(inspection.anomaly_map).max())
        off = cv2.resize(said.reconstruction[index], (width, height)).astype(int) - inspection.reconstruction
        assert np.abs(off).max() <= 2


def test_what_belongs_to_the_file_stands_in_it(written: Path, engine: Inspector) -> None:
    session = onnxruntime.InferenceSession(str(written), providers=["CPUExecutionProvider"])
    told = json.loads(session.get_modelmeta().custom_metadata_map["panda"])
    calibration = engine.calibration
    assert (told["boundary"], told["pixel_threshold"]) == (calibration.boundary.value, calibration.pixel_threshold)
    assert told["errors"] == list(calibration.errors) and told["size"] == 32 and told["deep_range"] is None
    assert told["licence"] == engine.model.card.data.licence and told["boundary_kind"] == calibration.boundary.kind
    assert [one.name for one in session.get_outputs()] == list(Answer._fields)


def test_the_page_for_programs_shows_code_that_runs(
    written: Path, engine: Inspector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8").split("## Without this package")[1]
    (block,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    shutil.copy(written, tmp_path / "leaf.onnx")
    cv2.imwrite(str(tmp_path / "photo.png"), picture(80, 60))
    monkeypatch.chdir(tmp_path)
    found: dict[str, Any] = {}
    exec(compile(block, "docs/api.md", "exec"), found)
    decision = decide(engine.inspect("photo.png"))
    assert found["verdict"] == decision.verdict and found["mask"].shape == (32, 32)
    table = {name for row in re.findall(r"^\| (`[^|]*) \|", text, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}
    assert table == set(Answer._fields) and set(found["model"]) == set(
        re.findall(r"\w+", text.split("JSON object:")[1].split(". Thresholds")[0])
    ) - {"S"}


def test_thresholds_that_a_person_has_set_are_those_of_the_file(tiny_model: Path) -> None:
    model = load_model(tiny_model)
    assert model.calibration is not None
    point = OperatingPoint(boundary=1.25, pixel_threshold=3.5, who="Ada", why="new lamp", when="2026-11-27T10:00:00+00:00")
    told = onnx_file.describe(replace(model, calibration=replace(model.calibration, operating_point=point)))
    assert (told["boundary"], told["boundary_kind"], told["pixel_threshold"]) == (1.25, "manual", 3.5)


@pytest.mark.parametrize("side", [32, 100])
@pytest.mark.parametrize(("height", "width"), [(200, 200), (64, 64), (32, 32), (31, 57), (40, 300), (1, 9)])
def test_pixels_reach_the_graph_as_they_reach_the_engine(side: int, height: int, width: int) -> None:
    image = picture(height, width)
    off = np.abs(prepared(torch.from_numpy(image)[None], side)[0].numpy() - prepare(image, side)) * 127.5
    assert off.max() < 1.01 and (off > 0.5).mean() < (0.01 if min(height, width) > 9 else 0.15)


WRONG: dict[str, Callable[[Answer], Answer]] = {
    "score": lambda said: said._replace(score=said.score + 0.05),
    "p_value": lambda said: said._replace(p_value=said.p_value + 0.5),
    "anomaly_map": lambda said: said._replace(anomaly_map=said.anomaly_map * np.nan),
    "reconstruction": lambda said: said._replace(reconstruction=said.reconstruction // 2),
    "errors": lambda said: said._replace(errors=said.errors * 1.1),
}


@pytest.mark.parametrize("field", WRONG)
def test_a_file_that_answers_otherwise_is_not_kept(
    tiny_model: Path, written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, field: str
) -> None:
    honest = onnx_file._answers
    monkeypatch.setattr(onnx_file, "_write", lambda graph, metadata, path: path.write_bytes(written.read_bytes()))
    monkeypatch.setattr(onnx_file, "_answers", lambda path, groups: [list(WRONG[field](Answer(*said))) for said in honest(path, groups)])
    with pytest.raises(ModelError, match=f"has another .*{field}.* than .* It was not kept"):
        onnx_file.export_onnx(tiny_model, tmp_path / "discs.onnx")
    assert not list(tmp_path.iterdir())


def test_a_file_that_cannot_be_run_is_not_kept(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_file, "_write", lambda graph, metadata, path: path.write_bytes(b"text"))
    with pytest.raises(ModelError, match=r"cannot run it .* It was not kept"):
        onnx_file.export_onnx(tiny_model, tmp_path / "discs.onnx")
    assert not list(tmp_path.iterdir())


def test_what_onnx_has_no_word_for_is_refused(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:  # as it does of linalg.eigvals, after twenty seconds
        raise torch.onnx.errors.OnnxExporterError("No decompositions registered")

    monkeypatch.setattr(torch.onnx, "export", refuse)
    with pytest.raises(ModelError, match="panda, does something that ONNX has no word for"):
        onnx_file.export_onnx(tiny_model, tmp_path / "discs.onnx")
    assert not list(tmp_path.iterdir())


def test_a_detector_that_searches_is_refused(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_file, "searches", lambda detector: True)
    with pytest.raises(ModelError, match="anew for each image"):
        onnx_file.export_onnx(tiny_model, tmp_path / "discs.onnx")


def test_a_model_without_calibration_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    save_model(tmp_path / "raw", replace(load_model(tiny_model), calibration=None))
    with pytest.raises(ModelError, match="not calibrated"):
        onnx_file.export_onnx(tmp_path / "raw", tmp_path / "raw.onnx")


def test_missing_packages_are_named_with_the_command(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(ModelError, match=r"pip install -r requirements-onnx\.txt"):
        onnx_file.export_onnx(tiny_model, tmp_path / "discs.onnx")


def test_the_command_writes_it_says_how_close_it_is_and_what_is_not_in_it(
    capsys: Captured, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PANDA_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(onnx_file, "export_onnx", lambda model, file: onnx_file.Deviation(0.0012, 0.03, 5, has_roi(model)))
    own_models.add_model(tiny_model, "parts")
    save_roi("parts", RegionOfInterest((Shape("rectangle", "include", ((0.1, 0.1), (0.9, 0.9))),)))
    code, out, err = call(capsys, "models", "export", "parts", "--out", tmp_path / "parts.onnx")
    assert code == 0 and not out and "within 0.0012" in err and "region of interest" in err
    found = call_json(capsys, "models", "export", "parts", "--out", tmp_path / "parts.ONNX")
    assert found["score_deviation"] == 0.0012 and found["map_deviation"] == 0.03 and found["region_ignored"]
    (tmp_path / "there.onnx").write_text("mine")
    code, _, err = call(capsys, "models", "export", "parts", "--out", tmp_path / "there.onnx")
    assert code == 2 and "exists" in err and (tmp_path / "there.onnx").read_text() == "mine"
