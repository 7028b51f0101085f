"""Serves the page over the engine double in a process of its own, as app.py does over the real engine.

Usage: python serve_double.py [GATE...] [slow] [examples=FOLDER]  where a gate is ``page`` or ``engine``: that part waits until a line
arrives on standard input. ``slow``: an inspection takes a second.
"""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from typing import Any

from engine_double import LEAF, FakeEngine

from panda_core.inspection import Inspection
from panda_core.ui.server import serve

GATES = sys.argv[1:]
SECONDS = 1.0 if "slow" in GATES else 0.0


class PatientEngine(FakeEngine):
    """The double, but it may take its time."""

    def inspect(self, model: str, path: Path) -> Inspection:
        time.sleep(SECONDS)
        return super().inspect(model, path)


def build() -> Any:
    """The application, once its gate is open."""
    from fastapi import FastAPI

    from panda_core.ui.mounting import mount
    from panda_core.ui.page import build_page, find_examples

    if "page" in GATES:
        sys.stdin.readline()
    engine = PatientEngine(LEAF, ready="engine" not in GATES)
    if "engine" in GATES:
        threading.Thread(target=lambda: (sys.stdin.readline(), engine.hold.set()), daemon=True).start()
    folder = next((gate.partition("=")[2] for gate in GATES if gate.startswith("examples=")), None)
    return mount(FastAPI(openapi_url=None), build_page(engine, examples=find_examples(Path(folder)) if folder else ()))


sys.exit(serve(build, host="127.0.0.1", port=0))
