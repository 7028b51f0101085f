"""The true mask in a real browser: chosen by hand, drawn beside what the model marks, compared with it while a slider moves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from engine_double import LEAF, FakeEngine, draw_spot
from visit import Visit

from panda_core.scoring.decision import decide
from panda_core.ui.view import open_view

pytestmark = pytest.mark.browser


@pytest.fixture
def visit(chromium: Any, served: Any) -> Iterator[Visit]:
    made = Visit(chromium)
    made.open(served.url)
    yield made
    assert made.complaints == []
    made.context.close()


def draw_truth(path: Path, *, width: int = 48) -> Path:
    """Half the size of the image, marked where draw_spot has its spot and a little to the right."""
    mask = np.zeros((48, width), np.uint8)
    mask[19:29, 19:35] = 255
    cv2.imwrite(str(path), mask)
    return path


def choose(visit: Visit, path: Path, button: str = ".truth-missing button") -> None:
    with visit.page.expect_file_chooser() as chooser:
        visit.page.click(button)
    chooser.value.set_files(str(path))


def overlap_of(image: Path, truth: Path, threshold: float | None) -> float:
    view = open_view(FakeEngine(LEAF).inspect("leaf", image))
    marked = decide(view.inspection, pixel_threshold=threshold).mask
    true = cv2.resize(cv2.imread(str(truth), cv2.IMREAD_GRAYSCALE), marked.shape[::-1], interpolation=cv2.INTER_NEAREST) > 127
    return float((marked & true).sum() / (marked | true).sum())


def test_the_overlap_with_a_chosen_mask_follows_the_slider_and_is_that_of_the_engine(visit: Visit, tmp_path: Path) -> None:
    image, truth = draw_spot(tmp_path / "spot.png"), draw_truth(tmp_path / "truth.png")
    visit.inspect(image)
    assert not visit.page.is_visible(".agreed")
    visit.page.keyboard.press("8")
    choose(visit, truth)
    visit.page.wait_for_selector(".stage[data-truth]")
    visit.settle()
    assert visit.count_pixels("truth", "b > 240 && r < 80") > 500 and visit.count_pixels("contour", "b > 240 && r < 80") > 50

    def said() -> str:
        visit.settle()
        assert visit.text(".truth-key b") in visit.text(".agreed")
        return visit.text(".agreed").split()[1]

    assert said() == f"{overlap_of(image, truth, None):.2f}"
    seen = set()
    for key in ("PageUp", "PageUp", "Home"):
        visit.press_slider("pixel", key)
        seen.add(said())
        assert said() == f"{overlap_of(image, truth, visit.slider('pixel')):.2f}"
    assert len(seen) == 3
    visit.press_slider("pixel", "End")
    visit.settle()
    assert "Nothing is marked" in visit.text(".agreed")


def test_a_mask_that_does_not_fit_is_refused_and_another_can_be_removed(visit: Visit, tmp_path: Path) -> None:
    visit.inspect(draw_spot(tmp_path / "spot.png"))
    visit.page.click('.views button[data-view="truth"]')
    choose(visit, draw_truth(tmp_path / "wide.png", width=90))
    visit.page.wait_for_selector('.word:has-text("wide.png has 90 × 48 pixels, the image 96 × 96")')
    assert visit.page.is_visible(".truth-missing")
    visit.page.click(".word")
    assert not visit.page.is_visible(".word")

    visit.page.click('.views button[data-view="contour"]')
    choose(visit, draw_truth(tmp_path / "truth.png"), '.truth button:has-text("True mask…")')
    visit.page.wait_for_selector(".agreed:visible")
    visit.page.click('.truth button:has-text("Remove")')
    visit.page.wait_for_selector(".stage:not([data-truth])")
    visit.settle()
    assert not visit.page.is_visible(".agreed") and visit.count_pixels("contour", "b > 240 && r < 80") == 0


def test_a_chosen_mask_stays_with_its_image_while_others_are_looked_at(visit: Visit, tmp_path: Path) -> None:
    visit.choose_file(draw_spot(tmp_path / "a.png"), draw_spot(tmp_path / "b.png"))
    visit.page.wait_for_selector('.steps .where:has-text("1 / 2")')
    visit.settle()
    visit.page.keyboard.press("8")
    choose(visit, draw_truth(tmp_path / "truth.png"))
    visit.page.wait_for_selector(".stage[data-truth]")
    visit.page.locator(".frame").hover()
    visit.page.keyboard.press("ArrowRight")
    visit.page.wait_for_selector(".stage:not([data-truth])")
    visit.page.wait_for_selector('.steps .where:has-text("2 / 2")')
    visit.page.keyboard.press("ArrowLeft")
    visit.page.wait_for_selector(".stage[data-truth]")
