"""Fingers on the pictures, as a phone sends them: pinch zooms, a finger moves what is zoomed, and the page still scrolls."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from engine_double import draw_spot
from visit import Visit

pytestmark = pytest.mark.browser
Place = tuple[float, float]


class Phone(Visit):
    """A visit by fingers."""

    def __init__(self, chromium: Any) -> None:
        super().__init__(chromium, width=390, height=844, has_touch=True, is_mobile=True, device_scale_factor=2)
        self.hand = self.context.new_cdp_session(self.page)

    def touch(self, kind: str, *fingers: Place) -> None:
        points = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(fingers)]
        self.hand.send("Input.dispatchTouchEvent", {"type": f"touch{kind}", "touchPoints": points})

    def move(self, *paths: tuple[Place, Place], steps: int = 8) -> None:
        """Fingers that come down one after the other, go their ways together, and leave."""
        for count in range(1, len(paths) + 1):
            self.touch("Start", *(start for start, _ in paths[:count]))
        for step in range(1, steps + 1):
            share = step / steps
            self.touch("Move", *((x0 + share * (x1 - x0), y0 + share * (y1 - y0)) for (x0, y0), (x1, y1) in paths))
            self.page.wait_for_timeout(16)
        self.touch("End")
        self.settle()

    def frame(self) -> dict[str, float]:
        box: dict[str, float] = self.page.locator(".frame").bounding_box()
        return box

    def zoom(self) -> int:
        self.settle()
        return int(self.text(".foot .zoom").split()[0])

    def spot(self) -> tuple[float, float, int]:
        """Middle of the red mask in the overlay canvas, in CSS pixels of the pane, and its size in canvas pixels."""
        found: tuple[float, float, int] = self.page.evaluate(
            """() => {
                const canvas = document.querySelector('.pane[data-name="overlay"] canvas.top');
                const {data, width} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
                let [x, y, count] = [0, 0, 0];
                for (let i = 0; i < data.length; i += 4)
                    if (data[i + 3] > 50) { x += (i / 4) % width; y += Math.floor(i / 4 / width); count++; }
                const ratio = canvas.width / canvas.clientWidth;
                return [x / count / ratio, y / count / ratio, count];
            }"""
        )
        return found


@pytest.fixture
def phone(chromium: Any, served: Any, tmp_path: Path) -> Iterator[Phone]:
    made = Phone(chromium)
    made.open(served.url)
    made.inspect(draw_spot(tmp_path / "spot.png"))
    made.page.locator('.views button[data-view="overlay"]').tap()
    made.page.evaluate("window.scrollTo(0, 120)")
    made.settle()
    yield made
    assert made.complaints == []
    made.context.close()


def pinch(phone: Phone, first: tuple[Place, Place], second: tuple[Place, Place]) -> None:
    """Two fingers, each from a place to a place, in shares of the frame."""
    box = phone.frame()
    places = [tuple((box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in path) for path in (first, second)]
    phone.move(*places)  # type: ignore[arg-type]


@pytest.mark.parametrize("upright", [False, True], ids=["across", "upright"])
def test_a_pinch_zooms_around_its_middle_and_back(phone: Phone, upright: bool) -> None:
    def way(start: float, end: float) -> tuple[Place, Place]:
        return ((0.5, start), (0.5, end)) if upright else ((start, 0.5), (end, 0.5))

    before, scrolled = phone.zoom(), phone.page.evaluate("scrollY")
    size = phone.spot()[2]
    pinch(phone, way(0.45, 0.25), way(0.55, 0.75))
    assert phone.page.evaluate("[scrollY, visualViewport.scale]") == [scrolled, 1]
    assert phone.zoom() > 3 * before
    x, y, larger = phone.spot()
    box = phone.frame()
    assert larger > 5 * size and abs(x - box["width"] / 2) < 12 and abs(y - box["height"] / 2) < 12
    pinch(phone, way(0.1, 0.45), way(0.9, 0.55))
    assert phone.zoom() == before


def test_a_finger_moves_what_is_zoomed_and_two_move_it_while_they_pinch(phone: Phone) -> None:
    pinch(phone, ((0.4, 0.5), (0.3, 0.5)), ((0.6, 0.5), (0.7, 0.5)))
    zoom, (x, y, _) = phone.zoom(), phone.spot()
    box = phone.frame()
    at = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    scrolled = phone.page.evaluate("scrollY")
    phone.move((at, (at[0] + 40, at[1] - 30)))
    moved = phone.spot()
    assert (moved[0] - x, moved[1] - y) == (pytest.approx(40, abs=4), pytest.approx(-30, abs=4))
    assert phone.zoom() == zoom and phone.page.evaluate("scrollY") == scrolled

    phone.move((at, (at[0] - 40, at[1] + 30)), ((at[0] + 60, at[1]), (at[0] + 20, at[1] + 30)))
    back = phone.spot()
    assert (back[0] - moved[0], back[1] - moved[1]) == (pytest.approx(-40, abs=6), pytest.approx(30, abs=6))


def test_the_page_scrolls_over_a_picture_that_is_not_zoomed(phone: Phone) -> None:
    box, scrolled = phone.frame(), phone.page.evaluate("scrollY")
    middle = box["x"] + box["width"] / 2
    phone.move(((middle, box["y"] + 300), (middle, box["y"] + 120)))
    phone.page.wait_for_timeout(400)
    assert phone.page.evaluate("scrollY") > scrolled + 60


def test_a_tap_on_a_region_brings_it_near_and_a_pinch_does_not_count_as_one(phone: Phone) -> None:
    box = phone.frame()
    pinch(phone, ((0.48, 0.5), (0.48, 0.5)), ((0.52, 0.5), (0.52, 0.5)))
    phone.page.wait_for_timeout(400)
    assert phone.page.get_attribute(".stage", "data-zoomed") is None
    phone.page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    phone.page.wait_for_selector(".stage[data-zoomed]")
