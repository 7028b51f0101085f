"""A process of a session: is told its jobs on stdin, does them at low priority with one thread, says how each ended on stdout.

One JSON object in; one JSON line out a job: {"number": of the job, "failure": "" or a sentence}. Whatever else is printed goes to stderr.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from panda_core.reproduction.plan import Job
from panda_core.reproduction.running import Places
from panda_core.strict import build

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""What libraries read when they are loaded."""


def launch(
    jobs: Sequence[Job], places: Places, session: str, on_line: Callable[[int, str], None]
) -> tuple[subprocess.Popen[str], threading.Thread]:
    """Start one. ``on_line(number of the job, failure)`` is called by the thread that is returned, which ends after the process."""
    process = subprocess.Popen(
        [sys.executable, "-m", "panda_core.reproduction.process"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env={**os.environ, **dict.fromkeys(THREADS, "1")},
    )
    order = {
        "jobs": [asdict(job) for job in jobs],
        "places": {name: str(value) for name, value in asdict(places).items()},
        "session": session,
    }

    def talk() -> None:
        # In a thread: a process that dies at once must not hold up whoever started it.
        assert process.stdin is not None and process.stdout is not None
        try:
            json.dump(order, process.stdin)
            process.stdin.close()
        except BrokenPipeError:
            pass
        with process.stdout:
            for line in process.stdout:
                said = json.loads(line)
                on_line(said["number"], said["failure"])
        process.wait()

    thread = threading.Thread(target=talk, daemon=True)
    thread.start()
    return process, thread


def main() -> None:
    """Do what stdin says."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    try:
        _serve(json.load(sys.stdin), lambda said: print(json.dumps(said), file=out, flush=True))
    except KeyboardInterrupt:
        sys.exit(0)  # Ctrl-C reaches every process of the terminal; the first one reports


def _serve(order: dict[str, Any], say: Callable[[dict[str, Any]], None]) -> None:
    import cv2
    import torch

    from panda_core.reproduction.session import work_through
    from panda_core.worker import step_back

    step_back()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    jobs = [build(Job, job, "job") for job in order["jobs"]]
    folders = {name: Path(order["places"][name]) for name in ("data", "runs", "out")}
    places = Places(**folders, device=order["places"]["device"])
    numbers = {job.name: number for number, job in enumerate(jobs)}
    work_through(jobs, places, session=order["session"], on_end=lambda job, failure: say({"number": numbers[job.name], "failure": failure}))


if __name__ == "__main__":
    main()
