"""Time of one inspection and of one decision, warm, batch 1; of `panda --help`; and of the page's first paint.

    python benchmarks/inference.py --model leaf
    python benchmarks/inference.py --model leaf --device cuda --no-page

The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from panda_core.inspector import Inspector
from panda_core.procedural.leaf import draw_leaf
from panda_core.reproduction.measuring import device_words
from panda_core.scoring.decision import decide

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="leaf")
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    parser.add_argument("--no-page", action="store_true", help="the engine alone: no command, no page")
    arguments = parser.parse_args()
    inspector = Inspector.load(arguments.model, device=arguments.device)
    with tempfile.TemporaryDirectory() as folder:
        small, large = _photo(Path(folder), 256), _photo(Path(folder), 512)
        seen = inspector.inspect(large)
        result: dict[str, object] = {
            "decode_to_decision_256_ms": _median(lambda: decide(inspector.inspect(small)), arguments.repeats),
            "network_and_scoring_256_ms": round(float(np.median([inspector.inspect(small).milliseconds for _ in range(10)])), 1),
            "decide_512_ms": _median(lambda: decide(seen), arguments.repeats),
            "decide_512_threshold_zero_ms": _median(lambda: decide(seen, pixel_threshold=0.0), arguments.repeats),
        }
    if not arguments.no_page:
        result["help_s"] = (
            _median(lambda: subprocess.run([sys.executable, "-m", "panda_core", "--help"], capture_output=True, check=True), 5) / 1000
        )
        result["first_paint_s"], result["page_ready_s"] = _page()
    print(json.dumps({**result, "model": arguments.model, "device": device_words(inspector.device)}))


def _photo(folder: Path, size: int) -> Path:
    path = folder / f"{size}.jpg"
    Image.fromarray(draw_leaf(900_100, size=size, anomaly="lesion")[0]).save(path, quality=92)
    return path


def _median(action: Callable[[], object], repeats: int) -> float:
    action()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        action()
        times.append((time.perf_counter() - start) * 1000)
    return round(float(np.median(times)), 2)


def _page() -> tuple[float, float]:
    """Seconds from `python app.py` to the first HTML, and to the Gradio page itself."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    start, first = time.perf_counter(), 0.0
    process = subprocess.Popen(
        [sys.executable, "app.py", "--port", str(port)], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        while time.perf_counter() - start < 120:
            for path in ("/", "/config"):
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=2) as answer:
                        body = answer.read()
                except (urllib.error.URLError, OSError):
                    break
                if path == "/" and not first:
                    first = time.perf_counter() - start
                if path == "/config" and b'"components"' in body:
                    return round(first, 2), round(time.perf_counter() - start, 2)
            time.sleep(0.05)
    finally:
        process.terminate()
        process.wait()
    raise SystemExit("the page did not come up within two minutes")


if __name__ == "__main__":
    main()
