"""What is written for the browser: exact maps, the numbers of the decision, sizes that a browser can hold."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from engine_double import LEAF, FakeEngine, draw_spot, make_calibration

from panda_core.inspection import Inspection
from panda_core.scoring.decision import decide
from panda_core.ui.payload import LONGEST_SIDE, MOST_SCORES, RESIDUAL_SIDE, reduce_inspection, to_levels, write_payload
from panda_core.ui.view import open_view


@pytest.fixture
def spot(tmp_path: Path) -> Inspection:
    return FakeEngine(LEAF).inspect("leaf", draw_spot(tmp_path / "spot.png"))


def read_map(payload: dict[str, Any], name: str) -> np.ndarray:
    """The map as a browser puts it together from red and green."""
    picture = cv2.imread(payload["files"][name]["path"])[..., ::-1].astype(np.float64)
    scale = payload[name]
    return scale["low"] + (picture[..., 0] * 256 + picture[..., 1]) * (scale["high"] - scale["low"]) / 65535


@pytest.mark.parametrize("name", ["map", "residual"])
def test_maps_come_back_within_half_a_level(spot: Inspection, tmp_path: Path, name: str) -> None:
    payload = write_payload(spot, tmp_path)
    wanted = spot.anomaly_map if name == "map" else spot.residual
    assert np.abs(read_map(payload, name) - wanted).max() <= 0.501 * np.ptp(wanted) / 65535


def test_the_session_decides_on_the_very_numbers_that_the_browser_has(spot: Inspection) -> None:
    view = open_view(spot)
    assert np.allclose(read_map(dict(view.payload), "map"), view.inspection.anomaly_map, rtol=1e-6, atol=0)
    assert view.inspection.score == spot.score


def test_a_map_without_contrast_keeps_its_value() -> None:
    levels = to_levels(np.full((4, 6), 2.5, np.float32))
    assert levels.high > levels.low and np.array_equal(levels.values(), np.full((4, 6), 2.5, np.float32))


def test_the_numbers_are_those_of_the_inspection_and_are_json(spot: Inspection, tmp_path: Path) -> None:
    payload = json.loads(json.dumps(write_payload(spot, tmp_path, device="CPU"), allow_nan=False))
    decision, calibration = decide(spot), spot.calibration
    assert (payload["name"], payload["model"], payload["width"], payload["height"]) == ("spot.png", "leaf", 96, 96)
    assert payload["score"] == spot.score and payload["p_value"] == spot.p_value and payload["device"] == "CPU"
    assert payload["boundary"] == dataclasses.asdict(decision.boundary)
    assert payload["pixel_threshold"] == decision.pixel_threshold
    assert payload["contributions"] == dict(spot.contributions) and payload["errors"] == dict(spot.errors)
    assert payload["normal"]["scores"] == calibration.normal_scores.tolist() and payload["normal"]["count"] == 99
    assert payload["anomalous"]["mean"] == pytest.approx(calibration.anomalous_scores.mean())


def test_many_calibration_scores_are_sent_as_quantiles(spot: Inspection, tmp_path: Path) -> None:
    scores = np.sort(np.random.default_rng(0).normal(2, 1, 50_000))
    large = dataclasses.replace(make_calibration(), normal_scores=scores, anomalous_scores=np.empty(0))
    payload = write_payload(dataclasses.replace(spot, calibration=large), tmp_path)
    sent = np.array(payload["normal"]["scores"])
    assert sent.size == MOST_SCORES and payload["normal"]["count"] == 50_000 and payload["anomalous"]["count"] == 0
    assert (sent[0], sent[-1]) == (scores[0], scores[-1])
    assert np.mean(sent > 3) == pytest.approx(np.mean(scores > 3), abs=0.001)


def test_large_images_are_reduced_and_their_size_is_told(tmp_path: Path) -> None:
    inspection = FakeEngine(LEAF).inspect("leaf", draw_spot(tmp_path / "large.png", size=3000))
    view = open_view(inspection)
    payload = dict(view.payload)
    assert (payload["width"], payload["height"], payload["reduced"]) == (3000, 3000, True)
    assert read_map(payload, "map").shape == (LONGEST_SIDE, LONGEST_SIDE)
    assert read_map(payload, "residual").shape == (RESIDUAL_SIDE, RESIDUAL_SIDE)
    assert len(decide(view.inspection).regions) == len(decide(inspection).regions)


def test_small_images_are_not_touched(spot: Inspection, tmp_path: Path) -> None:
    assert reduce_inspection(spot) is spot
    assert write_payload(spot, tmp_path)["reduced"] is False


def test_ground_truth_is_written_where_it_is_given(spot: Inspection, tmp_path: Path) -> None:
    truth = np.zeros((96, 96), bool)
    truth[40:60, 40:60] = True
    payload = write_payload(spot, tmp_path, truth=truth)
    assert np.array_equal(cv2.imread(payload["files"]["truth"]["path"], cv2.IMREAD_GRAYSCALE) > 127, truth)
    assert "truth" not in write_payload(spot, tmp_path)["files"]


def test_an_image_of_a_data_set_brings_its_true_mask_along(tmp_path: Path) -> None:
    for folder in ("spot", "good"):
        (tmp_path / "set" / "test" / folder).mkdir(parents=True)
    image = draw_spot(tmp_path / "set" / "test" / "spot" / "1.png")
    other = draw_spot(tmp_path / "set" / "test" / "spot" / "2.png")
    good = draw_spot(tmp_path / "set" / "test" / "good" / "1.png")
    truth = np.zeros((50, 50), np.uint8)
    truth[10:20, 30:40] = 255
    place = tmp_path / "set" / "ground_truth" / "spot"
    place.mkdir(parents=True)
    cv2.imwrite(str(place / "1_mask.png"), truth)
    (place / "2.png").write_text("text")
    engine = FakeEngine(LEAF)
    payload = open_view(engine.inspect(LEAF.name, image)).payload
    shown = cv2.imread(str(Path(payload["files"]["truth"]["path"])), cv2.IMREAD_GRAYSCALE)
    assert shown is not None and (shown > 127).mean() == pytest.approx(0.04, abs=0.005)
    for path in (other, good):
        assert "truth" not in open_view(engine.inspect(LEAF.name, path)).payload["files"]
