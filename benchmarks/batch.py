"""The batch page: what thousands of rows cost the browser, and what the page costs the engine.

    python benchmarks/batch.py rows --count 5000
    python benchmarks/batch.py overhead --count 500 --model leaf

`rows` mounts the page's own script in Chromium with made-up rows, in messages as the server sends them, and times: all rows shown,
scrolling, a drag of the boundary over 60 steps, sorting, filtering. `overhead` inspects the same drawn images twice in turn: by the
engine alone, and through the served page with Chromium watching; without --model, the engine is the tests' double.
The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import base64
import functools
import http.server
import json
import platform
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from panda_core.procedural.leaf import LEAF_ANOMALIES, draw_leaf

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
ASSETS = ROOT / "panda_core" / "ui" / "assets"
MESSAGE_ROWS = 400
FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]

PAGE = """<!doctype html><meta charset="utf-8"><link rel="stylesheet" href="table.css"><link rel="stylesheet" href="batch.css">
<style>body { margin: 0 } #batch-results { height: 100vh } .batch { height: 100vh }</style><div id="batch-results">%s</div>"""

MEASURE = """async ({rows, size}) => {
  const {Batch} = await import('./batch.js');
  const element = document.querySelector('#batch-results');
  const batch = new Batch(element.querySelector('.batch'), () => {}, {judge: async () => ({})});
  const painted = () => new Promise(done => requestAnimationFrame(() => setTimeout(done, 0)));
  const timed = async work => { const start = performance.now(); await work(); await painted(); return performance.now() - start; };
  const thresholds = {own: 6, ownPixel: 3, pixel: 3, low: 1, high: 14, said: ''};
  const job = {what: 'Inspecting', state: 'running', done: 0, total: rows.length, rate: 1, remaining: 1, message: ''};
  const send = (from, state) => {
    batch.apply({id: 'b', from, rows: rows.slice(from, from + size), total: rows.length, thresholds, job: {...job, state}});
  };
  await painted();
  const floor = await timed(() => {});
  const messages = [];
  for (let from = 0; from < rows.length; from += size) {
    messages.push(await timed(() => send(from, from + size < rows.length ? 'running' : 'done')));
  }
  const sheet = element.querySelector('.sheet');
  const scrolls = [];
  for (let step = 1; step <= 60; step++) scrolls.push(await timed(() => { sheet.scrollTop = sheet.scrollHeight * step / 60; }));
  sheet.scrollTop = 0;
  const slider = element.querySelector('input[type=range]');
  const drag = async () => {
    const times = [];
    for (let step = 0; step < 60; step++) {
      times.push(await timed(() => { slider.value = 1 + step / 5; slider.dispatchEvent(new Event('input')); }));
    }
    return times;
  };
  const plain = await drag();
  const chip = await timed(() => element.querySelector('[data-show=anomalous]').click());
  const filtered = await drag();
  element.querySelector('[data-show=all]').click();
  await painted();
  const sorts = [];
  for (const button of element.querySelectorAll('.sheet-head button')) sorts.push(await timed(() => button.click()));
  const nodes = element.querySelectorAll('*').length;
  const shown = Number(element.querySelector('[data-show=all] b').textContent.replace(',', ''));
  return {floor, messages, scrolls, plain, filtered, chip: [chip], sorts, nodes, shown};
}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    rows = commands.add_parser("rows")
    rows.add_argument("--count", type=int, default=5000)
    overhead = commands.add_parser("overhead")
    overhead.add_argument("--count", type=int, default=500)
    overhead.add_argument("--repeats", type=int, default=2)
    overhead.add_argument("--size", type=int, default=512)
    overhead.add_argument("--model", help="a real model; without, the double of the tests")
    server = commands.add_parser("serve")  # what `overhead` starts
    server.add_argument("folder", type=Path)
    server.add_argument("--model")
    arguments = parser.parse_args()
    if arguments.command == "serve":
        sys.exit(serve_tab(arguments.folder, arguments.model))
    result = measure_rows(arguments.count) if arguments.command == "rows" else measure_overhead(arguments)
    print(json.dumps({**result, "device": platform.machine()}))


def measure_rows(count: int) -> dict[str, Any]:
    """Milliseconds to the next painted frame; `floor` is what doing nothing takes."""
    html = (PAGE % (ASSETS / "batch.html").read_text(encoding="utf-8")).encode()
    with serve_assets(html) as url, open_page() as page:
        page.goto(url)
        found = page.evaluate(MEASURE, {"rows": made_up_rows(count), "size": MESSAGE_ROWS})
    assert found["shown"] == count
    times = {name: values for name, values in found.items() if isinstance(values, list)}
    summary = {name: {"median": round(float(np.median(v)), 1), "max": round(max(v), 1)} for name, v in times.items()}
    return {"rows": count, "nodes": found["nodes"], "floor_ms": round(found["floor"], 1), "ms": summary}


def made_up_rows(count: int) -> list[dict[str, Any]]:
    """Rows as the server sends them, each with a small picture of its own."""
    rng = np.random.default_rng(0)
    rows = []
    for number in range(count):
        score = float(rng.normal(5, 3))
        picture = rng.integers(0, 255, (12, 12, 3), dtype=np.uint8)
        data = base64.b64encode(cv2.imencode(".jpg", cv2.resize(picture, (96, 96)))[1].tobytes()).decode()
        numbers = {"score": score, "regions": int(rng.integers(0, 9)), "peak": score + 1, "ms": 50.0}
        rows.append(
            {
                "id": number,
                "name": f"part/image_{number}.png",
                **numbers,
                "problem": "",
                "mark": None,
                "picture": f"data:image/jpeg;base64,{data}",
            }
        )
    return rows


def measure_overhead(arguments: argparse.Namespace) -> dict[str, Any]:
    """Seconds of the engine alone and through the page, in turn; the median of the ratios."""
    from panda_core.data.images import list_images

    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "images"
        folder.mkdir()
        draw_images(folder, arguments.count, arguments.size)
        paths = list_images(folder)
        engine, model = make_engine(arguments.model)
        engine.warm()
        list(engine.inspect_many(model, paths[:16]))
        alone, page = [], []
        with served_page(folder, arguments.model) as inspect:
            inspect(arguments.count)  # loads the model
            for _ in range(arguments.repeats):
                started = time.perf_counter()
                for _ in engine.inspect_many(model, paths):
                    pass
                alone.append(time.perf_counter() - started)
                page.append(inspect(arguments.count))
    ratios = [with_page / bare for with_page, bare in zip(page, alone, strict=True)]
    seconds = {"engine_s": [round(v, 2) for v in alone], "page_s": [round(v, 2) for v in page]}
    return {
        "images": arguments.count,
        "size": arguments.size,
        "model": model,
        **seconds,
        "overhead": round(float(np.median(ratios)) - 1, 3),
    }


@contextmanager
def served_page(folder: Path, model: str | None) -> Iterator[Callable[[int], float]]:
    """The Batch tab in a process of its own and Chromium on it; yields ``inspect(count)``: seconds from the click to the last row."""
    options = ["--model", model] if model else []
    process = subprocess.Popen([sys.executable, __file__, "serve", str(folder), *options], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        url = process.stdout.readline().split()[2]
        with open_page() as page:
            page.goto(url)
            page.wait_for_selector(".sheet-empty", timeout=60_000)
            page.fill("#batch-folder textarea, #batch-folder input", str(folder))

            def inspect(count: int) -> float:
                started = time.perf_counter()
                page.click("#batch-start")
                page.wait_for_selector('.batch[data-state="running"]', timeout=60_000)
                page.wait_for_function(
                    "count => document.querySelector('.batch').dataset.state === 'ready'"
                    " && document.querySelector('[data-show=all] b').textContent.replace(',', '') === String(count)",
                    arg=count,
                    timeout=3_600_000,
                )
                return time.perf_counter() - started

            yield inspect
    finally:
        process.terminate()
        process.wait()


def serve_tab(folder: Path, model: str | None) -> int:
    """A page with nothing but the Batch tab."""
    from panda_core.ui.server import serve

    return serve(functools.partial(build_tab, folder, model), host="127.0.0.1", port=0)


def build_tab(folder: Path, model: str | None) -> Any:
    """The application of `serve_tab`."""
    import gradio as gr
    from fastapi import FastAPI

    from panda_core.ui.batch_tab import BatchTab
    from panda_core.ui.mounting import mount

    engine, name = make_engine(model)
    with gr.Blocks(analytics_enabled=False, fill_width=True) as page, gr.Column(elem_id="page", min_width=0):
        gr.HTML("<header><h1>Batch only</h1></header>", elem_id="bar", apply_default_css=False)
        with gr.Row(elem_id="desk"):
            with gr.Column(elem_id="source", min_width=0):
                dropdown = gr.Dropdown([name], value=name, label="Model")
            with gr.Tabs(elem_id="tabs"), gr.Tab("Batch"):
                BatchTab(engine, dropdown, roots=[folder])
    return mount(FastAPI(openapi_url=None), page)


def make_engine(model: str | None) -> tuple[Any, str]:
    """The engine and the model's name in it."""
    if model is None:
        from engine_double import LEAF, FakeEngine

        return FakeEngine(LEAF), LEAF.name
    from panda_core.ui.engine import LocalEngine

    engine = LocalEngine(model=model)
    return engine, engine.models()[0].name


def draw_images(folder: Path, count: int, size: int) -> None:
    """Leaves as JPEG, every third with something on it: maps with as many regions as people see."""
    for number in range(count):
        anomaly = LEAF_ANOMALIES[number // 3 % len(LEAF_ANOMALIES)] if number % 3 == 0 else None
        image, _ = draw_leaf(number, size=size, anomaly=anomaly)
        cv2.imwrite(str(folder / f"image_{number:05}.jpg"), image[..., ::-1])


@contextmanager
def open_page() -> Iterator[Any]:
    """A page in a headless Chromium of the usual desktop size."""
    from playwright.sync_api import sync_playwright

    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=FLAGS)
        yield browser.new_page(viewport={"width": 1440, "height": 900})
        browser.close()


@contextmanager
def serve_assets(html: bytes) -> Iterator[str]:
    """`assets/` with ``html`` as its index; yields the address."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path != "/":
                super().do_GET()
                return
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(html)

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(ASSETS))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


if __name__ == "__main__":
    main()
