"""Importing Gradio in half the time, before any other module of the page does.

Gradio 6 writes a stub file beside the source of each of its components on every import: it parses that source, renders a template and
compares, which is 40 % of the time until the page stands and fails silently where packages are read-only. Stubs are for editors; nobody
reads them while the app runs.
"""

from __future__ import annotations

import gc
import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def import_gradio() -> None:
    """Import Gradio without its stub files; harmless to repeat."""
    with _no_stubs(), _no_collection():
        import gradio  # noqa: F401


@contextmanager
def _no_stubs() -> Iterator[None]:
    """Gradio leaves a component alone whose source cannot be found; for this moment none can."""

    def hide(thing: Any) -> str:
        if isinstance(thing, type) and thing.__module__.startswith("gradio."):
            raise OSError("no stub wanted")
        return find(thing)

    find = inspect.getfile
    inspect.getfile = hide  # type: ignore[assignment]  # for as long as one import takes
    try:
        yield
    finally:
        inspect.getfile = find


@contextmanager
def _no_collection() -> Iterator[None]:
    """Imports make hundreds of thousands of objects that stay: looking through them for garbage again and again finds none."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.freeze()
