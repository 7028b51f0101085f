"""Pictures: the overlay touches nothing but the mask, heat maps fit their image."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from panda_core.inspection import Decision, Inspection
from panda_core.inspector import Inspector
from panda_core.rendering import MASK_COLOUR, colourise, map_heatmap, mask_picture, overlay
from panda_core.scoring.decision import decide

HEIGHT, WIDTH = 60, 90


@pytest.fixture
def inspection(inspector: Inspector) -> Inspection:
    return inspector.inspect(np.random.default_rng(0).integers(60, 200, (HEIGHT, WIDTH, 3), dtype=np.uint8))


def decide_with(inspection: Inspection, mask: np.ndarray) -> Decision:
    return replace(decide(inspection), mask=mask.astype(bool))


def draw_ring(height: int, width: int) -> np.ndarray:
    mask = np.zeros((height, width), np.uint8)
    cv2.circle(mask, (width // 2, height // 2), height // 3, 1, -1)
    cv2.circle(mask, (width // 2, height // 2), height // 8, 0, -1)
    mask[:3, :3] = 1
    return mask


def test_the_overlay_changes_the_mask_and_nothing_else(inspection: Inspection) -> None:
    mask = draw_ring(HEIGHT, WIDTH).astype(bool)
    drawn = overlay(inspection, decide_with(inspection, mask))
    changed = (drawn != inspection.image).any(axis=2)
    assert drawn.dtype == np.uint8 and drawn.shape == inspection.image.shape
    assert changed[mask].mean() > 0.99 and not changed[~mask].any()


def test_the_outline_is_the_full_colour_and_the_inside_shows_through(inspection: Inspection) -> None:
    mask = draw_ring(HEIGHT, WIDTH)
    drawn = overlay(inspection, decide_with(inspection, mask))
    inside = cv2.erode(mask, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0).astype(bool)
    full = (drawn == MASK_COLOUR).all(axis=2)
    edge = mask.astype(bool) & ~cv2.erode(mask, cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))).astype(bool)
    assert full[edge].all() and not full[inside].all()


def test_the_outline_of_a_large_image_stays_near_the_mask(inspection: Inspection) -> None:
    mask = draw_ring(1200, 800)
    image = np.full((1200, 800, 3), 100, np.uint8)
    drawn = overlay(replace(inspection, image=image), decide_with(inspection, mask))
    near = cv2.dilate(mask, np.ones((7, 7), np.uint8)).astype(bool)
    assert not (drawn != image).any(axis=2)[~near].any()


def test_opacity_zero_only_draws_the_outline_and_an_empty_mask_nothing(inspection: Inspection) -> None:
    mask = draw_ring(HEIGHT, WIDTH)
    inside = cv2.erode(mask, np.ones((3, 3), np.uint8)).astype(bool)
    drawn = overlay(inspection, decide_with(inspection, mask), opacity=0.0)
    full = (drawn == MASK_COLOUR).all(axis=2)
    assert np.array_equal(drawn[~full], inspection.image[~full]) and (~full & inside).any()
    assert np.array_equal(overlay(inspection, decide_with(inspection, np.zeros((HEIGHT, WIDTH)))), inspection.image)


def test_the_heat_map_is_a_picture_of_the_images_size(inspection: Inspection) -> None:
    picture = map_heatmap(inspection)
    assert picture.shape == (HEIGHT, WIDTH, 3) and picture.dtype == np.uint8


def test_colours_get_brighter_with_the_value_and_stop_at_the_ends() -> None:
    values = np.linspace(-1, 2, 31, dtype=np.float32)[None]
    brightness = colourise(values, low=0.0, high=1.0)[0].astype(float) @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(brightness) >= -1).all() and brightness[-1] > brightness[0] + 150
    assert len(set(brightness[:11])) == 1 and len(set(brightness[20:])) == 1


def test_a_scale_without_a_span_is_drawn_all_the_same() -> None:
    assert colourise(np.zeros((2, 2), np.float32), low=0.0, high=0.0).shape == (2, 2, 3)


def test_the_mask_picture_is_black_and_white(inspection: Inspection) -> None:
    mask = draw_ring(HEIGHT, WIDTH)
    picture = mask_picture(decide_with(inspection, mask))
    assert picture.dtype == np.uint8 and np.array_equal(picture, mask * 255)
