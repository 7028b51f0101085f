"""What a training costs the person who goes on working: inspecting beside it, and the page that watches it.

    python benchmarks/studio.py [--seconds 30] [--images 40]

Starts `app.py` in a process of its own with an empty home folder, and Chromium on it. `idle_core` and `watching_core`: share of one
core the server uses with the Train tab open, without and with a training that is watched. `inspect_idle_ms` and `inspect_beside_ms`:
median time of `/inspect` through the program's own endpoint, before and beside that training (preset best on drawn leaves, low
priority). The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
MARKS = {"watching_minus_idle_core": 0.02, "inspect_ratio": 2.5}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=30.0, help="How long the server is watched, each time.")
    parser.add_argument("--images", type=int, default=40, help="Inspections, each time.")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        found = measure(Path(place), arguments.seconds, arguments.images)
    found["watching_minus_idle_core"] = round(found["watching_core"] - found["idle_core"], 4)
    found["inspect_ratio"] = round(found["inspect_beside_ms"] / found["inspect_idle_ms"], 2)
    print(json.dumps({"cores": os.cpu_count(), "marks": MARKS, **found}))
    return 0


def measure(place: Path, seconds: float, images: int) -> dict[str, Any]:
    """All four numbers."""
    from playwright.sync_api import sync_playwright

    from panda_core.jobs import Jobs
    from panda_core.presets import preset
    from panda_core.procedural.dataset import write_dataset

    write_dataset(place / "leaves", kind="leaf", count=200, seed=0, size=256)
    home = place / "home"
    environment = os.environ | {"PANDA_HOME": str(home)}
    os.environ["PANDA_HOME"] = str(home)
    chromium = next(path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name)))
    command = [sys.executable, str(ROOT / "app.py"), "--port", "0", "--folder", str(place), "--no-history"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    jobs, started = Jobs(), ""
    try:
        assert server.stdout is not None
        url = server.stdout.readline().split()[2]
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            page.goto(url)
            page.wait_for_selector('.viewer[data-state="ready"] .verdict', timeout=120_000)
            page.get_by_role("tab", name="Train").click()
            page.wait_for_timeout(5000)
            found = {"idle_core": core_share(server.pid, seconds, page), "inspect_idle_ms": inspect(url, images)}
            started = jobs.start(place / "leaves", preset("best"), name="leaves").path.name
            page.wait_for_selector(".train-runs li button", timeout=20_000)
            page.click(".train-runs li button")
            page.wait_for_function("() => /Step [1-9]/.test(document.querySelector('.train-run .pace').textContent)", timeout=120_000)
            found |= {"watching_core": core_share(server.pid, seconds, page), "inspect_beside_ms": inspect(url, images)}
            browser.close()
        return found
    finally:
        if started:
            jobs.cancel(started)
            time.sleep(6)
        server.terminate()
        server.wait()


def core_share(process: int, seconds: float, page: Any) -> float:
    """Processor seconds of the server for each second that passes."""
    watched = psutil.Process(process)
    before, began = watched.cpu_times(), time.perf_counter()
    page.wait_for_timeout(seconds * 1000)
    after = watched.cpu_times()
    return round((after.user + after.system - before.user - before.system) / (time.perf_counter() - began), 4)


def inspect(url: str, count: int) -> float:
    """Median milliseconds of an inspection of an example through the endpoint."""
    from gradio_client import Client, handle_file

    client = Client(url, verbose=False)
    example = handle_file(str(ROOT / "examples" / "leaf_lesion.jpg"))
    times = []
    for _ in range(count):
        began = time.perf_counter()
        client.predict(example, "leaf", api_name="/inspect")
        times.append((time.perf_counter() - began) * 1000)
    return round(median(times), 1)


if __name__ == "__main__":
    sys.exit(main())
