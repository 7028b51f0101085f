"""``--roi``: a command looks where the app looks."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from command_line import Captured, call, call_json

from panda_core.card import known_as
from panda_core.roi import RegionOfInterest, Shape, save_roi


@pytest.fixture
def region(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The middle of the image, drawn for ``tiny_model``.

    Images are examined one at a time, as within a region: in a batch float32 rounds otherwise, where several threads share a sum.
    """
    monkeypatch.setattr("panda_core.inspector.BATCH_PIXELS", 1)
    monkeypatch.setenv("PANDA_HOME", str(tmp_path / "home"))
    save_roi(known_as(tiny_model), RegionOfInterest((Shape("rectangle", "include", ((0.3, 0.3), (0.7, 0.7))),)))


@pytest.mark.usefixtures("region")
def test_a_region_is_looked_into_where_that_is_asked_for(capsys: Captured, mixed_folder: Path, tiny_model: Path) -> None:
    code, whole, err = call(capsys, "inspect", mixed_folder, "--model", tiny_model, "--json")
    assert code == 0 and "--roi" in err
    within = call_json(capsys, "inspect", mixed_folder, "--model", tiny_model, "--roi")
    for before, after in zip(json.loads(whole)[:-1], within[:-1], strict=True):
        assert after["path"] == before["path"] and after["score"] <= before["score"] + 1e-6
    x, y = np.array([region["box"] for entry in within[:-1] for region in entry["regions"]]).reshape(-1, 2, 2).transpose(2, 0, 1)
    height, width = cv2.imread(within[0]["path"]).shape[:2]
    assert x.size
    assert (x >= 0.29 * width).all() and (x <= 0.71 * width).all() and (y >= 0.29 * height).all() and (y <= 0.71 * height).all()
    assert any(after["score"] < before["score"] for before, after in zip(json.loads(whole)[:-1], within[:-1], strict=True))
    assert within[-1].keys() == {"path", "error"}


@pytest.mark.usefixtures("region")
def test_a_model_is_measured_within_its_region(capsys: Captured, toy_folder: Path, tiny_model: Path) -> None:
    code, whole, err = call(capsys, "evaluate", toy_folder, "--model", tiny_model, "--json")
    assert code == 0 and "--roi" in err
    before, after = json.loads(whole), call_json(capsys, "evaluate", toy_folder, "--model", tiny_model, "--roi")
    scores = [[image["score"] for image in report["images"]] for report in (before, after)]
    assert scores[0] != scores[1] and all(a <= b + 1e-6 for b, a in zip(*scores, strict=True))


def test_a_region_that_was_never_drawn_is_a_message(
    capsys: Captured, toy_folder: Path, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PANDA_HOME", str(tmp_path / "home"))
    for command, path in (("inspect", toy_folder / "test" / "good"), ("evaluate", toy_folder)):
        code, out, err = call(capsys, command, path, "--model", tiny_model, "--roi", "--json")
        assert code == 2 and not out and "No region of interest was drawn" in err
