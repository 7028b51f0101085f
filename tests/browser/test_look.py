"""The page looks as it did when a person last looked at it: screenshots against stored perceptual hashes.

A hash is the sign of the brightness gradient on a 16 x 16 grid: it survives other fonts and smoothing, not a lost column or a theme that
does not reach a part. After a wanted change: look at the pictures, then `PANDA_UPDATE_LOOK=1 pytest tests/browser/test_look.py`.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from engine_double import draw_spot
from visit import Visit

pytestmark = pytest.mark.browser
STORED = Path(__file__).with_name("look.json")
SIDE = 16
ALLOWED = 0.15
"""Share of bits that may differ: other fonts move some, another layout moves a third."""
CASES = [
    (tab, width, height, theme)
    for tab in ("Inspect", "Batch", "Video", "Evaluate", "Train", "Models")
    for width, height in ((1440, 900), (390, 844))
    for theme in ("light", "dark")
]


def hash_of(png: bytes) -> str:
    grey = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_GRAYSCALE)
    small = cv2.resize(grey, (SIDE + 1, SIDE), interpolation=cv2.INTER_AREA).astype(int)
    # A difference of one level is smoothing, not a picture.
    return "".join("1" if bit else "0" for bit in (np.diff(small, axis=1) > 1).ravel())


@pytest.mark.parametrize(("tab", "width", "height", "theme"), CASES)
def test_the_page_looks_as_before(chromium: Any, served: Any, tmp_path: Path, tab: str, width: int, height: int, theme: str) -> None:
    visit = Visit(chromium, width=width, height=height)
    visit.open(f"{served.url}?__theme={theme}")
    if tab == "Inspect":
        visit.choose_file(draw_spot(tmp_path / "spot.png"))
        visit.verdict("anomalous")
    else:
        visit.page.get_by_role("tab", name=tab).click()
    visit.page.wait_for_timeout(1500)
    found, brightness = hash_of(shot := visit.page.screenshot()), float(cv2.imdecode(np.frombuffer(shot, np.uint8), 0).mean())
    visit.context.close()
    assert (brightness < 90) == (theme == "dark"), "the theme does not reach the page"
    assert visit.complaints == []

    stored = json.loads(STORED.read_text()) if STORED.exists() else {}
    name = f"{tab}-{width}-{theme}"
    if os.environ.get("PANDA_UPDATE_LOOK"):
        STORED.write_text(json.dumps({**stored, name: found}, indent=1, sort_keys=True) + "\n")
        return
    different = sum(a != b for a, b in zip(found, stored[name], strict=True)) / len(found)
    assert different <= ALLOWED, f"{name}: {different:.0%} of the picture's gradients changed"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_keyboard_sees_where_it_is(chromium: Any, served: Any, tmp_path: Path, theme: str) -> None:
    """Also on what Gradio takes the outline from, and where something around it cuts off what is outside."""
    visit = Visit(chromium)
    visit.open(f"{served.url}?__theme={theme}")
    visit.choose_file(draw_spot(tmp_path / "spot.png"))
    visit.verdict("anomalous")
    for tab, selector in (
        ("Inspect", ".link input"),
        ("Inspect", "#model input"),
        ("Batch", "#batch-folder textarea, #batch-folder input"),
        ("Evaluate", ".evaluate input[type=checkbox]"),
        ("Train", ".train-tick input"),
    ):
        visit.page.get_by_role("tab", name=tab).click()
        place = visit.page.locator(selector).first
        place.scroll_into_view_if_needed()
        changed, enough = 0, 0.0
        for _ in range(10):  # what is above it may still be coming
            box = place.bounding_box()
            enough = 2 * min(box["width"], 200)
            clip = {"x": box["x"] - 12, "y": box["y"] - 12, "width": min(box["width"], 200) + 24, "height": box["height"] + 24}
            pictures = []
            for focused in (False, True):
                place.evaluate("(element, focused) => focused ? element.focus() : element.blur()", focused)
                visit.page.keyboard.press("Shift")  # by keyboard, not by mouse
                visit.page.wait_for_timeout(300)
                pictures.append(cv2.imdecode(np.frombuffer(visit.page.screenshot(clip=clip), np.uint8), cv2.IMREAD_COLOR).astype(int))
            changed = int((np.abs(pictures[0] - pictures[1]).max(axis=2) > 60).sum()) if place.bounding_box() == box else 0
            if changed > enough:
                break
        assert changed > enough, f"{selector}: {changed} pixels"
    visit.context.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_hint_in_an_empty_field_can_be_read(chromium: Any, served: Any, theme: str) -> None:
    visit = Visit(chromium)
    visit.open(f"{served.url}?__theme={theme}")
    visit.page.get_by_role("tab", name="Batch").click()
    colours = visit.page.locator("#batch-folder textarea, #batch-folder input").first.evaluate(
        """field => [getComputedStyle(field, '::placeholder').color, getComputedStyle(field).backgroundColor]
            .map(colour => colour.match(/[0-9.]+/g).slice(0, 3).map(Number))"""
    )
    shares = [np.array(colour) / 255 for colour in colours]
    linear = [np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4) for share in shares]
    darker, lighter = sorted(float(light @ (0.2126, 0.7152, 0.0722)) for light in linear)
    assert (lighter + 0.05) / (darker + 0.05) >= 4.5, "WCAG 2.2, AA"
    visit.context.close()
