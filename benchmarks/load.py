"""Several people inspecting at once: does everybody get his own answer, and how long does it take?

    python benchmarks/load.py --model leaf --people 5 --rounds 12

Starts the app on a free port, sends each client its own drawn leaves through `/inspect`, and compares every score with the one the
same image gets alone. Prints JSON: median and 95th percentile of one client alone and of all together, their ratio, mixed-up answers.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
from gradio_client import Client, handle_file

from panda_core.procedural.leaf import draw_leaf

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="leaf")
    parser.add_argument("--people", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=12, help="images each person inspects")
    parser.add_argument("--size", type=int, default=256)
    arguments = parser.parse_args()
    server = subprocess.Popen([sys.executable, "app.py", "--port", "0"], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        url = server.stdout.readline().split()[2]
        print(json.dumps(measure(url, arguments.model, arguments.people, arguments.rounds, arguments.size), indent=1))
    finally:
        server.terminate()
        server.wait()


def measure(url: str, model: str, people: int, rounds: int, size: int) -> dict[str, float | int]:
    """The figures; the first calls, which load the model, are not counted."""
    with tempfile.TemporaryDirectory() as folder:
        shares = [draw_images(Path(folder), person, rounds, size) for person in range(people)]
        clients = [connect(url) for _ in range(people)]
        inspect(clients[0], model, shares[0][0])
        alone = [[inspect(clients[0], model, path) for path in share] for share in shares]
        with ThreadPoolExecutor(people) as pool:
            jobs = [pool.submit(lambda c, s: [inspect(c, model, path) for path in s], *pair) for pair in zip(clients, shares, strict=True)]
            together = [job.result() for job in jobs]
    single = np.array([seconds for share in alone for _, seconds in share])
    crowd = np.array([seconds for share in together for _, seconds in share])
    mixed = sum(not alike(a[0], b[0]) for one, other in zip(alone, together, strict=True) for a, b in zip(one, other, strict=True))
    return {
        "people": people,
        "images": int(crowd.size),
        "alone_median_s": float(np.median(single)),
        "alone_p95_s": float(np.quantile(single, 0.95)),
        "together_median_s": float(np.median(crowd)),
        "together_p95_s": float(np.quantile(crowd, 0.95)),
        "p95_ratio": float(np.quantile(crowd, 0.95) / np.quantile(single, 0.95)),
        "throughput_per_s": float(crowd.size / max(sum(seconds for _, seconds in share) for share in together)),
        "mixed_up": mixed,
    }


def alike(alone: tuple[str, float], other: tuple[str, float]) -> bool:
    """The same file and score; in a pass with other images a network's last digits may differ."""
    return alone[0] == other[0] and bool(np.isclose(alone[1], other[1], rtol=1e-4, atol=1e-4))


def draw_images(folder: Path, person: int, rounds: int, size: int) -> list[Path]:
    paths = []
    for number in range(rounds):
        image, _ = draw_leaf(1000 * person + number, size=size)
        paths.append(folder / f"{person}_{number}.png")
        cv2.imwrite(str(paths[-1]), image[..., ::-1])
    return paths


def connect(url: str, *, patience: float = 120) -> Client:
    """A client, once the page stands."""
    start = time.monotonic()
    while True:
        try:
            return Client(url, verbose=False)
        except Exception:
            if time.monotonic() - start > patience:
                raise
            time.sleep(0.5)


def inspect(client: Client, model: str, path: Path) -> tuple[tuple[str, float], float]:
    """((file, score), seconds) of one call, upload included."""
    started = time.perf_counter()
    found = client.predict(handle_file(str(path)), model, api_name="/inspect")
    return (found["file"], found["score"]), time.perf_counter() - started


if __name__ == "__main__":
    main()
