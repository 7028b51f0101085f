"""Several people inspecting at once: does everybody get his own answer, and how long does it take?

    python benchmarks/load.py --model leaf --people 5 --rounds 40

Starts the app on a free port. Each person is a process of its own with a gradio_client, which sends its own drawn leaves through
`/inspect`; every score is compared with the one the same image got alone. Prints JSON: median and 95th percentile of one client alone
and of all together, their ratio, mixed-up answers.
"""

from __future__ import annotations

import argparse
import functools
import json
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
from gradio_client import Client, handle_file

from panda_core.procedural.leaf import draw_leaf

Answer = tuple[tuple[str, float], float]
"""((file, score), seconds)"""
ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="leaf")
    parser.add_argument("--people", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=40, help="images each person inspects")
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
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        shares = [draw_images(Path(folder), person, rounds, size) for person in range(people)]
        processes = [stack.enter_context(ProcessPoolExecutor(1, mp_context=get_context("spawn"))) for _ in range(people)]
        for person, share in zip(processes, shares, strict=True):  # connects, and loads the model
            person.submit(inspect_all, url, model, share[:1]).result()
        alone = [processes[0].submit(inspect_all, url, model, share).result() for share in shares]
        jobs = [person.submit(inspect_all, url, model, share) for person, share in zip(processes, shares, strict=True)]
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


@functools.cache
def connect(url: str, *, patience: float = 120) -> Client:
    """This process's client, once the page stands."""
    start = time.monotonic()
    while True:
        try:
            # Plain http has no certificates to check. Loading them all the same would take the client 60 ms of a core in each call,
            # and here, unlike in life, people and server share their cores.
            return Client(url, verbose=False, ssl_verify=False)
        except Exception:
            if time.monotonic() - start > patience:
                raise
            time.sleep(0.5)


def inspect_all(url: str, model: str, paths: list[Path]) -> list[Answer]:
    """One person's images, one after another; the time of each includes its upload."""
    client, answers = connect(url), []
    for path in paths:
        started = time.perf_counter()
        found = client.predict(handle_file(str(path)), model, api_name="/inspect")
        answers.append(((found["file"], found["score"]), time.perf_counter() - started))
    return answers


if __name__ == "__main__":
    main()
