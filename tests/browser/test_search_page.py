"""A person searches a grid: chooses fields and values, is corrected, starts, watches, stops, resumes, and opens the best training."""

from __future__ import annotations

from pathlib import Path

import pytest
from studio import prepare_tiny
from visit import Visit

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def vary(studio: Visit, row: int, field: str, values: str) -> None:
    line = studio.page.locator(".train-grid-row").nth(row)
    line.locator("select").select_option(field)
    line.locator("input").fill(values)
    line.locator("input").press("Tab")


def wait_for_search(studio: Visit, state: str) -> None:
    studio.page.wait_for_selector(f'.train-search[data-state="{state}"]', timeout=240_000)


def test_a_grid_is_searched_and_the_best_is_named_with_what_it_is_worth(studio: Visit, images: Path) -> None:
    page = studio.page
    prepare_tiny(studio, images, warm=3, game=2, name="Discs")
    page.click(".train-survey .train-pictures button")
    page.click(".train-grid summary")
    vary(studio, 0, "train.seed", "0, x")
    page.wait_for_selector(".train-grid-row strong:has-text('train.seed')")
    vary(studio, 0, "train.seed", "0, 1")
    vary(studio, 1, "data.augment", "none, flip")
    page.wait_for_selector(".train-total:has-text('4 trainings')")
    assert page.inner_text(".train-start") == "Start grid search (4)"
    vary(studio, 1, "data.augment", "none")
    page.wait_for_selector(".train-total:has-text('2 trainings')")
    page.click(".train-start")
    page.wait_for_selector(".train-search:not([hidden])")
    wait_for_search(studio, "running")

    studio.reload()
    page.wait_for_selector("#open:not([disabled])")
    page.get_by_role("tab", name="Train").click()
    wait_for_search(studio, "done")
    assert page.locator(".train-runs .nested").count() == 2, "the trainings of the search stand below it"
    assert page.locator('.trials [role=row] .sheet-badge:text-is("best")').count() == 1
    said = page.inner_text(".train-search .best")
    assert "AUROC" in said and "It was chosen among 2" in said and "say so when you report it" in said
    page.wait_for_selector(".parallel .js-plotly-plot .parcoords, .parallel .js-plotly-plot .no-webgl")

    page.locator(".trials .sheet-body [role=row]").first.click()
    page.wait_for_selector('.train-run:not(.train-search)[data-state="done"]:not([hidden])')
    assert page.locator(".train-runs .nested").count() == 2, "they stay in sight while one of them is shown"
    page.click(".train-runs .search button")
    page.click(".train-search .actions .discard")
    page.wait_for_selector(".train-undo:has-text('its trainings stay')")
    page.click(".train-undo button")
    page.wait_for_selector(".train-runs .search")


def test_a_search_is_stopped_and_resumed(studio: Visit, images: Path) -> None:
    page = studio.page
    prepare_tiny(studio, images, warm=4000, game=2, name="Long")
    page.click(".train-survey .train-pictures button")
    page.click(".train-grid summary")
    vary(studio, 0, "train.seed", "0, 1")
    page.wait_for_selector(".train-total:has-text('2 trainings')")
    page.click(".train-start")
    page.wait_for_selector('.train-runs .nested[data-state="running"]', timeout=120_000)
    page.click(".train-search .actions .cancel")
    wait_for_search(studio, "stopped")
    page.wait_for_selector('.train-runs .nested[data-state="stopped"]')
    page.click(".train-search .actions .resume")
    page.wait_for_selector('.train-runs .nested[data-state="running"]', timeout=120_000)
    assert page.locator(".train-runs .nested").count() == 1, "it goes on in the training it had begun"
    page.click(".train-search .actions .cancel")
    wait_for_search(studio, "stopped")
