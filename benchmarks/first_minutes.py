"""The first minutes with the app: how soon it answers, how soon a page is useful, how soon a click on an example has its verdict.

    python benchmarks/first_minutes.py [--repeats 3] [--clicks 10]

Each repeat starts `app.py` in a process of its own with an empty home folder and opens Chromium on it. From the start of the process, in
seconds: `answers` (the port gives a page), `useful` (the page stands: model chosen, images can be opened, examples shown), `inspected` (the
example that is opened by itself has its verdict). Then, warm, from the click on an example to its verdict on the screen: `click`. The last
line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
MARKS = {"useful": 4.0, "click": 1.0}
"""Seconds that are aimed at."""
VERDICT = """() => {
  const viewer = document.querySelector('.viewer');
  return viewer?.dataset.state === 'ready' && Boolean(viewer.querySelector('.verdict')?.textContent.trim());
}"""
CLICK = """index => new Promise(done => {
  const viewer = document.querySelector('.viewer');
  const [before, started] = [viewer.dataset.name, performance.now()];
  const shown = () => viewer.dataset.name !== before && viewer.dataset.state === 'ready' && viewer.querySelector('.verdict')?.textContent;
  const look = () => requestAnimationFrame(() => shown() ? setTimeout(() => done((performance.now() - started) / 1000), 0) : look());
  document.querySelectorAll('#examples .thumbnail-item')[index].click();
  look();
})"""
"""Clicks an example other than the open one; resolves once its verdict is painted."""


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--clicks", type=int, default=10)
    arguments = parser.parse_args()
    runs = [measure(arguments.clicks) for _ in range(arguments.repeats)]
    clicks = sorted(value for run in runs for value in run.pop("clicks"))
    found: dict[str, Any] = {name: round(median(run[name] for run in runs), 2) for name in runs[0]}
    found |= {"click": round(median(clicks), 2), "click_worst": round(clicks[-1], 2)}
    print(json.dumps({"machine": platform.processor() or platform.machine(), "cores": os.cpu_count(), "marks_s": MARKS, "seconds": found}))
    return 0


def measure(clicks: int) -> dict[str, Any]:
    """One start of the program."""
    from playwright.sync_api import sync_playwright

    chromium = next(path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name)))
    with tempfile.TemporaryDirectory() as home, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        started = time.perf_counter()
        command = [sys.executable, str(ROOT / "app.py"), "--port", "0"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | {"PANDA_HOME": home})
        try:
            assert process.stdout is not None
            url = process.stdout.readline().split()[2]
            urllib.request.urlopen(url).read()
            found: dict[str, Any] = {"answers": time.perf_counter() - started}
            page.goto(url)
            page.wait_for_selector("#open:not([disabled])", timeout=60_000)
            page.wait_for_selector("#examples img", timeout=60_000)
            found["useful"] = time.perf_counter() - started
            page.wait_for_function(VERDICT, timeout=60_000)
            found["inspected"] = time.perf_counter() - started
            page.wait_for_timeout(1500)
            count = page.locator("#examples img").count()
            # The first look at each example warms the model that belongs to it.
            open_first = int((page.inner_text(".viewer .where").split("/")[0]).strip()) - 1
            order = [(open_first + 1 + number) % count for number in range(count + clicks)]
            for index in order[:count]:
                page.evaluate(CLICK, index)
            found["clicks"] = [page.evaluate(CLICK, index) for index in order[count:]]
            return found
        finally:
            process.terminate()
            process.wait()
            browser.close()


if __name__ == "__main__":
    sys.exit(main())
