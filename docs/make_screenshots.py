"""Take the screenshots of README and user guide from the real app with the shipped models: make screenshots

Usage: python docs/make_screenshots.py [NAME...]   without names all are taken. Needs Chromium and the development requirements.
The images shown are drawn on the spot; history and settings live in a temporary folder.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from playwright.sync_api import Browser, Page, sync_playwright

from panda_core.procedural.dataset import write_dataset
from panda_core.procedural.leaf import LEAF_ANOMALIES, draw_leaf

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-sync"]
PATIENCE = 240_000
"""Milliseconds; a batch of a few dozen images is inspected within them on a slow machine, too."""


def inspect(page: Page, folder: Path) -> None:
    """The example that a fresh page shows."""


def threshold(page: Page, folder: Path) -> None:
    """The contour view, with the boundary moved up."""
    page.get_by_role("button", name="Contour").click()
    for _ in range(3):
        page.keyboard.press("Shift+BracketRight")


def xray(page: Page, folder: Path) -> None:
    """An X-ray example."""
    page.locator("#examples .thumbnail-item").nth(5).click()
    page.wait_for_function("document.querySelector('#foot').textContent.includes('xray_')", timeout=PATIENCE)


def batch(page: Page, folder: Path) -> None:
    """A finished batch, strangest first."""
    page.get_by_role("tab", name="Batch").click()
    page.fill("#batch-folder textarea, #batch-folder input", str(folder / "leaves"))
    page.click("#batch-start")
    page.wait_for_selector('.batch[data-state="ready"]', timeout=PATIENCE)
    page.get_by_role("columnheader", name="Score").click()


def history(page: Page, folder: Path) -> None:
    """What the batch left, some of it marked."""
    batch(page, folder)
    page.get_by_role("tab", name="History").click()
    page.locator("#history [role=row]").nth(1).click(timeout=PATIENCE)
    for key in ("a", "ArrowDown", "a", "ArrowDown", "n"):
        page.keyboard.press(key)


def video(page: Page, folder: Path) -> None:
    """Frames of a drawn clip on the timeline."""
    page.get_by_role("tab", name="Video").click()
    page.wait_for_selector(".video-hint:not(:empty)")  # written by the script that listens
    page.fill("#video input[type=text]", str(folder / "clip"))
    page.keyboard.press("Enter")
    page.wait_for_selector('.video[data-state="ready"]', timeout=PATIENCE)


def evaluate(page: Page, folder: Path) -> None:
    """The shipped leaf model, measured on drawn leaves it has not seen."""
    page.get_by_role("tab", name="Evaluate").click()
    page.wait_for_selector(".evaluate-models input[value=leaf]", state="attached")
    page.fill(".evaluate [name=folder]", str(folder / "labelled"))
    page.click(".evaluate-start")
    page.wait_for_selector('.evaluate[data-state="ready"]', timeout=PATIENCE)
    page.wait_for_selector(".roc .scatterlayer path")


def train(page: Page, folder: Path) -> None:
    """A folder that has been checked, before a training."""
    page.get_by_role("tab", name="Train").click()
    page.wait_for_selector(".train select[name=preset] option", state="attached")
    page.fill(".train input[name=folder]", str(folder / "leaves"))
    page.click(".train-check")
    page.wait_for_selector(".train-survey:not([hidden])", timeout=PATIENCE)


SHOTS: dict[str, tuple[Callable[[Page, Path], None], int, int, str]] = {
    "app": (inspect, 1440, 900, "light"),
    "app-dark": (inspect, 1440, 900, "dark"),
    "app-phone": (inspect, 390, 844, "light"),
    "guide-threshold": (threshold, 1440, 900, "light"),
    "guide-xray": (xray, 1440, 900, "light"),
    "guide-batch": (batch, 1440, 900, "light"),
    "guide-history": (history, 1440, 900, "light"),
    "guide-video": (video, 1440, 900, "dark"),
    "guide-evaluate": (evaluate, 1440, 900, "light"),
    "guide-train": (train, 1440, 900, "light"),
}
"""Name -> what to do before the picture is taken, width, height, colour scheme."""


def main() -> None:
    program = next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None)
    if program is None:
        sys.exit("No Chromium on this machine; install it first (Debian: apt-get install chromium).")
    with tempfile.TemporaryDirectory(prefix="panda-") as place, sync_playwright() as playwright:
        folder = Path(place)
        draw_pictures(folder)
        environment = {**os.environ, "PANDA_HOME": str(folder / "home")}
        command = [sys.executable, "app.py", "--port", "0", "--model", "leaf", "--folder", str(folder)]
        server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
        assert server.stdout is not None
        try:
            url = server.stdout.readline().split()[2]
            browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
            for name in sys.argv[1:] or SHOTS:
                take(browser, url, name, folder)
            browser.close()
        finally:
            server.terminate()
            server.wait()


def draw_pictures(folder: Path) -> None:
    """``leaves``: 24 drawn leaves, a third ill; ``labelled``: some drawn in MVTec layout; ``clip``: 40 frames in which a leaf falls ill."""
    write_dataset(folder / "labelled", kind="leaf", count=30, seed=7200, size=320)
    for part in ("leaves", "clip"):
        (folder / part).mkdir()
    for number in range(24):
        ill = LEAF_ANOMALIES[number // 3 % len(LEAF_ANOMALIES)] if number % 3 == 0 else None
        write(folder / "leaves" / f"leaf_{number:02}.png", draw_leaf(7000 + number, size=384, anomaly=ill)[0])
    well, ill_leaf = draw_leaf(7100, size=320)[0], draw_leaf(7100, size=320, anomaly=LEAF_ANOMALIES[0])[0]
    for number in range(40):
        share = np.clip((number - 12) / 12, 0, 1)
        write(folder / "clip" / f"{number:03}.png", np.rint(well * (1 - share) + ill_leaf * share).astype(np.uint8))


def write(path: Path, picture: np.ndarray) -> None:
    cv2.imwrite(str(path), np.ascontiguousarray(picture[..., ::-1]))


def take(browser: Browser, url: str, name: str, folder: Path) -> None:
    """One picture: open the page, wait for the example that it shows, act, settle."""
    act, width, height, scheme = SHOTS[name]
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme="dark" if scheme == "dark" else "light")
    page.set_default_timeout(PATIENCE)
    page.add_init_script("localStorage.setItem('panda-tour', 'seen')")
    page.goto(f"{url}/?__theme={scheme}")
    page.wait_for_selector('.viewer[data-state="ready"]')
    act(page, folder)
    page.wait_for_timeout(2500)
    IMAGES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=str(IMAGES / f"{name}.png"))
    page.close()


if __name__ == "__main__":
    main()
