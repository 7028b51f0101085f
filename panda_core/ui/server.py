"""Opens the port at once with a small waiting page, builds the real one in a thread, and swaps it in.

Importing Gradio takes seconds, torch more: a person who starts the program sees it answer in a fraction of one. Torch is loaded
last, when the page is already up. This module imports neither.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

from panda_core.errors import PandaError

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Build = Callable[[], Any]

log = logging.getLogger(__name__)
SPLASH = (Path(__file__).parent / "splash.html").read_bytes()
WARM_AFTER = 5.0
"""Seconds from the page standing ready to loading torch, if nobody opens it before (opening it loads torch, too): the two would
fight for the processor just when the browser asks for the page's files."""
DAY = 86_400.0
"""Seconds between two looks for what has been kept long enough: a server may run for months."""
READY_HEADER = (b"x-panda-ready", b"no")


class PortError(PandaError):
    """The address cannot be listened on: taken, or not ours."""


class Doorman:
    """ASGI application: the waiting page until ``build()`` has returned the real application, then that one.

    ``build`` runs in a thread; the built application's own start-up and shut-down run on the server's loop.
    If building fails, ``failure`` keeps the exception and ``on_failure`` is called.
    """

    def __init__(self, build: Build, *, on_failure: Callable[[], None]) -> None:
        self._build, self._on_failure = build, on_failure
        self._application: Any = None
        self._stop = asyncio.Event()
        self.failure: BaseException | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI connection."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif self._application is not None:
            await self._application(scope, receive, send)
        elif scope["type"] == "http":
            await _answer_waiting(scope, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        task = asyncio.create_task(self._run())
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self._stop.set()
        await task
        await send({"type": "lifespan.shutdown.complete"})

    async def _run(self) -> None:
        try:
            application = await asyncio.to_thread(self._build)
            async with application.router.lifespan_context(application):
                self._application = application
                await self._stop.wait()
        except Exception as error:
            self.failure = error
            self._on_failure()


async def _answer_waiting(scope: Scope, send: Send) -> None:
    page = scope["path"] == "/"
    headers = [(b"content-type", b"text/html; charset=utf-8"), (b"cache-control", b"no-store"), (b"retry-after", b"1"), READY_HEADER]
    await send({"type": "http.response.start", "status": 200 if page else 503, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else SPLASH if page else b"Starting."})


def bind(host: str, port: int) -> socket.socket:
    """A listening socket. Raises PortError, which says what to do."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    if os.name == "posix":
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen()
    except OSError as error:
        listener.close()
        raise PortError(
            f"Cannot listen on {host}:{port}: {error.strerror or error}. Choose another with --port, or stop what uses it."
        ) from error
    return listener


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the person who starts the app decides."""

    device: str = "auto"
    model: str | None = None
    """Name or folder of the model to show first."""
    examples: Path
    roots: tuple[Path, ...] | None = None
    """Folders of this machine that the page may read; None: the person's home and the working folder."""
    remember: bool = True
    """Whether inspections are kept in the history."""
    mcp: bool = False


def build_application(settings: Settings) -> Any:
    """The real application; imports Gradio. Torch follows in a thread of its own once the page is up."""
    from panda_core.ui.quick_import import import_gradio

    import_gradio()
    from fastapi import FastAPI

    from panda_core.history import History
    from panda_core.jobs import Jobs
    from panda_core.own_models import KEPT_SECONDS, empty_trash
    from panda_core.searches import Searches
    from panda_core.ui.engine import LocalEngine
    from panda_core.ui.mounting import mount
    from panda_core.ui.page import build_page, find_examples

    engine = LocalEngine(device=settings.device, model=settings.model)
    history = History() if settings.remember else None

    def tidy() -> None:
        """Whatever has been kept long enough goes."""
        if history is not None:
            history.apply_retention()
        empty_trash()
        for kept in (Jobs(), Searches()):
            kept.shelf.empty_trash(older_than=KEPT_SECONDS)

    tidy()
    repeat(tidy, every=DAY)
    page = build_page(engine, examples=find_examples(settings.examples), history=history, roots=settings.roots)
    application = mount(FastAPI(openapi_url=None), page, history=history, mcp=settings.mcp)
    warming = threading.Timer(WARM_AFTER, engine.warm)
    warming.daemon = True
    warming.start()
    return application


def repeat(work: Callable[[], None], *, every: float) -> None:
    """Do ``work`` after each ``every`` seconds, whatever went wrong the last time, in threads that end with the program."""

    def go_on() -> None:
        try:
            work()
        except Exception:
            log.exception("What is done every %.0f hours failed", every / 3600)
        repeat(work, every=every)

    timer = threading.Timer(every, go_on)
    timer.daemon = True  # so that it never keeps the program from ending
    timer.start()


def serve(build: Build, *, host: str, port: int) -> int:
    """Serve until interrupted; returns the exit status. Raises PortError before anything is loaded."""
    listener = bind(host, port)
    shown = "127.0.0.1" if host in ("0.0.0.0", "::") else host
    print(f"PANDA Inspector: http://{f'[{shown}]' if ':' in shown else shown}:{listener.getsockname()[1]}  (Ctrl+C stops it)", flush=True)
    logging.getLogger("uvicorn.error").addFilter(_not_cancelled)
    try:
        return _serve(build, listener)
    except KeyboardInterrupt:
        return 0


def _not_cancelled(record: logging.LogRecord) -> bool:
    """Open pages keep a connection that stopping cuts; that is no error worth a report."""
    cut = record.exc_info is not None and isinstance(record.exc_info[1], asyncio.CancelledError)
    return not (cut or record.getMessage().startswith("Cancel "))


def _serve(build: Build, listener: socket.socket) -> int:
    def stop() -> None:
        server.should_exit = True

    doorman = Doorman(build, on_failure=stop)
    server = uvicorn.Server(uvicorn.Config(doorman, log_level="warning", lifespan="on", timeout_graceful_shutdown=1))
    server.run(sockets=[listener])
    if doorman.failure is None:
        return 0
    if isinstance(doorman.failure, PandaError):
        print(doorman.failure, file=sys.stderr)
        return 2
    log.error("The page could not be built.", exc_info=doorman.failure)
    return 1
