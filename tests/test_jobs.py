"""Jobs are processes of their own over run folders: found by anyone, queued, stopped within seconds, never lost."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from filelock import Timeout

from panda_core import jobs as jobs_module
from panda_core.errors import TrainingError
from panda_core.jobs import DamagedRun, Jobs
from panda_core.presets import preset
from panda_core.runs import RunDir
from panda_core.turns import device_name, device_turn

TINY = preset("tiny")
STUBBORN = """
import signal, sys, time
from panda_core.runs import RunDir
signal.signal(signal.SIGTERM, signal.SIG_IGN)
run = RunDir.open(sys.argv[1])
with run.hold():
    run.write_status("running", step=3, total=10)
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def jobs(tmp_path: Path) -> Jobs:
    return Jobs(tmp_path / "runs")


@pytest.fixture
def idle(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """No process is started; what would be is kept."""
    launched: list[list[str]] = []
    monkeypatch.setattr(jobs_module, "launch", lambda arguments, log: launched.append(list(arguments)))
    return launched


def wait_for(true: Callable[[], bool], *, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.05)


def test_a_job_is_a_numbered_folder_and_the_command_a_person_would_type(jobs: Jobs, idle: list[list[str]], tmp_path: Path) -> None:
    first = jobs.start(tmp_path, TINY, name="Äpfel / Birnen", exclude=["ab"], device="cpu", parent=tmp_path / "leaf")
    second = jobs.start(tmp_path, TINY, name="Bolts", low_priority=False)
    assert [first.path.name, second.path.name] == ["0001-pfel-birnen", "0002-bolts"]
    assert idle[0] == ["train", "--run", str(first.path), "--resume", "--device", "cpu", "--low-priority"]
    assert idle[1] == ["train", "--run", str(second.path), "--resume", "--device", "auto"]
    assert [run.path.name for run in jobs.list()] == ["0002-bolts", "0001-pfel-birnen"]
    again = Jobs(jobs.place).find("0001-pfel-birnen")
    assert (again.name, again.exclude, again.device, again.parent) == ("Äpfel / Birnen", {"ab"}, "cpu", tmp_path / "leaf")


@pytest.mark.parametrize("low_priority", [True, False])
def test_a_training_goes_on_at_the_priority_it_had(jobs: Jobs, idle: list[list[str]], tmp_path: Path, low_priority: bool) -> None:
    run = jobs.start(tmp_path, TINY, name="a", low_priority=low_priority)
    run.write_status("stopped")
    Jobs(jobs.place).resume("0001-a")
    assert idle[0] == idle[1] and ("--low-priority" in idle[1]) is low_priority


def test_a_run_of_an_earlier_version_without_the_new_keys_opens(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path / "old", TINY, tmp_path)
    text = (run.path / "config.json").read_text()
    for key in ('"parent": null,', '"exclude": [],', '"device": "auto",', '"low_priority": true,'):
        assert key in text
        text = text.replace(key, "")
    (run.path / "config.json").write_text(text)
    again = RunDir.open(run.path)
    assert (again.parent, again.exclude, again.device, again.low_priority) == (None, frozenset(), "auto", True)


@pytest.mark.parametrize("name", ["", "..", ".", "../runs/0001-a", ".trash", "0009-none", "a\0b"])
def test_only_a_run_of_this_place_is_found(jobs: Jobs, idle: list[list[str]], tmp_path: Path, name: str) -> None:
    jobs.start(tmp_path, TINY, name="a")
    with pytest.raises(TrainingError, match="There is no training"):
        jobs.find(name)


def test_a_damaged_run_is_listed_with_what_is_wrong(jobs: Jobs, idle: list[list[str]], tmp_path: Path) -> None:
    run = jobs.start(tmp_path, TINY, name="a")
    (run.path / "config.json").write_text("{")
    (found,) = jobs.list()
    assert isinstance(found, DamagedRun) and "damaged" in found.problem
    jobs.discard(run.path.name)
    assert jobs.list() == ()


def refuse(path: object, *_arguments: object) -> None:
    raise PermissionError(errno.EACCES, "Permission denied", str(path))


def close(monkeypatch: pytest.MonkeyPatch, *places: Path) -> None:
    """These files may not be opened, these folders not be entered. Real permissions would not do: they do not bind root."""
    closed = set(places)

    def guarded(real: Callable[..., Any]) -> Callable[..., Any]:
        def guard(path: Any, *arguments: Any, **options: Any) -> Any:
            if isinstance(path, str | Path) and closed & ({*Path(path).parents} if real is stat else {Path(path), *Path(path).parents}):
                refuse(path)
            return real(path, *arguments, **options)

        return guard

    stat = os.stat
    for module, name in ((os, "stat"), (os, "open"), (io, "open")):
        monkeypatch.setattr(module, name, guarded(getattr(module, name)))


def test_what_may_not_be_read_among_the_runs_does_not_hide_the_others(
    jobs: Jobs, idle: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, header, lock, whole = (jobs.start(tmp_path, TINY, name=name) for name in "abcd")
    lock.write_status("running")
    (lock.path / "alive.lock").touch()
    close(monkeypatch, folder.path, header.path / "config.json", lock.path / "alive.lock")
    found = jobs.list()
    assert [one.path for one in found] == [whole.path, lock.path, header.path]
    assert isinstance(found[0], RunDir)
    for damaged, file in zip(found[1:], ("alive.lock", "config.json"), strict=True):
        assert isinstance(damaged, DamagedRun) and file in damaged.problem and "Permission denied" in damaged.problem
    with pytest.raises(TrainingError, match="There is no training"):
        jobs.find(folder.path.name)


@pytest.mark.parametrize("closed", ["a neighbour", "a neighbour's lock", "the place", "a link to itself"])
def test_a_training_begins_beside_what_cannot_be_read(
    jobs: Jobs, idle: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, closed: str
) -> None:
    other, run = (jobs.start(tmp_path, TINY, name=name) for name in "ab")
    other.write_status("queued")
    (other.path / "alive.lock").touch()
    with run.hold():
        if closed == "the place":
            monkeypatch.setattr(Path, "iterdir", refuse)
        elif closed == "a link to itself":
            (jobs.place / "loop").symlink_to(jobs.place / "loop")
        else:
            close(monkeypatch, other.path if closed == "a neighbour" else other.path / "alive.lock")
        with device_turn(run, "auto", lambda: False) as free:
            assert free


def test_two_starts_at_the_same_time_get_two_folders(jobs: Jobs, idle: list[list[str]], tmp_path: Path) -> None:
    threads = [threading.Thread(target=Jobs(jobs.place).start, args=[tmp_path, TINY], kwargs={"name": "same"}) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    names = {run.path.name[:4] for run in jobs.list()}
    assert len(names) == 8


def test_what_is_discarded_comes_back(jobs: Jobs, idle: list[list[str]], tmp_path: Path) -> None:
    run = jobs.start(tmp_path, TINY, name="a")
    jobs.discard("0001-a")
    assert jobs.list() == ()
    assert jobs.start(tmp_path, TINY, name="b").path.name == "0002-b", "the number stays taken for the undo"
    assert jobs.restore("0001-a").path == run.path
    with pytest.raises(TrainingError, match="no discarded"):
        jobs.restore("0001-a")
    jobs.discard("0001-a")
    jobs.shelf.empty_trash(older_than=3600)
    assert (jobs.place / ".trash" / "0001-a").is_dir()
    jobs.shelf.empty_trash(older_than=-1)
    with pytest.raises(TrainingError, match="no discarded"):
        jobs.restore("0001-a")


def test_the_days_until_a_discarded_run_is_deleted_count_from_the_discarding(jobs: Jobs, idle: list[list[str]], tmp_path: Path) -> None:
    run, days = jobs.start(tmp_path, TINY, name="a"), 86_400.0
    os.utime(run.path, (time.time() - 40 * days, time.time() - 40 * days))
    jobs.discard("0001-a")
    jobs.shelf.empty_trash(older_than=30 * days)
    assert jobs.restore("0001-a").path == run.path


def test_a_job_at_work_is_neither_discarded_nor_started_twice(jobs: Jobs, idle: list[list[str]], tmp_path: Path) -> None:
    run = jobs.start(tmp_path, TINY, name="a")
    with run.hold():
        for forbidden in (jobs.discard, jobs.resume):
            with pytest.raises(TrainingError, match="at work"):
                forbidden("0001-a")
    run.write_status("done")
    with pytest.raises(TrainingError, match="nothing to go on with"):
        jobs.resume("0001-a")


def test_a_job_that_never_began_reads_as_interrupted_after_a_while(
    jobs: Jobs, idle: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = jobs.start(tmp_path, TINY, name="a")
    assert run.status().state == "created"
    monkeypatch.setattr("panda_core.run_status.LAUNCH_GRACE", -1.0)
    status = run.status()
    assert status.state == "interrupted" and "never began" in status.detail


def test_a_job_that_does_not_stop_is_killed_within_five_seconds(jobs: Jobs, idle: list[list[str]], tmp_path: Path) -> None:
    run = jobs.start(tmp_path, TINY, name="a")
    worker = subprocess.Popen([sys.executable, "-c", STUBBORN, str(run.path)], stdout=subprocess.PIPE, text=True)
    assert worker.stdout is not None and worker.stdout.readline() == "held\n"
    assert run.holder() == worker.pid
    started = time.monotonic()
    jobs.cancel("0001-a")
    wait_for(lambda: run.status().state == "stopped" and not run.cancelled(), seconds=30)
    assert worker.wait(10) != 0 and time.monotonic() - started < 6.0
    assert run.holder() is None and (run.status().state, run.status().step) == ("stopped", 3)
    worker.stdout.close()


@pytest.mark.parametrize("step, seconds", [(None, 4.0), (0.2, 4.4), (5.0, 14.0), (600.0, 30.0)])
def test_a_training_of_slow_steps_gets_the_time_to_end_one(
    jobs: Jobs, idle: list[list[str]], tmp_path: Path, step: float | None, seconds: float
) -> None:
    run = jobs.start(tmp_path, TINY, name="a")
    if step is not None:
        run.record({"event": "step", "step": 1, "seconds": step})
    run.record({"event": "resources", "cpu": 99.0})
    assert jobs_module._patience(run) == pytest.approx(seconds)


def test_a_process_number_is_believed_only_while_the_lock_is_held(jobs: Jobs, idle: list[list[str]], tmp_path: Path) -> None:
    run = jobs.start(tmp_path, TINY, name="a")
    (run.path / "pid").write_text(str(os.getpid()))
    assert run.holder() is None


def test_trainings_take_turns_in_the_order_they_were_asked_for(jobs: Jobs, idle: list[list[str]], tmp_path: Path) -> None:
    order: list[str] = []
    first_in, go = threading.Event(), threading.Event()

    def train(run: RunDir) -> None:
        with run.hold(), device_turn(run, "auto", run.cancelled) as free:
            assert free
            order.append(run.name)
            first_in.set()
            assert go.wait(30)

    runs = [jobs.start(tmp_path, TINY, name=name) for name in "abc"]
    threads = [threading.Thread(target=train, args=[run]) for run in (runs[0], runs[2], runs[1])]
    threads[0].start()
    assert first_in.wait(10)
    for thread, run in zip(threads[1:], (runs[2], runs[1]), strict=True):
        thread.start()
        wait_for(lambda run=run: run.status().state == "queued")  # type: ignore[misc]
    go.set()
    for thread in threads:
        thread.join(30)
    assert order == ["a", "b", "c"]


def test_a_queued_job_that_is_told_to_stop_leaves_the_queue(jobs: Jobs, idle: list[list[str]], tmp_path: Path) -> None:
    first, second = (jobs.start(tmp_path, TINY, name=name) for name in "ab")
    asked = threading.Event()
    with first.hold(), device_turn(first, "auto", lambda: False) as free:
        assert free
        threading.Timer(0.3, asked.set).start()
        with second.hold(), device_turn(second, "auto", asked.is_set) as turn:
            assert not turn and second.status().state == "queued"


def test_what_times_out_within_a_turn_is_no_reason_to_wait_again(jobs: Jobs, idle: list[list[str]], tmp_path: Path) -> None:
    run = jobs.start(tmp_path, TINY, name="a")
    with run.hold():
        with pytest.raises(Timeout), device_turn(run, "auto", lambda: False):
            raise Timeout("of another lock")
        with device_turn(run, "auto", lambda: False) as free:
            assert free, "the turn ended with the error"


def test_a_second_gpu_is_another_device() -> None:
    assert [device_name(name) for name in ("auto", "cpu", "mps", "cuda", "cuda:0", "cuda:1")] == ["0", "0", "0", "0", "0", "1"]


@pytest.mark.slow
def test_a_real_job_outlives_the_program_that_started_it(jobs: Jobs, toy_folder: Path) -> None:
    script = (
        "import pathlib, sys, time\nfrom panda_core.jobs import Jobs\nfrom panda_core.presets import preset\n"
        "run = Jobs(pathlib.Path(sys.argv[1])).start(sys.argv[2], preset('tiny'), name='first')\n"
        "print(run.path.name, flush=True)\ntime.sleep(60)\n"
    )
    server = subprocess.Popen([sys.executable, "-c", script, str(jobs.place), str(toy_folder)], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    name = server.stdout.readline().strip()
    server.kill()
    server.wait()
    server.stdout.close()
    second = jobs.start(toy_folder, TINY, name="second")
    run = jobs.find(name)
    wait_for(lambda: run.status().over and second.status().over, seconds=180)
    assert (run.status().state, second.status().state) == ("done", "done"), run.log_path.read_text()
    assert (run.model_path / "card.json").is_file()
    spans = sorted((one.events()[0]["time"], one.events()[-1]["time"]) for one in (run, second))
    assert spans[0][1] <= spans[1][0], "one waited for the device"


@pytest.mark.slow
def test_a_real_job_that_fails_says_why_and_leaves_no_model(jobs: Jobs, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    run = jobs.start(tmp_path / "empty", TINY, name="nothing")
    wait_for(lambda: run.status().over, seconds=120)
    status = run.status()
    assert status.state == "failed" and "no normal images" in status.detail
    assert not run.model_path.exists()
    wait_for(lambda: "no normal images" in run.log_path.read_text())  # the status is written first


def test_where_the_home_folder_cannot_be_written_nobody_waits(
    jobs: Jobs, idle: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = jobs.start(tmp_path, TINY, name="a")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PANDA_HOME", str(tmp_path / "file"))
    with run.hold(), device_turn(run, "auto", lambda: False) as free:
        assert free
    with run.hold(), device_turn(run, "auto", lambda: True) as free:
        assert not free
