"""SIGTERM and SIGINT as a request to stop, which a training meets when it can."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def stop_signals(on_signal: Callable[[], None] = lambda: None) -> Iterator[Callable[[], bool]]:
    """Yields whether a signal has come; a second SIGINT ends at once. Only in the main thread: elsewhere nothing is caught."""
    asked: list[int] = []

    def ask(number: int, frame: object) -> None:
        if asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        asked.append(number)
        on_signal()

    try:
        before = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
    except ValueError:  # not the main thread: the caller stops us by the cancel file
        before = {}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
