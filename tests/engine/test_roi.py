"""The region of interest: what is looked at, how it is kept, and what it does to a score."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from engine_double import make_calibration

from panda_core.inspection import Inspection
from panda_core.roi import RegionOfInterest, RoiError, Shape, clear_roi, fill_outside, inspect_within, load_roi, save_roi
from panda_core.scoring.decision import decide

LEFT = Shape("rectangle", "exclude", ((0.0, 0.0), (0.5, 1.0)))
MIDDLE = Shape("rectangle", "include", ((0.25, 0.25), (0.75, 0.75)))
TRIANGLE = Shape("polygon", "include", ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0)))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PANDA_HOME", str(tmp_path))
    return tmp_path


def look(image: np.ndarray, seen: np.ndarray) -> Inspection:
    """The engine double's rule, on arrays: strange is what differs from its own blurred self."""
    reconstruction = cv2.GaussianBlur(image, (0, 0), 12)
    residual = np.abs(image.astype(np.float32) - reconstruction).mean(axis=2) / 255
    anomaly_map = cv2.GaussianBlur(residual, (0, 0), 2) * 25
    score = float(anomaly_map.max())
    return Inspection(
        source="",
        model="leaf",
        image=image,
        reconstruction=reconstruction,
        residual=residual,
        anomaly_map=anomaly_map,
        errors={"recon": score},
        contributions={"recon": score},
        score=score,
        calibration=make_calibration(),
        milliseconds=1.0,
    )


def picture(*spots: tuple[int, int]) -> np.ndarray:
    """A slightly rough grey picture, 80 x 120, with bright spots at (x, y)."""
    image = np.random.default_rng(0).normal(60, 2, (80, 120, 3)).clip(0, 255).astype(np.uint8)
    for spot in spots:
        cv2.circle(image, spot, 6, (250, 250, 250), -1)
    return image


def test_without_shapes_everything_is_looked_at() -> None:
    assert RegionOfInterest().mask(4, 6).all()
    assert RegionOfInterest().outside_share(4, 6) == 0


def test_an_excluded_rectangle_is_cut_out_to_the_pixel() -> None:
    mask = RegionOfInterest((LEFT,)).mask(4, 6)
    assert not mask[:, :3].any() and mask[:, 3:].all()
    assert RegionOfInterest((LEFT,)).outside_share(4, 6) == pytest.approx(0.5)


def test_includes_are_united_and_excludes_taken_away_in_any_order() -> None:
    corner = Shape("rectangle", "include", ((0.9, 0.9), (1.0, 1.0)))
    one, other = RegionOfInterest((LEFT, MIDDLE, corner)), RegionOfInterest((corner, MIDDLE, LEFT))
    mask = one.mask(20, 20)
    assert np.array_equal(mask, other.mask(20, 20))
    assert mask[10, 12] and mask[19, 19] and not mask[10, 8] and not mask[2, 12]


def test_a_freehand_shape_covers_its_inside_at_any_size() -> None:
    for height, width in ((10, 10), (300, 200)):
        mask = TRIANGLE.mask(height, width)
        assert mask[0, 0] and not mask[-1, -1]
        assert mask.mean() == pytest.approx(0.5, abs=0.08)


def test_a_freehand_line_that_crosses_itself_leaves_no_hole() -> None:
    twice_round = ((0.1, 0.1), (0.9, 0.1), (0.9, 0.9), (0.1, 0.9), (0.1, 0.1), (0.8, 0.2), (0.8, 0.8), (0.2, 0.8))
    mask = Shape("polygon", "include", twice_round).mask(50, 50)
    assert mask[25, 25] and mask[8, 25] and not mask[2, 25]


def test_the_corners_of_a_rectangle_may_come_in_any_order() -> None:
    turned = Shape("rectangle", "exclude", ((0.5, 1.0), (0.0, 0.0)))
    assert np.array_equal(turned.mask(9, 7), LEFT.mask(9, 7))


def test_a_region_that_leaves_nothing_says_so() -> None:
    with pytest.raises(RoiError, match="nothing to look at"):
        RegionOfInterest((LEFT, Shape("rectangle", "exclude", ((0.5, 0.0), (1.0, 1.0))))).mask(5, 5)


@pytest.mark.parametrize(
    ("kind", "mode", "points", "reason"),
    [
        ("circle", "include", ((0, 0), (1, 1)), "known are rectangle, polygon"),
        ("rectangle", "maybe", ((0, 0), (1, 1)), "include, exclude"),
        ("rectangle", "include", ((0, 0),), "needs 2"),
        ("polygon", "include", ((0, 0), (1, 1)), "3 to 2000"),
        ("rectangle", "include", ((0, 0), (1.2, 1)), "leaves the image"),
        ("polygon", "include", ((0, 0), (1, 0), (float("nan"), 1)), "leaves the image"),
        ("rectangle", "include", ((0.2, 0), (0.2, 1)), "no area"),
    ],
)
def test_a_malformed_shape_is_refused_with_its_reason(kind: Any, mode: Any, points: Any, reason: str) -> None:
    with pytest.raises(RoiError, match=reason):
        Shape(kind, mode, points)


def test_a_region_survives_the_way_through_json() -> None:
    roi = RegionOfInterest((LEFT, TRIANGLE))
    assert RegionOfInterest.from_json(json.loads(json.dumps(roi.to_json()))) == roi


@pytest.mark.parametrize(
    "value",
    [
        None,
        {},
        {"version": 2, "shapes": []},
        {"version": 1, "shapes": [{}]},
        {"version": 1, "shapes": [{"kind": "rectangle", "mode": "include", "points": 3}]},
    ],
    ids=["nothing", "empty", "later version", "empty shape", "no points"],
)
def test_what_is_no_region_is_refused(value: Any) -> None:
    with pytest.raises(RoiError):
        RegionOfInterest.from_json(value)


def test_a_region_is_kept_for_its_model_alone_and_can_be_cleared(home: Path) -> None:
    assert load_roi("leaf") is None
    save_roi("leaf", RegionOfInterest((LEFT,)))
    save_roi("runs/first/model", RegionOfInterest((MIDDLE,)))
    save_roi("runs-first-model", RegionOfInterest((TRIANGLE,)))
    assert load_roi("leaf") == RegionOfInterest((LEFT,))
    assert load_roi("runs/first/model") == RegionOfInterest((MIDDLE,))
    assert load_roi("runs-first-model") == RegionOfInterest((TRIANGLE,))
    assert {path.parent for path in home.rglob("*.json")} == {home / "roi"}
    clear_roi("leaf")
    save_roi("runs/first/model", RegionOfInterest())
    assert load_roi("leaf") is None and load_roi("runs/first/model") is None


def test_a_region_that_cannot_be_kept_leaves_nothing_behind(home: Path) -> None:
    (home / "roi" / "leaf.json").mkdir(parents=True)
    with pytest.raises(RoiError, match="cannot be kept"):
        save_roi("leaf", RegionOfInterest((LEFT,)))
    assert [path.name for path in (home / "roi").iterdir()] == ["leaf.json"]


def test_only_its_owner_can_read_a_region(home: Path) -> None:
    save_roi("leaf", RegionOfInterest((LEFT,)))
    assert (home / "roi" / "leaf.json").stat().st_mode & 0o777 == 0o600


def test_a_damaged_file_says_where_it_is(home: Path) -> None:
    save_roi("leaf", RegionOfInterest((LEFT,)))
    (home / "roi" / "leaf.json").write_text("{")
    with pytest.raises(RoiError, match=r"leaf\.json"):
        load_roi("leaf")


def test_a_filled_image_holds_nothing_of_what_was_outside() -> None:
    mask = RegionOfInterest((LEFT,)).mask(80, 120)
    clean, dirty = fill_outside(picture(), mask), fill_outside(picture((30, 40)), mask)
    assert np.array_equal(clean, dirty)
    assert np.array_equal(clean[:, 60:], picture()[:, 60:])
    assert np.array_equal(clean[:, 59], picture()[:, 61]), "mirrored at the edge"


def test_a_region_narrower_than_the_gap_is_repeated() -> None:
    mask = np.zeros((10, 40), bool)
    mask[:, 38:] = True
    image = np.arange(40, dtype=np.uint8)[None, :, None].repeat(10, 0).repeat(3, 2)
    assert set(np.unique(fill_outside(image, mask))) <= {38, 39}


def test_a_defect_in_the_ignored_part_stops_raising_the_score_and_one_outside_it_still_does() -> None:
    roi = RegionOfInterest((LEFT,))
    clean, ignored, counted = (inspect_within(look, picture(*spots), roi) for spots in ((), ((30, 40),), ((90, 40),)))
    whole = look(picture((30, 40)), np.ones((80, 120), bool))
    assert decide(whole).verdict == "anomalous" and decide(ignored).verdict == "normal" == decide(clean).verdict
    assert ignored.score <= look(fill_outside(picture((30, 40)), roi.mask(80, 120)), roi.mask(80, 120)).score
    assert decide(counted).verdict == "anomalous" and len(decide(counted).regions) == 1
    assert decide(ignored).regions == ()


def test_the_score_is_never_higher_than_without_a_region() -> None:
    roi = RegionOfInterest((Shape("rectangle", "exclude", ((0.2, 0.3), (0.6, 0.9))),))
    for spots in ((), ((30, 40),), ((90, 40),), ((60, 20), (100, 60))):
        image = picture(*spots)
        within = inspect_within(look, image, roi)
        assert within.score <= look(image, roi.mask(80, 120)).score
        assert sum(within.contributions.values()) == pytest.approx(within.score)
        assert np.array_equal(within.image, image)


def test_a_large_image_is_filled_small_and_nothing_of_the_outside_seeps_in() -> None:
    roi = RegionOfInterest((Shape("rectangle", "exclude", ((0.0, 0.0), (0.3337, 1.0))),))
    shown: list[np.ndarray] = []

    def kept(image: np.ndarray, seen: np.ndarray) -> Inspection:
        shown.append(image)
        return look(image, seen)

    for outside in (0, 255):
        image = np.full((900, 1500, 3), 60, np.uint8)
        image[:, :500] = outside
        assert inspect_within(kept, image, roi).anomaly_map.shape == (900, 1500)
    assert max(shown[1].shape) == 1024
    assert np.array_equal(shown[1], shown[3])


def test_where_everything_counts_one_look_is_enough() -> None:
    looks: list[np.ndarray] = []

    def counted(image: np.ndarray, seen: np.ndarray) -> Inspection:
        looks.append(seen)
        return dataclasses.replace(look(image, seen), milliseconds=7.0)

    everything = RegionOfInterest((Shape("rectangle", "include", ((0.0, 0.0), (1.0, 1.0))),))
    assert inspect_within(counted, picture(), everything).milliseconds == 7.0
    assert len(looks) == 1
