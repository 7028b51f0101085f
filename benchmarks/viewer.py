"""How well the threshold drag keeps up: 60 slider events in a second, in headless Chromium, at 1024 and 2048 px.

python benchmarks/viewer.py [--sides 1024 2048] [--repeats 5]

Prints JSON: for each side and repeat the paints, the milliseconds from the first event to the last paint, and to the refined paint
that follows the release. One event a frame is sent, as a mouse does. Needs Chromium and the development requirements. The engine
is a stand-in without a network: what is measured runs in the browser.
"""

from __future__ import annotations

import argparse
import json
import shutil
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
EVENTS = 60
MARKS = {1024: 1100.0, 2048: 1200.0}
"""Milliseconds within which all events are to be painted, by side."""
DRAG = """events => new Promise(done => {
    const viewer = document.querySelector('.viewer');
    const slider = document.querySelector('.threshold.pixel input[type=range]');
    const [low, high] = [Number(slider.min), Number(slider.max)];
    const painted = () => Number(viewer.dataset.painted);
    const [start, before] = [performance.now(), painted()];
    let [sent, last, seen] = [0, start, before];
    new MutationObserver(() => {
        seen = painted();
        last = performance.now();
        if (sent === events && seen - before >= events) finish();
    }).observe(viewer, {attributeFilter: ['data-painted']});
    const send = () => {
        if (sent === events) return setTimeout(finish, 1500);
        slider.value = low + (0.3 + 0.5 * sent / events) * (high - low);
        slider.dispatchEvent(new Event('input', {bubbles: true}));
        sent++;
        requestAnimationFrame(send);
    };
    let finished = false;
    const finish = () => {
        if (finished) return;
        finished = true;
        const found = {paints: seen - before, ms: last - start};
        const released = performance.now();
        slider.dispatchEvent(new Event('change', {bubbles: true}));
        requestAnimationFrame(() => requestAnimationFrame(() => done({...found, refine_ms: performance.now() - released})));
    };
    requestAnimationFrame(send);
})"""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--sides", type=int, nargs="+", default=[1024, 2048])
    options.add_argument("--repeats", type=int, default=5)
    chosen = options.parse_args()
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        sys.exit("No Chromium on this machine; install it first (Debian: apt-get install chromium).")
    with tempfile.TemporaryDirectory() as folder:
        url = serve()
        pictures = {side: draw(Path(folder) / f"{side}.png", side) for side in chosen.sides}
        found = {side: measure(url, browser, picture, chosen.repeats) for side, picture in pictures.items()}
    print(json.dumps({"events": EVENTS, "sides": {side: summary(side, runs) for side, runs in found.items()}}, indent=1))


def draw(path: Path, side: int) -> Path:
    """A picture with blots of many sizes, so that every threshold has regions to find."""
    rng = np.random.default_rng(0)
    image = rng.normal(90, 6, (side, side, 3))
    for _ in range(60):
        x, y = rng.integers(0, side, 2).tolist()
        cv2.circle(image, (x, y), int(rng.integers(side // 200, side // 20)), rng.uniform(100, 250, 3).tolist(), -1)
    cv2.imwrite(str(path), np.clip(image, 0, 255).astype(np.uint8))
    return path


def serve() -> str:
    """Start the page over the stand-in engine in a thread; returns its address."""
    import uvicorn
    from engine_double import LEAF, FakeEngine
    from fastapi import FastAPI

    from panda_core.ui.mounting import mount
    from panda_core.ui.page import build_page

    application = mount(FastAPI(openapi_url=None), build_page(FakeEngine(LEAF)))
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(application, log_level="warning"))
    threading.Thread(target=lambda: server.run(sockets=[listener]), daemon=True).start()
    while not server.started:
        time.sleep(0.1)
    return f"http://127.0.0.1:{listener.getsockname()[1]}/"


def measure(url: str, browser: str, picture: Path, repeats: int) -> list[dict[str, float]]:
    """The drags of one picture, after one that warms the browser's compiler."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=FLAGS)
        page = chromium.new_page(viewport={"width": 1440, "height": 900})
        page.set_default_timeout(120_000)
        page.goto(url)
        page.wait_for_selector("#open:not([disabled])")
        with page.expect_file_chooser() as chooser:
            page.click("#open")
        chooser.value.set_files(str(picture))
        page.wait_for_selector('.viewer[data-state="ready"]')
        page.click('.views button[data-view="overlay"]')
        page.wait_for_timeout(3000)
        runs: list[dict[str, float]] = []
        for _ in range(repeats + 1):
            runs.append(page.evaluate(DRAG, EVENTS))
            page.wait_for_timeout(800)
        chromium.close()
    return runs[1:]


def summary(side: int, runs: list[dict[str, float]]) -> dict[str, Any]:
    """The runs with their medians, beside the mark."""
    return {
        "mark_ms": MARKS.get(side),
        "median_ms": round(median(run["ms"] for run in runs), 1),
        "fewest_paints": min(run["paints"] for run in runs),
        "runs": [{name: round(value, 1) for name, value in run.items()} for run in runs],
    }


if __name__ == "__main__":
    main()
