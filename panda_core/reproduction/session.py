"""Many jobs, by one process or several that share a list: each takes the next job that is neither done nor in another's hands.

A job in hand is a lock on its folder, which the kernel frees however the process ends; so several sessions of one machine may work
at the same runs. Each session tries a job once. A process that dies in the middle of a job (killed for memory, say) leaves its
mark in the folder; the job is then noted as failed by whoever comes next.
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout

from panda_core.errors import PandaError, TrainingError
from panda_core.reproduction.failures import clear_failure, failure_of, write_failure
from panda_core.reproduction.plan import Job
from panda_core.reproduction.process import launch
from panda_core.reproduction.running import Places, is_done, run_job
from panda_core.reproduction.systems import SYSTEMS

State = Literal["done", "failed", "missing", "started", "open"]
POLL_SECONDS = 0.2
PATIENCE = 60.0
"""Seconds a training gets to reach the end of its step; then it is killed, and its last checkpoint stays."""
MARK = "session"


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a job stands."""

    job: Job
    state: State
    """ "missing": this version has no such preset; "started": there is a run to go on with."""
    detail: str = ""


def standing(job: Job, places: Places) -> Standing:
    """Where a job stands, from its files."""
    if is_done(job, places.out):
        return Standing(job, "done")
    if not SYSTEMS[job.system].exists():
        return Standing(job, "missing", f"there is no preset '{SYSTEMS[job.system].preset}' in this version")
    if sentence := failure_of(places.out, job):
        return Standing(job, "failed", sentence)
    return Standing(job, "started" if (places.run(job) / "config.json").exists() else "open")


def work_through(
    jobs: Sequence[Job], places: Places, *, session: str, on_end: Callable[[Job, str], None] = lambda job, failure: None
) -> bool:
    """Do the jobs one after the other, in this process; False where it was asked to stop (the training has kept a checkpoint).

    ``session``: a name of this attempt; a job that another process of the same session has tried is left alone.
    ``on_end(job, "" or the sentence of its failure)`` is called after each. A failure does not stop the rest.
    """
    for job in jobs:
        if standing(job, places).state in ("done", "missing"):
            continue
        folder = places.run(job)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(folder / "job.lock").acquire(timeout=0):
                if not is_done(job, places.out) and not _tried(folder, session, job, places, on_end) and not _attempt(job, places, on_end):
                    (folder / MARK).unlink(missing_ok=True)
                    return False
        except Timeout:
            continue  # in another's hands
    return True


def _tried(folder: Path, session: str, job: Job, places: Places, on_end: Callable[[Job, str], None]) -> bool:
    """Whether this session has tried the job already; leaves its mark where not."""
    mark = folder / MARK
    if not mark.exists() or mark.read_text(encoding="utf-8") != session:
        mark.write_text(session, encoding="utf-8")
        return False
    if not failure_of(places.out, job):
        sentence = "Its process ended without a word (killed, or out of memory). Run it again with fewer --workers."
        write_failure(places.out, job, sentence)
        on_end(job, sentence)
    return True


def _attempt(job: Job, places: Places, on_end: Callable[[Job, str], None]) -> bool:
    """Whether the session may go on: False after a request to stop."""
    clear_failure(places.out, job)
    try:
        records = run_job(job, places)
    except PandaError as error:
        sentence = str(error)
    except Exception as error:  # a defect of one job must not cost the others a night
        with (places.run(job) / "log.txt").open("a", encoding="utf-8") as log:
            traceback.print_exc(file=log)
        sentence = f"Something is wrong in the program ({type(error).__name__}: {error}). {places.run(job) / 'log.txt'} shows where."
    else:
        if records is not None:
            on_end(job, "")
        return records is not None
    write_failure(places.out, job, sentence)
    on_end(job, sentence)
    return True


def spread(jobs: Sequence[Job], places: Places, *, workers: int, on_end: Callable[[Job, str], None] = lambda job, failure: None) -> bool:
    """`work_through` by ``workers`` processes of one thread each, at low priority; False where it was asked to stop.

    SIGINT and SIGTERM stop the trainings with a checkpoint, a second one at once, without a new one. A process that dies is replaced,
    and its job noted as failed. Call it from the main thread. Raises TrainingError where more processes die than there are jobs.
    """
    session, ended = f"{os.getpid()}-{time.time()}", queue.SimpleQueue[tuple[int, str]]()

    def start() -> tuple[subprocess.Popen[str], threading.Thread]:
        return launch(jobs, places, session, lambda number, failure: ended.put((number, failure)))

    with _asked_to_stop() as asked:
        alive, told, dead = [start() for _ in range(min(workers, len(jobs)))], 0.0, 0
        while alive:
            time.sleep(POLL_SECONDS)
            if asked() and not told:
                told = time.monotonic()
                _each(alive, "terminate")
            if asked() > 1 or (told and time.monotonic() > told + PATIENCE):
                _each(alive, "kill")
            over = [process for process, thread in alive if not thread.is_alive()]
            alive = [(process, thread) for process, thread in alive if thread.is_alive()]
            while not ended.empty():
                number, failure = ended.get()
                on_end(jobs[number], failure)
            # 0: nothing left to do; anything else, unless we asked for it, is a death in the middle of a job.
            lost = sum(process.returncode != 0 for process in over) if not told else 0
            dead += lost
            if dead > len(jobs):
                raise TrainingError("The processes of this session end before they have begun a run. Try one run with: panda train.")
            alive += [start() for _ in range(lost)]
        return not told


def _each(alive: Sequence[tuple[subprocess.Popen[str], threading.Thread]], what: Literal["terminate", "kill"]) -> None:
    for process, _ in alive:
        getattr(process, what)()


@contextmanager
def _asked_to_stop() -> Iterator[Callable[[], int]]:
    """How often SIGINT or SIGTERM has come."""
    asked: list[int] = []
    before = {number: signal.signal(number, lambda number, frame: asked.append(number)) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield lambda: len(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
