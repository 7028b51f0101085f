"""The tour in a real browser: offered once, taken by mouse or keyboard, in nobody's way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from engine_double import draw_spot
from visit import Visit

pytestmark = pytest.mark.browser
TARGETS = ("#open", ".viewer .views", ".judgement", ".judgement", '[data-tab-id="batch"]', '[data-tab-id="train"]')


@pytest.fixture
def newcomer(chromium: Any, served: Any) -> Iterator[Visit]:
    made = Visit(chromium, newcomer=True)
    made.open(served.url)
    yield made
    assert made.complaints == []
    made.context.close()


def boxes(visit: Visit, *selectors: str) -> list[dict[str, float]]:
    visit.page.wait_for_timeout(350)  # it looks four times a second where its target is
    return [visit.page.locator(selector).first.bounding_box() for selector in selectors]


def overlap(one: dict[str, float], other: dict[str, float]) -> bool:
    across = one["x"] < other["x"] + other["width"] and other["x"] < one["x"] + one["width"]
    return across and one["y"] < other["y"] + other["height"] and other["y"] < one["y"] + one["height"]


def focused(visit: Visit) -> str:
    return str(visit.page.evaluate("document.activeElement.className || document.activeElement.id || document.activeElement.tagName"))


def test_it_is_offered_to_a_newcomer_once_and_takes_no_focus(newcomer: Visit, served: Any) -> None:
    newcomer.page.wait_for_selector(".tour-offer:visible")
    assert focused(newcomer) == "BODY"
    newcomer.page.click(".tour-no")
    assert not newcomer.page.is_visible(".tour-offer")
    newcomer.open(served.url)
    newcomer.page.wait_for_timeout(1800)
    assert not newcomer.page.is_visible(".tour-offer")


def test_who_opens_an_image_is_not_asked_again(newcomer: Visit, served: Any, tmp_path: Path) -> None:
    newcomer.page.wait_for_selector(".tour-offer:visible")
    newcomer.inspect(draw_spot(tmp_path / "spot.png"))
    assert not newcomer.page.is_visible(".tour-offer")
    newcomer.open(served.url)
    newcomer.page.wait_for_timeout(1800)
    assert not newcomer.page.is_visible(".tour-offer")


@pytest.mark.parametrize(("width", "height"), [(1440, 900), (390, 844)])
def test_each_step_points_at_a_real_thing_and_stands_beside_it(chromium: Any, served: Any, width: int, height: int) -> None:
    visit = Visit(chromium, width=width, height=height, newcomer=True)
    visit.open(served.url)
    visit.page.click(".tour-take")
    titles = []
    for number, target in enumerate(TARGETS, start=1):
        assert visit.text(".tour-count") == f"{number} of 6"
        titles.append(visit.text(".tour-box h2"))
        ring, box, seen = boxes(visit, ".tour-ring", ".tour-box", target)
        assert overlap(ring, seen)
        assert box["x"] >= 0 and box["x"] + box["width"] <= width and box["y"] >= 0 and box["y"] + box["height"] <= height
        assert not overlap(box, seen) or seen["height"] > height / 2
        visit.page.click(".tour-next")
    assert len(set(titles)) == 6 and not visit.page.is_visible(".tour-box")
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
    assert visit.complaints == []
    visit.context.close()


def test_the_keyboard_goes_through_it_and_the_images_stay_where_they_are(newcomer: Visit, tmp_path: Path) -> None:
    newcomer.choose_file(draw_spot(tmp_path / "a.png"), draw_spot(tmp_path / "b.png"))
    newcomer.page.wait_for_selector('.steps .where:has-text("1 / 2")')
    newcomer.page.locator(".toolbar .icon >> nth=-1").click()
    newcomer.page.get_by_role("dialog", name="Keys and mouse").get_by_role("button", name="Take the tour").click()
    dialog = newcomer.page.get_by_role("dialog", name="Open an image")
    dialog.wait_for()
    assert focused(newcomer) == "tour-next"
    newcomer.page.keyboard.press("ArrowRight")
    newcomer.page.keyboard.press("Enter")
    assert newcomer.text(".tour-count") == "3 of 6"
    newcomer.page.keyboard.press("ArrowLeft")
    newcomer.page.keyboard.press("Shift+Tab")
    newcomer.page.keyboard.press("Enter")
    assert newcomer.text(".tour-count") == "1 of 6" and newcomer.page.is_disabled(".tour-back")
    assert focused(newcomer) == "tour-next"
    newcomer.page.keyboard.press("Escape")
    assert not newcomer.page.is_visible(".tour-box") and not newcomer.page.is_visible(".tour-ring")
    assert newcomer.text(".steps .where") == "1 / 2"


def test_the_page_can_be_worked_with_meanwhile(newcomer: Visit, tmp_path: Path) -> None:
    newcomer.inspect(draw_spot(tmp_path / "spot.png"))
    newcomer.page.evaluate("document.dispatchEvent(new Event('panda-tour'))")
    newcomer.page.click('.views button[data-view="heatmap"]')
    assert newcomer.page.get_attribute(".stage", "data-view") == "heatmap"
    newcomer.page.locator(".threshold.boundary input[type=range]").focus()
    newcomer.page.wait_for_timeout(600)
    newcomer.press_slider("boundary", "End")
    newcomer.verdict("normal")
    newcomer.page.keyboard.press("Escape")
    assert not newcomer.page.is_visible(".tour-box")
    assert newcomer.page.evaluate("document.activeElement.type") == "range"


def test_from_another_tab_it_begins_where_the_image_is(newcomer: Visit) -> None:
    newcomer.page.wait_for_selector(".tour-offer:visible")
    newcomer.page.get_by_role("tab", name="Batch").click()
    newcomer.page.click(".tour-take")
    newcomer.page.wait_for_selector('[data-tab-id="inspect"][aria-selected="true"]')
    newcomer.page.click(".tour-skip")
    assert not newcomer.page.is_visible(".tour-box")
