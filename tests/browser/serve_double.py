"""Serves the page over the engine double in a process of its own, as app.py does over the real engine.

Usage: python serve_double.py GATE...  where a gate is ``page`` or ``engine``: that part waits until a line arrives on standard input.
"""

from __future__ import annotations

import sys
import threading
from typing import Any

from engine_double import LEAF, FakeEngine

from panda_core.ui.server import serve

GATES = sys.argv[1:]


def build() -> Any:
    """The application, once its gate is open."""
    from fastapi import FastAPI

    from panda_core.ui.mounting import mount
    from panda_core.ui.page import build_page

    if "page" in GATES:
        sys.stdin.readline()
    engine = FakeEngine(LEAF, ready="engine" not in GATES)
    if "engine" in GATES:
        threading.Thread(target=lambda: (sys.stdin.readline(), engine.hold.set()), daemon=True).start()
    return mount(FastAPI(openapi_url=None), build_page(engine))


sys.exit(serve(build, host="127.0.0.1", port=0))
