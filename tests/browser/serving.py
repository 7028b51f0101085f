"""Programs that serve a page, each in a process of its own, forked from one that has imported torch and Gradio already.

Starting Python anew for each of them would double the time of the browser tests; ``fresh`` does it where the start itself is tested.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOUBLE = Path(__file__).parent / "serve_double.py"
IMPORTED = ["panda_core.ui.page", "panda_core.ui.mounting", "panda_core.ui.server", "panda_core.inspector", "engine_double"]


class Served:
    """A page in a process of its own, over the double unless ``script`` says otherwise; ``url`` answers from the first moment."""

    def __init__(self, *arguments: str, script: Path = DOUBLE, fresh: bool = False, **variables: str) -> None:
        paths = os.pathsep.join((str(ROOT), str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")))
        ours, theirs = socket.socketpair()
        start = _start_anew if fresh else _fork
        self._process = start(theirs, script, arguments, {**os.environ, "PYTHONPATH": paths, **variables})
        theirs.close()
        self._lines = ours.makefile("rw", encoding="utf-8")
        ours.close()
        self.url = self._lines.readline().split()[2] + "/"

    def await_page(self, seconds: float = 120.0) -> None:
        """Until the page is built: before, programs are told 503. A browser waits by itself."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                with urllib.request.urlopen(f"{self.url}config"):
                    return
            except urllib.error.HTTPError as error:
                if error.code != 503 or time.monotonic() > deadline:
                    raise
            time.sleep(0.1)

    def open_gate(self) -> None:
        """Let the next waiting part go on."""
        self._lines.write("\n")
        self._lines.flush()

    def close(self) -> int | None:
        """Interrupt it as a person would; returns its exit status, None where it had to be killed."""
        assert self._process.pid is not None
        os.kill(self._process.pid, signal.SIGINT)
        try:
            return self._wait(20)
        finally:
            self._lines.close()

    def _wait(self, seconds: float) -> int | None:
        process = self._process
        if isinstance(process, subprocess.Popen):
            try:
                return process.wait(seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                return None
        process.join(seconds)
        if (status := process.exitcode) is None:
            process.kill()
        return status


Arguments = tuple[str, ...]
Process = subprocess.Popen[bytes] | multiprocessing.process.BaseProcess


def _start_anew(ends: socket.socket, script: Path, arguments: Arguments, environment: Mapping[str, str]) -> Process:
    return subprocess.Popen([sys.executable, str(script), *arguments], stdin=ends, stdout=ends, env=dict(environment))


def _fork(ends: socket.socket, script: Path, arguments: Arguments, environment: Mapping[str, str]) -> Process:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(IMPORTED)
    process = context.Process(target=_run, args=(ends, script, arguments, dict(environment)), daemon=True)
    process.start()
    return process


def _run(ends: socket.socket, script: Path, arguments: Arguments, environment: Mapping[str, str]) -> None:
    """Be the program ``script``, with the socket as its standard input and output."""
    os.dup2(ends.fileno(), 0)
    os.dup2(ends.fileno(), 1)
    ends.close()
    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = None  # asked anew: TMPDIR may be another one
    sys.argv = [str(script), *arguments]
    sys.path.insert(0, str(script.parent))
    with open(0, encoding="utf-8", closefd=False) as sys.stdin, open(1, "w", encoding="utf-8", buffering=1, closefd=False) as sys.stdout:
        try:
            runpy.run_path(str(script), run_name="__main__")
        finally:
            atexit._run_exitfuncs()  # multiprocessing ends its processes without them
