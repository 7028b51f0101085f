"""A person measures two models on a labelled folder, moves the slider, opens a mistake, takes the report away, loads the page again."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from serving import ROOT, Served
from visit import Visit

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the server's person keeps what is their own."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def served(model_place: Path, tiny_model: Path, toy_folder: Path, home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The real page over the real engine with two models; one for all journeys, since torch takes long to load."""
    place = tmp_path_factory.mktemp("evaluate")
    shutil.copytree(model_place / "grey", place / "models" / "grey")
    shutil.copytree(tiny_model, place / "models" / "discs")
    flags = ("--port", "0", "--device", "cpu", "--model", "grey", "--folder", str(toy_folder.parent))
    home = {"PANDA_MODELS": str(place / "models"), "PANDA_HOME": str(home), "OMP_NUM_THREADS": "1"}
    running = Served(*flags, script=ROOT / "app.py", **home)
    yield running
    assert running.close() == 0


@pytest.fixture
def visit(chromium: Any, served: Served) -> Iterator[Visit]:
    """A fresh browser with the Evaluate tab in front."""
    made = Visit(chromium)
    made.open(served.url)
    show(made)
    yield made
    assert made.complaints == [] and made.hosts <= {"127.0.0.1", ""}
    made.context.close()


def show(visit: Visit) -> None:
    visit.page.get_by_role("tab", name="Evaluate").click()
    visit.page.wait_for_selector(".evaluate-models input[value=grey]")


def measure(visit: Visit, folder: Path, *models: str) -> None:
    page = visit.page
    page.fill(".evaluate [name=folder]", str(folder))
    for box in page.query_selector_all(".evaluate [name=model]"):
        box.set_checked(box.get_attribute("value") in models)
    page.click(".evaluate-start")
    page.wait_for_selector('.evaluate[data-state="ready"]')


def slide(visit: Visit, value: float) -> None:
    visit.page.locator(".evaluate-slider input[type=range]").evaluate(
        "(slider, value) => { slider.value = value; slider.dispatchEvent(new Event('input', {bubbles: true})); }", value
    )


def cells(visit: Visit) -> list[int]:
    """Of the confusion matrix: hits, misses, false alarms, passed."""
    return [int(text) for text in visit.page.locator(".evaluate-confusion td[data-tone]").all_inner_texts()]


def test_two_models_are_measured_compared_and_exported(visit: Visit, toy_folder: Path, tmp_path: Path) -> None:
    page = visit.page
    measure(visit, toy_folder, "grey", "discs")
    assert page.inner_text(".evaluate-counts") == "6 normal and 6 anomalous images"
    rows = page.locator(".evaluate-summary tr[data-at]")
    assert rows.count() == 2
    page.wait_for_selector(".roc .scatterlayer path")
    curves = page.evaluate("() => document.querySelector('.roc').data.filter(trace => trace.mode === 'lines').length")
    assert curves == 3, "two models and what guessing gives"

    with page.expect_download() as download:
        page.click(".evaluate [data-export=json]")
    models = json.loads(Path(download.value.path()).read_text(encoding="utf-8"))["models"]
    for at, model in enumerate(models):
        assert f"{model['auroc']:.3f}" in rows.nth(at).inner_text()
    rows.nth(1).click()
    page.wait_for_function("area => document.querySelector('.evaluate-figures b').textContent === area", arg=f"{models[1]['auroc']:.3f}")
    assert page.locator(".evaluate-figures dt").all_inner_texts() == [
        *("AUROC", "AUPRC", "Pixel AUROC", "AUPRO", "Colour alone", "Time an image"),
    ]
    with page.expect_download() as download:
        page.click(".evaluate [data-export=html]")
    download.value.save_as(tmp_path / "report.html")
    report = Visit(visit.context.browser)
    report.page.goto((tmp_path / "report.html").as_uri())
    assert report.page.locator("figure img").count() == 24 and report.page.locator("path.curve").count() == 4
    assert report.complaints == []
    report.context.close()


def test_a_result_is_kept_in_the_card_of_an_own_model(visit: Visit, toy_folder: Path, tiny_model: Path, home: Path) -> None:
    mine = Path(shutil.copytree(tiny_model, home / "models" / "mine"))
    visit.page.get_by_role("tab", name="Inspect").click()
    show(visit)
    visit.page.wait_for_selector(".evaluate-models input[value=mine]")
    measure(visit, toy_folder, "grey", "mine")
    visit.page.wait_for_selector(".evaluate-summary tr[data-at='1']")
    assert visit.page.is_hidden(".evaluate-keep"), "a model that is not a person's own stays as it is"
    visit.page.click(".evaluate-summary tr[data-at='1']")
    visit.page.click(".evaluate-keep")
    visit.page.wait_for_selector(".evaluate-keep:disabled:has-text('Kept')")
    metric = json.loads((mine / "card.json").read_text())["metrics"][-1]
    assert metric["data"] == toy_folder.name and f"{metric['auroc']:.3f}" in visit.text(".evaluate-figures")
    shutil.rmtree(mine)


def test_the_slider_shows_consequences_without_asking_the_server(visit: Visit, toy_folder: Path) -> None:
    page = visit.page
    measure(visit, toy_folder, "discs")
    assert page.locator(".evaluate-summary").is_hidden()
    own = cells(visit)
    low, high = (float(page.get_attribute(".evaluate-slider input[type=range]", end) or 0) for end in ("min", "max"))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    slide(visit, low)
    assert cells(visit) == [6, 0, 6, 0] and "6 (100 %)" in page.inner_text(".evaluate-defects")
    for table in (".evaluate-defects", ".evaluate-errors"):
        areas = page.locator(f"{table} td").filter(has_text=re.compile(r"^[01]\.\d{3} \([01]\.\d{3}–\u2060?[01]\.\d{3}\)$"))
        assert areas.count() == page.locator(f"{table} tr").count() - 1 > 0, "an interval in every row"
    assert page.locator(".alarms [data-wrong=yes]").count() == 6 and page.locator(".misses [data-wrong=yes]").count() == 0
    page.wait_for_function("() => { const at = document.querySelector('.roc').data?.at(-1); return at?.x[0] === 1 && at.y[0] === 1; }")
    slide(visit, high)
    assert cells(visit) == [0, 6, 0, 6] and "100 % 6 of 6 anomalous" in page.inner_text(".evaluate-confusion")
    assert page.locator(".misses [data-wrong=yes]").count() == 6
    page.click(".evaluate-reset")
    assert cells(visit) == own
    assert "would flatter the model" in page.inner_text(".evaluate-boundary")
    page.wait_for_timeout(300)
    assert [url for url in asked if "gradio_api" in url and "heartbeat" not in url] == []


def test_a_mistake_opens_with_its_model_and_a_reload_finds_the_results(visit: Visit, toy_folder: Path) -> None:
    page = visit.page
    measure(visit, toy_folder, "discs")
    figures = page.inner_text(".evaluate-figures")
    name = page.locator(".misses .tiles button b").nth(1).inner_text()
    page.locator(".misses .tiles button").nth(1).click()
    page.wait_for_selector(f'.viewer[data-state="ready"][data-name="{name}"]')
    assert page.get_by_role("tab", name="Inspect").get_attribute("aria-selected") == "true"
    page.wait_for_selector("#foot:has-text('discs')")

    visit.reload()
    page.wait_for_selector("#open:not([disabled])")
    show(visit)
    page.wait_for_selector('.evaluate[data-state="ready"]')
    assert page.inner_text(".evaluate-figures") == figures


def test_what_cannot_be_measured_is_said_and_the_page_goes_on(visit: Visit, toy_folder: Path, tmp_path: Path) -> None:
    page = visit.page
    page.fill(".evaluate [name=folder]", str(toy_folder / "train"))
    page.click(".evaluate-start")
    page.wait_for_selector(".evaluate-message:has-text('test images')")
    page.fill(".evaluate [name=folder]", "/etc")
    page.click(".evaluate-start")
    page.wait_for_selector(".evaluate-message:has-text('may be opened from this page')")
    assert page.is_visible(".evaluate-intro") and page.locator(".evaluate-results").is_hidden()
    packed = shutil.make_archive(str(tmp_path / "discs"), "zip", toy_folder)
    page.set_input_files(".evaluate-upload input", packed)
    page.wait_for_function("() => document.querySelector('.evaluate [name=folder]').value === 'discs.zip'")
    page.click(".evaluate-start")
    page.wait_for_selector('.evaluate[data-state="ready"]')
    assert page.inner_text(".evaluate-results h2") == "discs.zip"


def test_images_that_made_the_model_are_a_warning_above_the_results(visit: Visit, toy_folder: Path) -> None:
    place = toy_folder.parent / "seen"
    shutil.copytree(toy_folder / "train" / "good", place / "normal")
    shutil.copytree(toy_folder / "test" / "scar", place / "anomalous")
    try:
        measure(visit, place, "grey", "discs")
        warnings = visit.page.locator(".evaluate-warnings p")
        assert warnings.all_inner_texts() == [
            "tiny: The model was trained or calibrated on 24 of these 30 images, so the figures are too good. "
            "Measure on images that it has not seen."
        ]
        measure(visit, toy_folder, "discs")
        visit.page.wait_for_selector(".evaluate-counts:has-text('6 normal and 6 anomalous')")
        assert not visit.page.is_visible(".evaluate-warnings")
    finally:
        shutil.rmtree(place)
