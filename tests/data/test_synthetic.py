from __future__ import annotations

import time
from collections.abc import Callable

import cv2
import numpy as np
import pytest

from panda_core.data.synthetic import CHANGED, KINDS, foreground, make_anomaly

Draw = Callable[..., np.ndarray]


@pytest.mark.parametrize("kind", KINDS)
def test_the_mask_is_where_pixels_changed_and_never_empty(draw: Draw, kind: str) -> None:
    image = draw(0, height=128, width=96)
    before = image.copy()
    for seed in range(25):
        result, mask = make_anomaly(image, seed=seed, kind=kind)
        assert result.shape == image.shape and result.dtype == np.uint8
        assert mask.shape == (128, 96) and mask.dtype == np.bool_ and mask.any()
        change = np.abs(result.astype(int) - image).max(axis=2)
        np.testing.assert_array_equal(mask, change > CHANGED)
        assert mask.mean() < 0.25
    np.testing.assert_array_equal(image, before)


def test_the_same_seed_gives_the_same_defect_and_seeds_differ(draw: Draw) -> None:
    image = draw(1, height=64, width=64)
    for first, second in zip(make_anomaly(image, seed=3), make_anomaly(image, seed=3), strict=True):
        np.testing.assert_array_equal(first, second)
    assert len({make_anomaly(image, seed=seed)[0].tobytes() for seed in range(12)}) == 12


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("level", [0, 128, 255])
@pytest.mark.parametrize("shape", [(1, 1), (3, 40), (64, 64)])
def test_flat_and_tiny_images_get_a_visible_defect_too(kind: str, level: int, shape: tuple[int, int]) -> None:
    image = np.full((*shape, 3), level, np.uint8)
    for seed in range(4):
        assert make_anomaly(image, seed=seed, kind=kind)[1].any()


def test_sizes_and_strengths_run_from_small_and_faint_to_large_and_plain(draw: Draw) -> None:
    image = draw(2, height=128, width=128)
    areas, strengths = [], []
    for seed in range(80):
        result, mask = make_anomaly(image, seed=seed)
        areas.append(mask.mean())
        strengths.append(np.abs(result.astype(int) - image).max(axis=2)[mask].mean())
    assert np.quantile(areas, 0.1) < 0.006 and np.quantile(areas, 0.95) > 0.03
    assert np.quantile(strengths, 0.1) < 25 and np.quantile(strengths, 0.9) > 45


@pytest.mark.parametrize("kind", KINDS)
def test_defects_lie_on_the_object_where_the_border_is_uniform(kind: str) -> None:
    image = np.full((128, 128, 3), 230, np.uint8)
    inside = np.zeros((128, 128), bool)
    inside[30:90, 40:100] = True
    image[inside] = np.random.default_rng(0).integers(60, 120, (inside.sum(), 3))
    agreement = (foreground(image) & inside).sum() / (foreground(image) | inside).sum()
    assert agreement > 0.95
    near = np.zeros_like(inside)
    near[26:94, 36:104] = True
    for seed in range(15):
        mask = make_anomaly(image, seed=seed, kind=kind)[1]
        assert not mask[~near].any()


def test_without_a_uniform_border_everything_is_foreground() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    assert foreground(noise).all()
    assert foreground(np.full((50, 70, 3), 9, np.uint8)).all()


def test_a_grey_image_stays_grey(draw: Draw) -> None:
    grey = np.repeat(draw(0, height=96, width=96)[:, :, :1], 3, axis=2)
    for seed in range(30):
        assert np.ptp(make_anomaly(grey, seed=seed)[0], axis=2).max() <= 1


def test_unknown_kinds_and_foreign_arrays_are_refused(draw: Draw) -> None:
    with pytest.raises(ValueError, match="cut-paste"):
        make_anomaly(draw(0), seed=0, kind="rust")
    with pytest.raises(ValueError, match="uint8"):
        make_anomaly(draw(0).astype(np.float32), seed=0)


@pytest.mark.parametrize("kind", KINDS)
def test_a_large_image_gets_the_defect_of_a_small_one_at_its_own_sharpness(draw: Draw, kind: str) -> None:
    image = draw(0, height=1100, width=1024)
    small = cv2.resize(image, (477, 512), interpolation=cv2.INTER_AREA)
    for seed in range(3):
        result, mask = make_anomaly(image, seed=seed, kind=kind)
        expected = make_anomaly(small, seed=seed, kind=kind)[1]
        assert mask.any() and mask.mean() == pytest.approx(expected.mean(), rel=0.2)
        width, height = cv2.boundingRect((np.abs(result.astype(int) - image).max(axis=2) > 0).astype(np.uint8))[2:]
        assert width < 1024 or height < 1100, "where nothing was drawn the image is as it was"


def test_a_defect_is_drawn_quickly(draw: Draw) -> None:
    image = draw(0, height=256, width=256)
    durations = []
    for seed in range(15):
        start = time.perf_counter()
        make_anomaly(image, seed=seed)
        durations.append(time.perf_counter() - start)
    assert np.median(durations) < 0.06  # 15 ms is the aim; the rest is room for a busy machine
