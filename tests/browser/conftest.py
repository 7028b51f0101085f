"""A served page and a Chromium to look at it. Tests are skipped, with the reason, where no Chromium is installed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A running browser."""
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        pytest.skip("no chromium, chromium-browser or google-chrome on the PATH: install one to run the browser tests")
    playwright = pytest.importorskip("playwright.sync_api", reason="the Python package playwright is not installed")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=list(FLAGS))
        yield browser
        browser.close()


class Served:
    """A page in a process of its own; ``url`` answers from the first moment. ``gates`` as in serve_double.py."""

    def __init__(self, *gates: str) -> None:
        here = Path(__file__).parent
        paths = os.pathsep.join((str(here.parents[1]), str(here.parent), os.environ.get("PYTHONPATH", "")))
        self._process = subprocess.Popen(
            [sys.executable, str(here / "serve_double.py"), *gates],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": paths},
        )
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().split()[2] + "/"

    def open_gate(self) -> None:
        """Let the next waiting part go on."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def close(self) -> int:
        """Interrupt it as a person would; returns its exit status."""
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
        return self._process.returncode


@pytest.fixture
def serve() -> Iterator[Callable[..., Served]]:
    """``serve(*gates)`` -> Served, closed after the test."""
    running: list[Served] = []

    def start(*gates: str) -> Served:
        running.append(Served(*gates))
        return running[-1]

    yield start
    assert [served.close() for served in running] == [0] * len(running)


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    """One page for all tests that only visit it."""
    running = Served()
    yield running
    running.close()
