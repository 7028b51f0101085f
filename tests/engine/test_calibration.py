"""Where the calibrated numbers come from: labelled anomalies, else synthetic ones, else the normals' tail."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from panda_core.calibration import calibrate, gather
from panda_core.config import ScoringConfig
from panda_core.data.images import list_images, read_image
from panda_core.data.synthetic import make_anomaly
from panda_core.errors import CalibrationError
from panda_core.inspection import Calibration
from panda_core.inspector import Inspector
from panda_core.scoring.boundary import MINIMUM_ANOMALOUS

SCORING = ScoringConfig(fusion="weighted")


@pytest.fixture(scope="module")
def good(toy_folder: Path) -> list[Path]:
    return list_images(toy_folder / "test" / "good")


@pytest.fixture(scope="module")
def scars(toy_folder: Path) -> list[Path]:
    return list_images(toy_folder / "test" / "scar")


def numbers(calibration: Calibration) -> tuple[object, ...]:
    scores = (calibration.normal_scores.tolist(), calibration.anomalous_scores.tolist())
    return (calibration.boundary, dict(calibration.errors), calibration.pixel_threshold, calibration.lo, calibration.hi, *scores)


def test_enough_labelled_anomalies_are_the_first_choice(inspector: Inspector, good: list[Path], scars: list[Path]) -> None:
    found = calibrate(inspector.model, good, anomalous_paths=scars[:MINIMUM_ANOMALOUS], scoring=SCORING)
    assert found.anomalous_scores.size == MINIMUM_ANOMALOUS
    assert found.boundary.kind == "labelled" or "labelled" in found.boundary.reason


def test_too_few_labelled_anomalies_give_way_to_synthetic_ones(inspector: Inspector, good: list[Path], scars: list[Path]) -> None:
    gathered = gather(inspector.model, good, anomalous_paths=scars[: MINIMUM_ANOMALOUS - 1], scoring=SCORING)
    assert gathered.source == "synthetic" and len(gathered.masks) == len(gathered.anomalous) == 2 * len(good)
    side = gathered.masks[0].shape[0]
    for number, (path, mask) in enumerate(zip(good * 2, gathered.masks, strict=True)):
        drawn = make_anomaly(read_image(path), seed=number)[1]
        lost = cv2.resize(mask.astype(np.uint8), drawn.shape[::-1], interpolation=cv2.INTER_NEAREST) < drawn
        assert mask.shape == (side, side) and not lost.any(), f"{np.count_nonzero(lost)} pixels of the defect are called normal"


def test_too_few_labelled_anomalies_are_an_error_where_they_are_insisted_on(
    inspector: Inspector, good: list[Path], scars: list[Path]
) -> None:
    forced = replace(SCORING, boundary="labelled")
    with pytest.raises(CalibrationError, match=f"at least {MINIMUM_ANOMALOUS}.*there are {MINIMUM_ANOMALOUS - 1}"):
        calibrate(inspector.model, good, anomalous_paths=scars[: MINIMUM_ANOMALOUS - 1], scoring=forced)


def test_synthetic_ones_can_be_forced_past_labelled_ones(inspector: Inspector, good: list[Path], scars: list[Path]) -> None:
    gathered = gather(inspector.model, good, anomalous_paths=scars, scoring=replace(SCORING, boundary="synthetic"))
    assert gathered.source == "synthetic" and len(gathered.anomalous) == 2 * len(good)


@pytest.mark.parametrize("known", [0, 6])
def test_a_tail_weighs_the_errors_as_the_other_boundaries_do(inspector: Inspector, good: list[Path], scars: list[Path], known: int) -> None:
    of_tail, of_other = (
        calibrate(inspector.model, good, anomalous_paths=scars[:known], scoring=ScoringConfig(fusion="weighted", boundary=kind))
        for kind in ("tail", "labelled" if known else "synthetic")
    )
    assert of_tail.boundary.kind == "tail" != of_other.boundary.kind
    assert of_tail.errors == of_other.errors and len({error.weight for error in of_tail.errors.values()}) > 1
    assert of_tail.maps.keys() == of_other.maps.keys()
    assert [of_tail.maps[name].weight for name in of_tail.maps] == [of_other.maps[name].weight for name in of_other.maps]
    assert of_tail.boundary.miss_rate == np.mean(of_tail.anomalous_scores <= of_tail.boundary.value)


def test_the_tail_can_be_forced(inspector: Inspector, good: list[Path], scars: list[Path]) -> None:
    found = calibrate(inspector.model, good, anomalous_paths=scars, scoring=replace(SCORING, boundary="tail"))
    assert found.boundary.kind == "tail" and found.source == "labelled"
    largest, spread = found.normal_scores[-1], np.ptp(found.normal_scores)
    assert largest < found.boundary.value < largest + 0.01 * spread, "so few images can only give the largest score"


def test_too_few_normal_images_are_an_error_that_counts_them(inspector: Inspector, good: list[Path], tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"nothing")
    with pytest.raises(CalibrationError, match="There are 3 normal"):
        calibrate(inspector.model, [*good[:3], tmp_path / "broken.png", tmp_path / "gone.png"], scoring=SCORING)


def test_the_fingerprint_knows_the_images_not_their_order_or_place(inspector: Inspector, good: list[Path], tmp_path: Path) -> None:
    def fingerprint(paths: list[Path]) -> str:
        return gather(inspector.model, paths, scoring=replace(SCORING, boundary="tail")).fingerprint

    moved = [tmp_path / path.name for path in good]
    for source, target in zip(good, moved, strict=True):
        target.write_bytes(source.read_bytes())
    assert fingerprint(good) == fingerprint(good[::-1]) == fingerprint(moved)
    assert fingerprint(good) != fingerprint(good[:-1])
    (tmp_path / "empty.png").touch()
    assert fingerprint([*good, tmp_path / "empty.png"]) == fingerprint(good), "what cannot be read was not calibrated on"


def test_the_seed_decides_every_number(inspector: Inspector, good: list[Path]) -> None:
    first, again, other = (calibrate(inspector.model, good, scoring=SCORING, seed=seed) for seed in (3, 3, 4))
    assert numbers(first) == numbers(again)
    assert not np.array_equal(first.anomalous_scores, other.anomalous_scores)


def test_progress_counts_every_image_once(inspector: Inspector, good: list[Path]) -> None:
    said: list[tuple[int, int]] = []
    calibrate(inspector.model, good, scoring=SCORING, on_progress=lambda done, total: said.append((done, total)))
    assert said[-1] == (3 * len(good), 3 * len(good)) and said == sorted(said)


def test_large_images_are_calibrated_as_they_are_inspected(inspector: Inspector, tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.png" for number in range(4)]
    for number, path in enumerate(paths):
        noise = np.random.default_rng(number).integers(0, 256, (1000, 777, 3), dtype=np.uint8)
        assert cv2.imwrite(str(path), noise)
    gathered = gather(inspector.model, paths, scoring=replace(SCORING, boundary="synthetic"))
    for evidence, path in zip(gathered.normal, paths, strict=True):
        assert dict(evidence.errors) == pytest.approx(dict(inspector.inspect(path).errors), rel=1e-4, abs=1e-5)
    assert {mask.shape for mask in gathered.masks} == {evidence.maps["residual"].shape for evidence in gathered.normal}


def test_leaving_an_error_out_leaves_its_map_out(inspector: Inspector, good: list[Path]) -> None:
    gathered = gather(inspector.model, good, scoring=SCORING)
    assert "percept" in gathered.normal[0].errors and "percept" in gathered.normal[0].maps
    found = gathered.without("percept").fit(SCORING)
    assert "percept" not in found.errors and set(found.maps) == {"residual"} and "recon" in found.errors


def test_copies_of_an_image_count_once(inspector: Inspector, good: list[Path], scars: list[Path], tmp_path: Path) -> None:
    copies = [Path(shutil.copy(path, tmp_path / f"{number}{path.name}")) for number in range(3) for path in good]
    scoring = ScoringConfig(boundary="tail")
    counted: list[tuple[int, int]] = []
    found = calibrate(inspector.model, copies, scoring=scoring, on_progress=lambda done, total: counted.append((done, total)))
    once = calibrate(inspector.model, good, scoring=scoring)
    assert counted == [(number, 3 * len(good)) for number in range(1, 3 * len(good) + 1)], "each, and its two synthetic anomalies"
    assert found.count == once.count == len(good) and found.boundary == once.boundary and found.fingerprint == once.fingerprint
    known = [Path(shutil.copy(scars[0], tmp_path / f"{number}.png")) for number in range(4)]
    assert calibrate(inspector.model, good, anomalous_paths=known, scoring=ScoringConfig()).source != "labelled", "one anomaly, four times"


def test_an_image_cannot_be_normal_and_anomalous(inspector: Inspector, good: list[Path], scars: list[Path]) -> None:
    with pytest.raises(CalibrationError, match="1 image"):
        calibrate(inspector.model, good, anomalous_paths=[*scars, good[0]], scoring=ScoringConfig())
    synthetic = ScoringConfig(boundary="synthetic")  # which looks at no known anomaly
    assert calibrate(inspector.model, good, anomalous_paths=[*scars, good[0]], scoring=synthetic).source == "synthetic"
