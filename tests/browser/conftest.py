"""A served page and a Chromium to look at it. Tests are skipped, with the reason, where no Chromium is installed."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from serving import ROOT, Served
from visit import FLAGS, Visit


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A running browser."""
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        pytest.skip("no chromium, chromium-browser or google-chrome on the PATH: install one to run the browser tests")
    playwright = pytest.importorskip("playwright.sync_api", reason="the Python package playwright is not installed")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def serve() -> Iterator[Callable[..., Served]]:
    """``serve(...)`` -> Served, closed after the test: it has to end well when interrupted."""
    running: list[Served] = []

    def start(*arguments: str, **options: Any) -> Served:
        running.append(Served(*arguments, **options))
        return running[-1]

    yield start
    assert [served.close() for served in running] == [0] * len(running)


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    """One page for all tests that only visit it."""
    running = Served()
    yield running
    running.close()


@pytest.fixture(scope="module")
def page(chromium: Any, served: Any) -> Iterator[Visit]:
    """One visit for the tests of a module that only call modules or open an image of their own."""
    made = Visit(chromium)
    made.open(served.url)
    yield made
    assert made.complaints == []
    assert made.hosts <= {"127.0.0.1", ""}
    made.context.close()


@pytest.fixture(scope="module")
def model_place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one real model, "grey": untrained, calibrated on noisy grey pictures. Its numbers mean nothing, its path is whole."""
    import torch

    from panda_core.calibration import calibrate
    from panda_core.card import Card, DataCard, versions
    from panda_core.checkpoint import Model, save_model
    from panda_core.detectors import build_detector
    from panda_core.presets import TINY

    place = tmp_path_factory.mktemp("models")
    paths = [place / f"{index:02}.png" for index in range(20)]
    for index, path in enumerate(paths):
        noise = np.random.default_rng(index).normal(40 + index, 5, (48, 48, 3))
        cv2.imwrite(str(path), noise.astype(np.uint8))
    data = DataCard(description="grey noise", licence="CC0", validation=len(paths))
    card = Card(name="grey", title="Grey", created="2026-01-01T00:00:00+00:00", config=TINY, data=data, versions=versions())
    torch.manual_seed(0)
    model = Model("grey", TINY, build_detector(TINY, pretrained=False).eval(), None, None, card)
    model.calibration = calibrate(model, paths, scoring=TINY.scoring)
    save_model(place / "grey", model)
    return place


@pytest.fixture
def images(toy_folder: Path, tmp_path: Path) -> Path:
    """The toy discs in MVTec layout, and a black picture that does not belong."""
    folder = Path(shutil.copytree(toy_folder, tmp_path / "discs"))
    cv2.imwrite(str(folder / "train" / "good" / "black.png"), np.zeros((48, 48, 3), np.uint8))
    return folder


@pytest.fixture
def studio(chromium: Any, serve: Callable[..., Any], model_place: Path, images: Path, tmp_path: Path) -> Iterator[Any]:
    """The real page over real engine and jobs, its Train tab in front."""
    home = tmp_path / "home"
    flags = ("--port", "0", "--device", "cpu", "--model", "grey", "--folder", str(images.parent))
    app = serve(*flags, script=ROOT / "app.py", PANDA_MODELS=str(model_place), PANDA_HOME=str(home), OMP_NUM_THREADS="1")
    made = Visit(chromium)
    made.open(app.url)
    # The example that opens by itself: what is under way when a page is loaded anew, or a server ended, complains of that.
    made.page.wait_for_selector('.viewer[data-state="ready"] .verdict')
    made.page.get_by_role("tab", name="Train").click()
    made.page.wait_for_selector(".train select[name=preset] option", state="attached")
    yield made
    assert made.complaints == [] and made.hosts <= {"127.0.0.1", ""}
    made.context.close()
