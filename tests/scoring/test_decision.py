"""Evidence to decision."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from panda_core.errors import ConfigError
from panda_core.inspection import OperatingPoint
from panda_core.scoring.decision import decide


def blob(height: float) -> np.ndarray:
    values = np.zeros((32, 32), np.float32)
    values[10:20, 5:15] = height
    return values


def test_without_arguments_the_calibration_decides(inspect, calibrate) -> None:
    calibration = calibrate()
    at = calibration.boundary.value
    above, on = (decide(inspect(score, calibration=calibration)) for score in (at + 1, at))
    assert (above.verdict, on.verdict) == ("anomalous", "normal")
    assert above.margin == pytest.approx(1.0)
    assert on.margin == 0
    assert above.boundary is calibration.boundary
    assert above.pixel_threshold == calibration.pixel_threshold


def test_a_saved_operating_point_decides_until_another_threshold_is_given(inspect, calibrate) -> None:
    point = OperatingPoint(boundary=0.5, pixel_threshold=9.0, who="Ada", why="too many false alarms", when="2026-11-24T10:00:00+00:00")
    own = calibrate()
    inspection = inspect(1.0, calibration=replace(own, operating_point=point))
    decision = decide(inspection)
    assert (decision.boundary.value, decision.pixel_threshold, decision.verdict) == (0.5, 9.0, "anomalous")
    assert decision.boundary.kind == "manual" and "Ada" in decision.boundary.reason and "2026-11-24" in decision.boundary.reason
    back = decide(inspection, boundary=own.boundary.value, pixel_threshold=own.pixel_threshold)
    assert (back.boundary.value, back.pixel_threshold) == (own.boundary.value, own.pixel_threshold)


def test_a_boundary_set_by_hand_moves_the_verdict_and_carries_its_rates(inspect, calibrate) -> None:
    calibration = calibrate()
    inspection = inspect(1.0, calibration=calibration)
    low, high = decide(inspection, boundary=0.5), decide(inspection, boundary=1.5)
    assert (low.verdict, high.verdict) == ("anomalous", "normal")
    assert low.boundary.kind == "manual"
    assert low.boundary.false_alarm_rate == np.mean(calibration.normal_scores > 0.5)
    assert low.boundary.miss_rate == np.mean(calibration.anomalous_scores <= 0.5)


def test_the_miss_rate_is_unknown_without_anomalous_images(inspect, calibrate) -> None:
    assert decide(inspect(1.0, calibration=calibrate(anomalous=0)), boundary=0.5).boundary.miss_rate is None


def test_the_pixel_threshold_moves_the_mask_alone(inspect) -> None:
    inspection = inspect(0.0, blob(5.0))
    shown, hidden = decide(inspection, pixel_threshold=4.0), decide(inspection, pixel_threshold=6.0)
    assert (shown.mask.sum(), len(shown.regions)) == (100, 1)
    assert (hidden.mask.sum(), hidden.regions) == (0, ())
    assert shown.verdict == hidden.verdict


def test_deciding_is_pure_and_its_arrays_cannot_be_written(inspect) -> None:
    inspection = inspect(0.0, blob(5.0))
    before = inspection.anomaly_map.copy()
    first, second = decide(inspection), decide(inspection)
    np.testing.assert_array_equal(inspection.anomaly_map, before)
    np.testing.assert_array_equal(first.mask, second.mask)
    assert (first.verdict, first.regions) == (second.verdict, second.regions)
    with pytest.raises(ValueError, match="read-only"):
        first.mask[0, 0] = True


@pytest.mark.parametrize("name", ["boundary", "pixel_threshold"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_thresholds_must_be_finite(inspect, name, value) -> None:
    with pytest.raises(ConfigError, match=name):
        decide(inspect(0.0), **{name: value})


def test_the_gauge_is_clipped_where_the_score_is_not(inspect, calibrate) -> None:
    calibration = calibrate()
    far = inspect(calibration.hi + 100, calibration=calibration)
    assert (far.gauge, inspect(calibration.lo - 100, calibration=calibration).gauge) == (1.0, 0.0)
    assert decide(far).margin == far.score - calibration.boundary.value > 100 - abs(calibration.hi)


@pytest.mark.parametrize("threshold", [0.0, 0.5, 2.0])
def test_a_noisy_map_of_512_pixels_is_decided_within_a_slider_tick(inspect, threshold) -> None:
    inspection = inspect(0.0, np.random.default_rng(0).normal(size=(512, 512)).astype(np.float32))
    decide(inspection, pixel_threshold=threshold)
    durations = []
    for _ in range(5):
        start = time.perf_counter()
        decide(inspection, pixel_threshold=threshold)
        durations.append(time.perf_counter() - start)
    assert min(durations) < 0.05  # 10 ms on an idle core; the rest is for shared machines
