"""A person trains: folder, check, settings, start, watch, keep, inspect with it; a reload and a second tab show the same."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from conftest import ROOT  # type: ignore[attr-defined]
from visit import Visit

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
def images(toy_folder: Path, tmp_path: Path) -> Path:
    """The toy discs in MVTec layout, and a black picture that does not belong."""
    folder = Path(shutil.copytree(toy_folder, tmp_path / "discs"))
    cv2.imwrite(str(folder / "train" / "good" / "black.png"), np.zeros((48, 48, 3), np.uint8))
    return folder


@pytest.fixture
def visit(
    chromium: Any, serve: Callable[..., Any], model_place: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Visit]:
    """The real page over real engine and jobs, its Train tab in front."""
    home = tmp_path / "home"
    flags = ("--port", "0", "--device", "cpu", "--model", "grey", "--folder", str(images.parent))
    served = serve(*flags, script=ROOT / "app.py", PANDA_MODELS=str(model_place), PANDA_HOME=str(home), OMP_NUM_THREADS="1")
    made = Visit(chromium)
    made.open(served.url)
    made.page.get_by_role("tab", name="Train").click()
    made.page.wait_for_selector(".train select[name=preset] option", state="attached")
    yield made
    assert made.complaints == [] and made.hosts <= {"127.0.0.1", ""}
    made.context.close()


def set_field(visit: Visit, name: str, value: str) -> None:
    group, field = name.split(".")
    line = visit.page.locator(f'.train-advanced fieldset:has(legend:text-is("{group}")) .train-line:has(span:text-is("{field}")) input')
    line.fill(value)
    line.press("Tab")


def prepare_tiny(visit: Visit, images: Path, *, warm: int, game: int, name: str) -> None:
    page = visit.page
    page.set_default_timeout(20_000)
    page.fill(".train input[name=folder]", str(images))
    page.click(".train-check")
    page.wait_for_selector(".train-survey:not([hidden])")
    page.select_option(".train select[name=preset]", "tiny")
    page.fill(".train input[name=name]", name)
    page.click(".train-advanced summary")
    set_field(visit, "train.warmup_steps", str(warm))
    set_field(visit, "train.adversarial_steps", str(game))


def wait_for_state(visit: Visit, state: str) -> None:
    visit.page.wait_for_selector(f'.train-run[data-state="{state}"]', timeout=120_000)


def test_from_a_folder_to_a_model_that_inspects(visit: Visit, images: Path, toy_folder: Path) -> None:
    page = visit.page
    prepare_tiny(visit, images, warm=40, game=20, name="Discs")
    assert "24" in page.inner_text(".train-counts") or "25" in page.inner_text(".train-counts")
    assert "black.png" in page.inner_text(".train-survey .train-pictures")
    page.click(".train-survey .train-pictures button")
    page.wait_for_selector(".train-left-out:has-text('1 left out')")

    set_field(visit, "train.seed", "-3")
    page.wait_for_selector(".train-line strong:has-text('not be negative')")
    page.click(".train-start")
    assert page.locator(".train-runs li").count() == 0, "a wrong field starts nothing"
    set_field(visit, "train.seed", "1")
    page.wait_for_function("() => [...document.querySelectorAll('.train-line strong')].every(one => one.hidden)")

    page.click(".train-start")
    page.wait_for_selector(".train-run:not([hidden])")
    wait_for_state(visit, "done")
    page.wait_for_selector(".train-run .losses .scatterlayer path, .train-run .losses canvas")
    page.wait_for_selector(".film img[src]")
    assert page.evaluate("() => document.querySelector('.film img').naturalWidth") > 0
    assert "colour statistics alone" in page.inner_text(".train-run .result") and "left out" not in page.inner_text(".train-run .result")

    other = Visit(visit.context.browser)
    other.open(page.url)
    other.page.get_by_role("tab", name="Train").click()
    other.page.click(".train-runs li button")
    other.page.wait_for_selector('.train-run[data-state="done"] .result:not([hidden])')
    assert other.page.inner_text(".train-run .result") == page.inner_text(".train-run .result"), "a second tab shows the same"
    assert other.complaints == []
    other.context.close()

    page.fill(".keep input", "Discs of mine")
    page.click(".keep button")
    page.wait_for_selector(".kept:has-text('Discs of mine')")
    page.click("#model input")
    page.click("#model li:has-text('Discs of mine')")
    visit.choose_file(toy_folder / "test" / "scar" / "000.png")
    page.wait_for_selector('.viewer[data-state="ready"][data-name="000.png"] .verdict')
    page.wait_for_selector("#foot:has-text('Discs of mine')")


def test_stop_resume_discard_and_undo(visit: Visit, images: Path) -> None:
    page = visit.page
    prepare_tiny(visit, images, warm=4000, game=20, name="Long")
    page.click(".train-start")
    wait_for_state(visit, "running")
    page.wait_for_function("() => /Step [1-9]/.test(document.querySelector('.train-run .pace').textContent)", timeout=60_000)
    page.reload()
    page.wait_for_selector("#open:not([disabled])")
    page.get_by_role("tab", name="Train").click()
    page.click(".train-runs li button")
    page.click(".train-run .actions .cancel")
    wait_for_state(visit, "stopped")
    assert "Resume" in page.inner_text(".train-run .actions") and page.locator(".train-run .result").is_hidden()
    page.click(".train-run .actions .resume")
    wait_for_state(visit, "running")
    page.click(".train-run .actions .cancel")
    wait_for_state(visit, "stopped")
    page.click(".train-run .actions .discard")
    page.wait_for_function("() => !document.querySelector('.train-runs li')")
    page.click(".train-undo button")
    page.wait_for_selector('.train-runs li[data-state="stopped"]')
