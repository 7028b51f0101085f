"""The run directory: a lock tells the living from the dead, readers never see half a file, one process trains."""

from __future__ import annotations

import errno
import json
import os
import pickle
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from panda_core import runs
from panda_core.errors import TrainingError
from panda_core.events import EventReader
from panda_core.presets import preset
from panda_core.run_status import RunStatus
from panda_core.runs import RunDir

HOLD_AND_WAIT = """
import sys, time
from panda_core.runs import RunDir
run = RunDir.open(sys.argv[1])
with run.hold():
    run.write_status("running", step=3, total=10)
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return RunDir.create(tmp_path / "first", preset("tiny"), tmp_path / "data", name="Jürgen's parts")


@pytest.fixture
def worker(run: RunDir) -> subprocess.Popen[str]:
    """Another process that holds the run's lock."""
    process = subprocess.Popen([sys.executable, "-c", HOLD_AND_WAIT, str(run.path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    yield process  # type: ignore[misc]
    process.kill()
    process.wait()
    process.stdout.close()


def test_opening_gives_back_what_was_created(run: RunDir) -> None:
    again = RunDir.open(run.path)
    assert (again.config, again.data, again.name, again.path) == (run.config, run.data, "Jürgen's parts", run.path)
    assert again.status().state == "created"


def test_the_header_says_when_and_by_which_version(run: RunDir) -> None:
    header = json.loads((run.path / "config.json").read_text(encoding="utf-8"))
    assert header["created"] > 0 and header["version"]


def test_a_folder_with_a_run_is_refused_and_left_alone(run: RunDir, tmp_path: Path) -> None:
    before = (run.path / "config.json").read_bytes()
    with pytest.raises(TrainingError, match="already holds a run"):
        RunDir.create(run.path, preset("paper"), tmp_path)
    assert (run.path / "config.json").read_bytes() == before


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainingError, match="cannot be made a run folder"):
        RunDir.create(tmp_path / "file", preset("tiny"), tmp_path)


def test_a_run_that_failed_before_it_read_its_data_may_be_made_again(run: RunDir, tmp_path: Path) -> None:
    run.write_status("failed", detail="no such folder")
    again = RunDir.create(run.path, preset("tiny"), tmp_path / "right")
    assert again.data == tmp_path / "right" and again.status().state == "created"
    again.record({"event": "data"})
    again.write_status("failed", detail="loss is nan")
    with pytest.raises(TrainingError, match="already holds a run"):
        RunDir.create(run.path, preset("tiny"), tmp_path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "holds no run"),
        ("{", "damaged"),
        ("[]", "list where an object"),
        ("{}", "'config' is missing"),
        ('{"config": {"sise": 3}, "data": "", "name": ""}', "no field 'sise'"),
        ('{"config": {}, "data": 3, "name": ""}', "not of a run of ours"),
    ],
)
def test_a_foreign_or_damaged_folder_is_named(tmp_path: Path, content: str | None, words: str) -> None:
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    with pytest.raises(TrainingError, match=words):
        RunDir.open(tmp_path)


def test_events_come_back_in_order_with_a_time(run: RunDir) -> None:
    for step in range(5):
        run.record({"event": "step", "step": step})
    assert [event["step"] for event in run.events()] == list(range(5))
    times = [event["time"] for event in run.events()]
    assert times == sorted(times)


def test_a_number_that_is_not_finite_is_recorded_as_null(run: RunDir) -> None:
    run.record({"loss": float("nan"), "terms": [float("inf"), 1.0]})
    event = run.events()[0]
    assert event["loss"] is None and event["terms"] == [None, 1.0]


def test_a_file_name_that_is_no_unicode_survives_in_the_header_and_is_shown_with_a_question_mark(tmp_path: Path) -> None:
    name = os.fsdecode(b"Pr\xfcf")
    run = RunDir.create(tmp_path / "run", preset("tiny"), tmp_path / name, parent=tmp_path / f"ä{name}", name=name)
    again = RunDir.open(run.path)
    assert (again.data, again.parent, again.name) == (tmp_path / name, tmp_path / f"ä{name}", name)
    run.write_status("failed", detail=f"{name} is empty.")
    run.record({"event": "problem", "path": f"{name}.png", "more": [name]})
    (event,) = again.events()
    assert (again.status().detail, event["path"], event["more"]) == ("Pr?f is empty.", "Pr?f.png", ["Pr?f"])


def test_a_torn_last_line_is_left_out_and_never_glued_to_the_next(run: RunDir) -> None:
    run.record({"step": 1})
    with run.events_path.open("ab") as file:
        file.write(b'{"time": 1, "ste')
    assert [event["step"] for event in run.events()] == [1]
    RunDir.open(run.path).record({"step": 2})
    assert [event["step"] for event in run.events()] == [1, 2]


@pytest.mark.parametrize("damage", [b"oops", b"\0" * 512, b"7", b'{"step": "\xff"}'], ids=["text", "zeros", "no-object", "no-unicode"])
def test_a_damaged_line_is_left_out_and_said_and_no_event_is_read_twice(
    run: RunDir, damage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    run.record({"step": 1})
    with run.events_path.open("ab") as file:
        file.write(damage + b"\n")
    run.record({"step": 2})
    reader = EventReader(run.events_path)
    assert (reader.read(), reader.read()) == (2, 0)
    run.record({"step": 3})
    assert (reader.read(), reader.read()) == (1, 0)
    assert [event["step"] for event in reader.events] == [1, 2, 3] == [event["step"] for event in run.events()]
    assert len([said for said in caplog.messages if str(run.events_path) in said]) == 2, "each reader says it once"


def test_step_and_total_stay_until_they_are_written_again(run: RunDir) -> None:
    run.write_status("queued", step=2, total=9, stage="train")
    run.write_status("stopped", detail="Asked to.")
    status = run.status()
    assert (status.state, status.detail, status.step, status.total) == ("stopped", "Asked to.", 2, 9)
    assert status.over and not status.fields and status.updated > 0


def test_a_reader_never_sees_a_torn_status(run: RunDir) -> None:
    seen: list[RunStatus] = []
    over = threading.Event()

    def read() -> None:
        other = RunDir.open(run.path)
        while not over.is_set():
            seen.append(other.status())

    reader = threading.Thread(target=read)
    reader.start()
    with run.hold():
        for step in range(200):
            run.write_status("running", detail="x" * (step * 37 % 500), step=step, total=step)
    over.set()
    reader.join()
    assert seen and all(status.step == status.total for status in seen)
    assert not [path.name for path in run.path.iterdir() if path.name.startswith(".status")]


def test_a_failed_write_leaves_the_old_status_and_no_litter(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("disk full")

    before = sorted(run.path.iterdir())
    monkeypatch.setattr(runs.os, "replace", refuse)
    with pytest.raises(OSError, match="disk full"):
        run.write_status("done")
    assert run.status().state == "created" and sorted(run.path.iterdir()) == before


def test_a_killed_worker_reads_as_interrupted_and_the_run_can_be_taken_over(run: RunDir, worker: subprocess.Popen[str]) -> None:
    assert run.alive() and run.status().state == "running"
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()
    status = run.status()
    assert (status.state, status.step, status.total) == ("interrupted", 3, 10) and status.over
    with run.hold():
        assert run.status().state == "running"


def test_a_worker_killed_because_it_did_not_stop_reads_as_stopped(run: RunDir, worker: subprocess.Popen[str]) -> None:
    run.cancel()
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()
    status = run.status()
    assert (status.state, status.detail, status.step) == ("stopped", runs.KILLED, 3)


def test_a_second_worker_is_refused(run: RunDir, worker: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "LOCK_TIMEOUT", 0.2)
    with pytest.raises(TrainingError, match="Another process trains"), RunDir.open(run.path).hold():
        pass
    assert worker.poll() is None


def test_readers_do_not_keep_a_worker_out(run: RunDir) -> None:
    run.write_status("running")
    over = threading.Event()

    def probe() -> None:
        other = RunDir.open(run.path)
        while not over.is_set():
            other.alive()

    readers = [threading.Thread(target=probe) for _ in range(2)]
    for reader in readers:
        reader.start()
    try:
        for _ in range(20):
            with RunDir.open(run.path).hold():
                pass
    finally:
        over.set()
        for reader in readers:
            reader.join()


def test_holding_may_be_nested(run: RunDir) -> None:
    with run.hold():
        with run.hold():
            pass
        assert run.alive()
    assert not run.alive()


def test_a_request_to_stop_is_seen_by_all_and_met_by_letting_go(run: RunDir) -> None:
    other = RunDir.open(run.path)
    other.cancel()
    with run.hold():
        assert run.cancelled()
        with run.hold():
            pass
        assert run.cancelled()
    assert not run.cancelled() and not other.cancelled()


def test_an_unknown_state_on_disk_is_an_error_that_lists_the_known_ones(run: RunDir) -> None:
    status = run.path / "status.json"
    status.write_text(status.read_text().replace("created", "sleeping"))
    with pytest.raises(TrainingError, match=r"'sleeping'.*interrupted"):
        run.status()


def test_pickling_keeps_the_place_not_the_lock(run: RunDir) -> None:
    with run.hold():
        copy = pickle.loads(pickle.dumps(run))
    assert copy.path == run.path and copy.config == run.config


def test_of_several_that_make_a_run_in_one_folder_at_once_one_does(tmp_path: Path) -> None:
    for number in range(8):
        start, made = threading.Barrier(4), []

        def make(seed: int, folder: Path = tmp_path / str(number), start: threading.Barrier = start, made: list[int] = made) -> None:
            start.wait()
            with suppress(TrainingError):
                RunDir.create(folder, preset("tiny").override(**{"train.seed": seed}), tmp_path)
                made.append(seed)

        threads = [threading.Thread(target=make, args=(seed,)) for seed in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(made) == 1 and RunDir.open(tmp_path / str(number)).config.train.seed == made[0]


def test_a_run_folder_that_cannot_be_written_is_said_in_a_sentence(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(run.path / "alive.lock"))

    monkeypatch.setattr("filelock.FileLock.acquire", refuse)
    with pytest.raises(TrainingError, match=r"cannot be written \(Permission denied\)"), run.hold():
        pass


def test_who_is_refused_a_folder_leaves_a_request_to_stop_alone(run: RunDir, tmp_path: Path) -> None:
    run.cancel()
    with pytest.raises(TrainingError, match="already holds a run"):
        RunDir.create(run.path, preset("tiny"), tmp_path)
    assert run.cancelled() and not (run.path / "pid").exists()
