"""Whoever waits for the network is served together with the others who wait: a pass over five images takes little over twice one's time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from pathlib import Path

from panda_core.errors import ImageError
from panda_core.inspection import Inspection

Look = Callable[[str, Sequence[Path]], Sequence[Inspection | ImageError]]
"""Model and files -> what they look like, in their order. Called in the network's thread."""


@dataclass(frozen=True, slots=True, eq=False)
class _Wish:
    model: str
    path: Path
    answer: Future[Inspection] = field(default_factory=Future)


class Together:
    """Single images of several people. The first whose turn it is takes along what has been asked of the same model meanwhile."""

    def __init__(self, network: Executor, look: Look, fitting: Callable[[Sequence[Path]], Sequence[Path]]) -> None:
        """``network``: one thread, in which everything that needs it waits. ``fitting``: the first files of a list, one at least,
        that may be seen at once."""
        self._network, self._look, self._fitting = network, look, fitting
        self._waiting: list[_Wish] = []
        self._lock = threading.Lock()

    def inspect(self, model: str, path: Path) -> Inspection:
        """Wait for the turn, and for the answer. Raises ImageError for this file only, and whatever ``look`` raises."""
        wish = _Wish(model, path)
        with self._lock:
            self._waiting.append(wish)
        self._network.submit(self._serve, wish)
        return wish.answer.result()

    def _serve(self, first: _Wish) -> None:
        if first.answer.done():  # in the company of one who came before
            return
        group = [first]
        try:
            group += self._companions(first)
            found = self._look(first.model, [wish.path for wish in group])
        except Exception as error:
            for wish in group:
                wish.answer.set_exception(error)
            return
        for wish, entry in zip(group, found, strict=True):
            if isinstance(entry, ImageError):
                wish.answer.set_exception(entry)
            else:
                wish.answer.set_result(entry)

    def _companions(self, first: _Wish) -> Sequence[_Wish]:
        with self._lock:
            self._waiting.remove(first)
            alike = [wish for wish in self._waiting if wish.model == first.model]
            group = alike[: len(self._fitting([wish.path for wish in (first, *alike)])) - 1]
            self._waiting = [wish for wish in self._waiting if wish not in group]
        return group
