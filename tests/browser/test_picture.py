"""Save picture: one PNG of what the stage shows, with the verdict at the thresholds of this moment below."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from engine_double import draw_spot
from test_viewer import decided, draw_blots
from visit import Visit

pytestmark = pytest.mark.browser
EDGE = (48, 64, 255)
"""Of what is marked, in OpenCV's order."""
GAP, LINE = 12, 22


def save(page: Visit, folder: Path, how: str = "button") -> tuple[np.ndarray, str]:
    """The picture and the name it is offered under."""
    with page.page.expect_download() as download:
        page.page.click(".verdict .keep") if how == "button" else page.page.keyboard.press(how)
    download.value.save_as(folder / "saved.png")
    return cv2.imread(str(folder / "saved.png")), download.value.suggested_filename


def look(page: Visit, view: str) -> None:
    page.page.click(f'.views button[data-view="{view}"]')
    page.settle()


@pytest.mark.parametrize("how", ["button", "s"])
def test_what_is_marked_now_is_marked_in_the_picture(page: Visit, tmp_path: Path, how: str) -> None:
    path = draw_blots(tmp_path / "blots.jpeg", size=512)
    page.inspect(path)
    page.press_slider("pixel", "PageUp")
    look(page, "contour")
    page.page.click(".viewer .zoom")  # what is saved is the whole image all the same
    saved, name = save(page, tmp_path, how)
    page.page.click(".viewer .zoom")
    assert name == "blots inspected.png"
    panes = saved[GAP + LINE : GAP + LINE + 512, GAP : GAP + 512]
    original = cv2.imread(str(path))
    marked = decided(path, pixel_threshold=page.slider("pixel")).mask.astype(np.uint8)
    mask = cv2.resize(marked, (512, 512), interpolation=cv2.INTER_NEAREST)
    red = (np.abs(panes.astype(int) - EDGE).max(axis=2) <= 60).astype(np.uint8)
    assert red.sum() > 100 and mask.any()
    assert not (red & ~cv2.dilate(mask, np.ones((5, 5), np.uint8))).any()
    untouched = cv2.dilate(mask, np.ones((7, 7), np.uint8)) == 0
    assert np.abs(panes.astype(int) - original)[untouched].mean() < 3
    words = saved[GAP + LINE + 512 + GAP :]
    assert (words.min(axis=2) < 100).sum() > 300  # dark on white


def test_a_view_of_several_panes_is_saved_with_all_of_them(page: Visit, tmp_path: Path) -> None:
    page.inspect(draw_spot(tmp_path / "spot.png"))
    widths = {}
    for view in ("input", "swipe", "truth", "all"):
        look(page, view)
        widths[view] = save(page, tmp_path)[0].shape[1] - 2 * GAP
    pane = widths["input"]
    assert {view: round((width + GAP) / (pane + GAP)) for view, width in widths.items()} == {"input": 1, "swipe": 2, "truth": 3, "all": 4}


def test_the_words_below_say_what_the_page_says(page: Visit, tmp_path: Path) -> None:
    said = page.page.evaluate(
        """async () => {
            const {wordsOf} = await import(new URL('panda-assets/picture.js', document.baseURI));
            const own = {value: 0.94, kind: 'synthetic', reason: ''};
            const image = {name: 'a.png', score: 1.5, model: 'leaf', mark: 'anomalous', roi: {ignored: 0.25}};
            const payload = {...image, boundary: own, own: {boundary: own}};
            const thresholds = moved => ({boundary: 2, pixel: 3, moved: {boundary: moved, pixel: false}});
            const when = new Date(2026, 10, 27, 9, 5);
            const said = overlap => ({verdict: 'normal', regions: 1, share: 0.031, overlap});
            const words = (moved, overlap) => wordsOf(payload, thresholds(moved), said(overlap), when);
            return [words(true, null), words(false, {iou: 0.4, hit: 0.5, beside: 0.25})];
        }"""
    )
    assert said[0] == [
        "a.png: normal",
        "Score 1.500, boundary 2.000. Boundary set by you, not saved.",
        "1 region, 3.1 % of the image above 3.000 SD · 25 % of the image ignored · marked as anomalous",
        "PANDA Inspector, model “leaf”, 2026-11-27 09:05",
    ]
    assert said[1][1] == "Score 1.500, boundary 2.000. Boundary from synthetic anomalies."
    agreed = "IoU 0.40 with the true mask. 50 % of it is marked; 25 % of what is marked lies outside."
    assert said[1][2:] == [said[0][2], agreed, said[0][3]]


@pytest.mark.parametrize(("width", "height"), [(40, 30), (3000, 20), (20, 3000)])
def test_small_and_narrow_images_have_room_for_the_words(page: Visit, tmp_path: Path, width: int, height: int) -> None:
    image = np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "odd.png"), image)
    page.choose_file(tmp_path / "odd.png")
    page.page.wait_for_selector('.viewer[data-state="ready"][data-name="odd.png"]')
    page.settle()
    look(page, "input")
    saved, _ = save(page, tmp_path)
    assert saved.shape[1] >= 480 and max(saved.shape) < 2400
