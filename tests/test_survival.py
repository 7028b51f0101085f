"""A training survives being killed at any moment, and a full disk: nothing is lost, nothing is half there, the result is the same."""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest
from safetensors.torch import load_file

from panda_core import resume, worker
from panda_core.checkpoint import load_model
from panda_core.errors import TrainingError
from panda_core.jobs import Jobs
from panda_core.presets import preset
from panda_core.runs import RunDir

KILLS = 50
LONGEST_LIFE = 2.5
"""Seconds after which a worker is killed at the latest: on a busy machine fifty whole trainings would take many minutes."""
CONFIG = preset("tiny").override(**{"train.warmup_steps": 12, "train.adversarial_steps": 6})
FORGE = """
import os, signal, sys
import torch
torch.set_num_threads(1)
import panda_core.trainer
from panda_core.runs import RunDir
from panda_core.worker import work
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
print("ready", flush=True)
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        log = os.open(line.strip() + "/log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1), os.dup2(log, 2)
        try:
            work(RunDir.open(line.strip()), device="cpu")
        finally:
            os._exit(0)
    print(child, flush=True)
"""
"""Imports torch once and forks a worker for each line it is given: fifty starts of Python would take minutes."""

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="forks workers and kills them with SIGKILL")]


class Forge:
    """Starts workers: real processes that train and can be killed."""

    def __init__(self) -> None:
        self.process = subprocess.Popen([sys.executable, "-c", FORGE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._output.readline() == "ready\n"

    @property
    def _output(self) -> IO[str]:
        assert self.process.stdout is not None
        return self.process.stdout

    def start(self, run: RunDir) -> int:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{run.path}\n")
        self.process.stdin.flush()
        return int(self._output.readline())

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture(scope="module")
def forge() -> Iterator[Forge]:
    made = Forge()
    yield made
    made.close()


def wait_until_over(run: RunDir, process: int, *, seconds: float = 120.0) -> float:
    """Until the process is gone; returns the seconds it took."""
    started = time.monotonic()
    while is_there(process):
        assert time.monotonic() - started < seconds, run.log_path.read_text()
        time.sleep(0.02)
    return time.monotonic() - started


def is_there(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def kill(process: int) -> None:
    try:
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        return
    while is_there(process):
        time.sleep(0.005)


def check_whole(jobs: Jobs, run: RunDir) -> None:
    """What a reader finds after a kill: the run in the list, whole events, no model or a complete one, no litter that grows."""
    assert run.path in [found.path for found in jobs.list() if isinstance(found, RunDir)]
    status = RunDir.open(run.path).status()
    assert status.state in ("created", "interrupted", "done"), status
    assert all("event" in event for event in run.events())
    if run.model_path.exists():
        load_model(run.model_path)
    if run.state_path.exists():
        assert resume.load_state(run.state_path) is not None


def test_killed_at_fifty_random_moments_no_training_is_lost_and_the_result_is_the_same(
    tmp_path: Path, toy_folder: Path, forge: Forge
) -> None:
    jobs = Jobs(tmp_path / "runs")
    reference = RunDir.create(jobs.place / "0000-reference", CONFIG, toy_folder)
    whole = wait_until_over(reference, forge.start(reference))
    assert reference.status().state == "done", reference.log_path.read_text()
    expected = load_file(reference.model_path / "model.safetensors")
    chance = random.Random(0)
    kills, finished = 0, 0
    while kills < KILLS or not finished:
        run = RunDir.create(jobs.place / f"{finished + 1:04d}-run", CONFIG, toy_folder)
        while run.status().state != "done":
            process = forge.start(run)
            if kills < KILLS:
                time.sleep(chance.uniform(0.0, min(LONGEST_LIFE, 0.9 * whole)))
                kills += is_there(process)
                kill(process)
            else:
                wait_until_over(run, process)
            check_whole(jobs, run)
            assert run.status().state != "failed", run.log_path.read_text()
        finished += 1
        found = load_file(run.model_path / "model.safetensors")
        assert found.keys() == expected.keys()
        assert all(bool((found[name] == expected[name]).all()) for name in expected), f"after {kills} kills the model is another one"


def test_a_request_to_stop_is_met_within_five_seconds_at_any_moment(tmp_path: Path, toy_folder: Path, forge: Forge) -> None:
    jobs = Jobs(tmp_path / "runs")
    chance = random.Random(1)
    for number in range(4):
        run = RunDir.create(jobs.place / f"{number:04d}-run", CONFIG, toy_folder)
        process = forge.start(run)
        time.sleep(chance.uniform(0.0, 1.5))
        started = time.monotonic()
        Jobs(jobs.place).cancel(run.path.name)
        wait_until_over(run, process, seconds=10)
        assert time.monotonic() - started < 5.0
        assert run.status().state in ("stopped", "done") and (run.status().state == "done") == run.model_path.exists()


def test_a_full_disk_is_said_and_after_making_room_the_training_goes_on(
    tmp_path: Path, toy_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunDir.create(tmp_path / "run", CONFIG, toy_folder)
    real = resume.save_file

    def full(tensors: object, path: Path, **named: object) -> None:
        Path(path).write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(resume, "save_file", full)
    with pytest.raises(TrainingError, match="disk is full"):
        worker.work(run, device="cpu")
    assert run.status().state == "failed" and "Make room" in run.status().detail
    assert not run.model_path.exists() and not run.state_path.exists() and not list(run.path.glob("*.partial"))
    monkeypatch.setattr(resume, "save_file", real)
    assert worker.work(run, device="cpu") == "done"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="mounting a small file system needs root")
def test_a_run_on_a_disk_that_is_really_full_fails_in_words_and_can_go_on(tmp_path: Path, toy_folder: Path) -> None:
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(place)], capture_output=True)
    if mounted.returncode:
        pytest.skip("this machine does not allow mounting a file system")
    try:
        run = RunDir.create(place / "run", CONFIG, toy_folder)
        with pytest.raises(TrainingError, match="disk is full"):
            worker.work(run, device="cpu")
        assert RunDir.open(run.path).status().state in ("failed", "interrupted") and not run.model_path.exists()
        subprocess.run(["mount", "-o", "remount,size=64m", str(place)], check=True)
        assert worker.work(run, device="cpu") == "done"
        load_model(run.model_path)
    finally:
        subprocess.run(["umount", "-l", str(place)], check=False)
