"""Leaves and X-rays: same seed, same bytes; the anomaly is the whole difference; each picture shows what it says."""

import numpy as np
import pytest

from panda_core.procedural.leaf import LEAF_ANOMALIES, draw_leaf
from panda_core.procedural.xray import XRAY_ANOMALIES, draw_xray

SIZE = 96
DRAWS = [draw_leaf, draw_xray]
ANOMALIES = [(draw_leaf, kind) for kind in LEAF_ANOMALIES] + [(draw_xray, kind) for kind in XRAY_ANOMALIES]


@pytest.mark.parametrize("draw", DRAWS)
def test_a_normal_picture_is_rgb_bytes_with_an_empty_mask(draw):
    image, mask = draw(5, size=SIZE)
    assert image.shape == (SIZE, SIZE, 3) and image.dtype == np.uint8
    assert mask.shape == (SIZE, SIZE) and mask.dtype == np.bool_ and not mask.any()


@pytest.mark.parametrize(("draw", "kind"), ANOMALIES)
def test_a_seed_gives_the_same_bytes_again(draw, kind):
    first, second = draw(3, size=SIZE, anomaly=kind), draw(3, size=SIZE, anomaly=kind)
    assert np.array_equal(first[0], second[0]) and np.array_equal(first[1], second[1])


@pytest.mark.parametrize("draw", DRAWS)
def test_what_was_drawn_before_does_not_change_a_picture(draw):
    alone = draw(11, size=SIZE)[0]
    draw(12, size=SIZE)
    assert np.array_equal(draw(11, size=SIZE)[0], alone)


@pytest.mark.parametrize("draw", DRAWS)
def test_neighbouring_seeds_give_different_scenes(draw):
    pictures = [draw(seed, size=SIZE)[0].astype(int) for seed in range(4)]
    for i, picture in enumerate(pictures):
        for other in pictures[:i]:
            assert np.abs(picture - other).mean() > 2


@pytest.mark.parametrize(("draw", "kind"), ANOMALIES)
@pytest.mark.parametrize("seed", range(20, 26))
def test_the_mask_is_exactly_the_difference_to_the_normal_picture(draw, kind, seed):
    image, mask = draw(seed, size=SIZE, anomaly=kind)
    normal, _ = draw(seed, size=SIZE)
    assert np.array_equal(mask, (image != normal).any(axis=2))
    assert 5 < np.count_nonzero(mask) < 0.5 * mask.size


@pytest.mark.parametrize("seed", range(16))
def test_a_leaf_is_green_in_the_middle_of_a_table_that_is_not(seed):
    image = draw_leaf(seed, size=SIZE)[0].astype(int)
    green = image[..., 1] - image[..., [0, 2]].max(axis=2)
    border = np.concatenate([green[0], green[-1]])
    assert 0.1 < (green > 3).mean() < 0.85
    assert np.median(border) < 3


def test_mildew_is_paler_and_spots_are_darker_than_the_leaf():
    for kind, sign in (("mildew", 1), ("spot", -1)):
        image, mask = draw_leaf(21, size=SIZE, anomaly=kind)
        normal, _ = draw_leaf(21, size=SIZE)
        assert sign * (image[mask].mean() - normal[mask].mean()) > 0


@pytest.mark.parametrize("seed", range(6))
def test_the_scanner_shows_air_white_and_the_device_dark(seed):
    image = draw_xray(seed, size=SIZE)[0]
    assert np.median(image[:4]) > 245
    assert image[30:66, 30:66].mean() < 220


@pytest.mark.parametrize("kind", XRAY_ANOMALIES)
def test_more_metal_in_the_beam_never_makes_the_picture_brighter_overall(kind):
    for seed in range(40, 46):
        image, mask = draw_xray(seed, size=SIZE, anomaly=kind)
        assert image[mask].mean() < draw_xray(seed, size=SIZE)[0][mask].mean()


@pytest.mark.parametrize("draw", DRAWS)
def test_a_larger_size_shows_the_same_scene(draw):
    small = draw(7, size=SIZE)[0].astype(float)
    large = draw(7, size=2 * SIZE)[0].astype(float).reshape(SIZE, 2, SIZE, 2, 3).mean(axis=(1, 3))
    other = draw(8, size=SIZE)[0].astype(float)
    assert np.abs(small - large).mean() < 0.6 * np.abs(small - other).mean()


@pytest.mark.parametrize("draw", DRAWS)
def test_unknown_anomalies_and_tiny_sizes_are_refused(draw):
    with pytest.raises(ValueError, match="Known"):
        draw(0, size=SIZE, anomaly="rust")
    with pytest.raises(ValueError, match="at least 32"):
        draw(0, size=8)
