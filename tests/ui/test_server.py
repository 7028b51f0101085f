"""What the server does beside serving."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from panda_core.errors import PandaError
from panda_core.history import History
from panda_core.ui import server


@pytest.fixture
def timers(monkeypatch: pytest.MonkeyPatch) -> list[threading.Timer]:
    """The timers that are set, instead of running."""
    made: list[threading.Timer] = []
    monkeypatch.setattr(threading.Timer, "start", lambda timer: made.append(timer))
    return made


def test_what_is_repeated_goes_on_after_a_failure_and_keeps_no_program_from_ending(
    timers: list[threading.Timer], caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[None] = []

    def work() -> None:
        calls.append(None)
        if len(calls) == 1:
            raise PandaError("The disk is full.")

    server.repeat(work, every=server.DAY)
    for number in (1, 2):
        timer = timers[-1]
        assert timer.daemon and timer.interval == 86_400
        timer.function(*timer.args, **timer.kwargs)
        assert (len(calls), len(timers)) == (number, number + 1)
    assert "The disk is full." in caplog.text


def test_a_server_that_runs_for_long_applies_the_retention_every_day(
    timers: list[threading.Timer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    applied: list[History] = []
    monkeypatch.setenv("PANDA_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(History, "apply_retention", lambda history: applied.append(history))

    async def build() -> None:
        """Within a running loop: without one Gradio makes several of its own and leaves them open."""
        server.build_application(server.Settings(examples=tmp_path))

    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, build()).result()
    (daily,) = [timer for timer in timers if timer.interval == server.DAY]
    assert len(applied) == 1 and daily.daemon
    daily.function(*daily.args, **daily.kwargs)
    assert len(applied) == 2
    applied[0].close()
