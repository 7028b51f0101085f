"""The whole page as app.py serves it: what the tabs do to one another."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from engine_double import draw_spot
from serving import ROOT
from visit import Visit

pytestmark = pytest.mark.browser


@pytest.fixture
def visit(chromium: Any) -> Any:
    made = Visit(chromium)
    yield made
    made.context.close()


def test_a_batch_is_opened_marked_and_found_again_in_the_history(
    visit: Visit, serve: Callable[..., Any], model_place: Path, tmp_path: Path
) -> None:
    images = tmp_path / "images"
    images.mkdir()
    for number in range(5):
        draw_spot(images / f"spot_{number}.png", strength=40 * number)
    flags = ("--port", "0", "--device", "cpu", "--model", "grey", "--folder", str(tmp_path))
    home = {
        "PANDA_MODELS": str(model_place),
        "PANDA_HOME": str(tmp_path / "home"),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "2"),
    }
    served = serve(*flags, script=ROOT / "app.py", **home)
    visit.page.goto(served.url)
    # A fresh page shows an example, already inspected, also while another tab is in front.
    visit.page.get_by_role("tab", name="Train").click()
    visit.page.wait_for_selector('.viewer[data-state="ready"]', state="attached")
    visit.page.wait_for_timeout(500)
    visit.page.get_by_role("tab", name="Inspect").click()
    visit.page.wait_for_selector(".scores .chart .main-svg")
    visit.page.wait_for_function(
        """() => {
            const size = one => document.querySelector(one).getBoundingClientRect();
            const [area, drawn] = [size('.scores .area'), size('.scores .chart .main-svg')];
            return Math.abs(area.width - drawn.width) < 2 && Math.abs(area.height - drawn.height) < 2;
        }"""
    )

    visit.page.get_by_role("tab", name="Batch").click()
    visit.page.fill("#batch-folder textarea, #batch-folder input", str(images))
    visit.page.click("#batch-start")
    visit.page.wait_for_selector('.batch[data-state="ready"]')
    visit.page.locator("#batch-results [role=row]", has_text="spot_3.png").click()
    visit.page.wait_for_selector('.viewer[data-name="spot_3.png"]')
    assert visit.page.get_by_role("tab", name="Inspect").get_attribute("aria-selected") == "true"
    visit.page.keyboard.press("ArrowRight")
    visit.page.wait_for_selector('.viewer[data-name="spot_4.png"]')
    visit.page.keyboard.press("a")
    visit.page.wait_for_selector('.viewer[data-mark="anomalous"]')
    visit.page.keyboard.press("ArrowLeft")
    visit.page.wait_for_selector('.viewer[data-name="spot_3.png"]:not([data-mark="anomalous"])')
    visit.page.keyboard.press("ArrowRight")
    visit.page.wait_for_selector('.viewer[data-name="spot_4.png"][data-mark="anomalous"]')
    visit.page.get_by_role("tab", name="Batch").click()
    visit.page.wait_for_function(
        """() => [...document.querySelectorAll('#batch-results .sheet-row')]
            .some(row => row.textContent.includes('spot_4.png') && row.children[8].textContent === 'anomalous')"""
    )

    visit.page.get_by_role("tab", name="History").click()
    row = visit.page.locator("#history [role=row]", has_text="spot_4.png")
    row.wait_for()
    assert "anomalous" in row.inner_text() or "missed" in row.inner_text(), "the latter where the model called it normal"
    assert visit.page.locator("#history [role=row]", has_text=".jpg").count() == 0, "an example is in the history"
    row.dblclick()
    visit.page.wait_for_function("document.querySelector('#tabs [role=tab][aria-selected=true]').textContent.includes('Inspect')")

    visit.page.get_by_role("tab", name="Video").click()
    visit.page.wait_for_selector(".video-hint:not(:empty)")
    assert visit.page.is_visible(".video-path"), "paths are offered where folders are allowed"
    assert visit.complaints == []
    assert visit.hosts == {"127.0.0.1"}
