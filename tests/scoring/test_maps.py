"""Raw maps to standardised maps to regions."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from panda_core.errors import CalibrationError
from panda_core.scoring.maps import count_regions, fit_maps, pixel_threshold, regions, resize_map, smooth, standardise


def normals(count: int, *, seed: int, size: int = 32, spread: float = 1.0) -> list[np.ndarray]:
    ramp = np.linspace(0, 20, size)[:, None]  # a place that is always badly reconstructed is not strange
    return [(ramp + spread * np.random.default_rng([seed, i]).normal(size=(size, size))).astype(np.float32) for i in range(count)]


def test_smoothing_keeps_the_mean_and_zero_changes_nothing() -> None:
    raw = normals(1, seed=0)[0]
    np.testing.assert_array_equal(smooth(raw, 0.0), raw)
    assert smooth(raw, 2.0).mean() == pytest.approx(raw.mean(), rel=0.02)
    assert smooth(raw - raw.mean(axis=1, keepdims=True), 2.0).std() < 0.3


def test_statistics_approach_mean_and_spread_of_the_smoothed_maps() -> None:
    images = normals(300, seed=0, spread=2.0)
    stats = fit_maps({"residual": images}, smoothing=1.0)["residual"]
    smoothed = np.stack([smooth(i, 1.0) for i in images])
    np.testing.assert_allclose(stats.mean, smoothed.mean(axis=0), atol=1e-4)
    inner = (slice(3, -3), slice(3, -3))  # the mirrored border varies more
    np.testing.assert_allclose(stats.std[inner], smoothed.std(axis=0)[inner], rtol=0.15)


def test_few_images_still_give_a_steady_positive_spread() -> None:
    for count in (2, 5):
        stats = fit_maps({"residual": normals(count, seed=0)}, smoothing=1.0)["residual"]
        assert stats.std.min() > 0.3 * np.median(stats.std)


def test_maps_that_never_vary_give_finite_statistics() -> None:
    stats = fit_maps({"residual": [np.zeros((8, 8), np.float32)] * 3}, smoothing=1.0)["residual"]
    assert stats.std.min() > 0


def test_new_normal_images_standardise_to_about_zero_and_one(calibrate, evidences) -> None:
    calibration = calibrate(normal=60)
    fresh = np.stack([standardise(e.maps, calibration) for e in evidences(60, seed=9)])
    assert abs(fresh.mean()) < 0.05
    assert 0.55 < fresh.std() < 1.1  # two independent maps are averaged: about 0.7


def test_the_standardised_map_ignores_a_maps_unit_and_shows_the_anomaly(calibrate, evidences) -> None:
    calibration = calibrate()
    values = standardise(evidences(1, seed=5, shift=3.0)[0].maps, calibration)
    y, x = np.unravel_index(values.argmax(), values.shape)
    assert 4 <= y < 8
    assert 4 <= x < 8
    images = normals(20, seed=0)
    plain, scaled = (fit_maps({"m": [k * i for i in images]}, smoothing=1.0)["m"] for k in (np.float32(1), np.float32(50)))
    np.testing.assert_allclose((images[0] - plain.mean) / plain.std, (50 * images[0] - scaled.mean) / scaled.std, atol=1e-2)


def test_map_weights_are_shares_and_a_map_of_weight_zero_may_be_absent(calibrate, evidences) -> None:
    stats = fit_maps({"a": normals(5, seed=0), "b": normals(5, seed=1)}, smoothing=0.0, weights={"a": 3, "b": 1})
    assert (stats["a"].weight, stats["b"].weight) == (0.75, 0.25)
    with pytest.raises(CalibrationError, match="weights"):
        fit_maps({"a": normals(5, seed=0)}, smoothing=0.0, weights={"a": 0.0})


def test_missing_or_misshapen_maps_are_refused(calibrate) -> None:
    calibration = calibrate()
    with pytest.raises(CalibrationError, match="'residual' is missing"):
        standardise({}, calibration)
    with pytest.raises(CalibrationError, match=r"\(8, 8\)"):
        standardise(dict.fromkeys(calibration.maps, np.zeros((8, 8), np.float32)), calibration)


@pytest.mark.parametrize("images", [[np.zeros((8, 8))], [np.zeros((8, 8)), np.zeros((9, 9))], [np.zeros((8, 8)), np.full((8, 8), np.nan)]])
def test_too_few_unequal_or_broken_maps_are_refused(images) -> None:
    with pytest.raises(CalibrationError, match="residual"):
        fit_maps({"residual": images}, smoothing=0.0)


def test_the_pixel_threshold_is_exceeded_by_its_share_of_pixels() -> None:
    maps = normals(20, seed=0)
    threshold = pixel_threshold(maps, 0.01)
    assert np.mean([m > threshold for m in maps]) == pytest.approx(0.01, abs=0.001)


def test_resizing_reaches_the_size_and_keeps_a_constant_and_the_place_of_the_peak() -> None:
    np.testing.assert_allclose(resize_map(np.full((4, 6), 2.5, np.float32), 9, 30), np.full((9, 30), 2.5))
    raw = np.zeros((8, 8), np.float32)
    raw[2, 5] = 1
    y, x = np.unravel_index(resize_map(raw, 80, 160).argmax(), (80, 160))
    assert (y // 10, x // 20) == (2, 5)


DRAWING = np.array([
    [0, 0, 0, 0, 0, 0, 0, 0],
    [0, 5, 6, 0, 0, 0, 0, 0],
    [0, 5, 4, 0, 0, 0, 0, 0],
    [0, 0, 0, 9, 0, 0, 0, 0],
    [0, 0, 0, 0, 0, 0, 7, 7],
    [0, 0, 0, 0, 0, 0, 7, 7],
], dtype=np.float32)  # fmt: skip


def test_regions_of_a_drawn_map_are_measured_and_ordered() -> None:
    mask, (first, second) = regions(DRAWING, 3.0, minimum_area=1)
    np.testing.assert_array_equal(mask, DRAWING > 3)
    assert (first.area, first.box, first.peak, first.peak_at) == (5, (1, 1, 4, 4), 9.0, (3, 3))
    assert first.mean == pytest.approx(29 / 5)
    assert (second.area, second.box, second.peak, second.mean, second.peak_at) == (4, (6, 4, 8, 6), 7.0, 7.0, (6, 4))


def test_specks_leave_mask_and_list() -> None:
    mask, found = regions(DRAWING, 3.0, minimum_area=5)
    assert [r.area for r in found] == [5]
    assert mask.sum() == 5


def test_nothing_above_the_threshold_gives_no_region() -> None:
    mask, found = regions(DRAWING, 9.0)
    assert not mask.any()
    assert found == ()


def test_regions_agree_with_measuring_each_alone() -> None:
    values = smooth(np.random.default_rng(0).normal(size=(90, 70)).astype(np.float32), 2.0)
    mask, found = regions(values, 0.1, minimum_area=6)
    assert len(found) > 5
    assert sum(r.area for r in found) == mask.sum()
    for region in found:
        x0, y0, x1, y1 = region.box
        assert values[region.peak_at[1], region.peak_at[0]] == np.float32(region.peak)
        assert x0 <= region.peak_at[0] < x1
        assert y0 <= region.peak_at[1] < y1
        assert region.area >= 6
        assert 0.1 < region.mean <= region.peak


def test_a_higher_threshold_never_marks_a_further_pixel() -> None:
    values = smooth(np.random.default_rng(1).normal(size=(64, 64)).astype(np.float32), 2.0)
    masks = [regions(values, t)[0] for t in (0.0, 0.1, 0.2, 0.4)]
    assert all(not np.any(higher & ~lower) for lower, higher in pairwise(masks))


def test_counting_regions_is_measuring_them() -> None:
    values = smooth(np.random.default_rng(3).normal(size=(120, 90)).astype(np.float32), 2.0)
    for threshold in (0.0, 0.1, 0.3, 9.0):
        for least in (None, 1, 40):
            assert count_regions(values, threshold, minimum_area=least) == len(regions(values, threshold, minimum_area=least)[1])
