"""Whoever waits for the network is served together with the others who wait: a pass over five images takes little over twice one's time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from panda_core.errors import ImageError
from panda_core.inspection import Inspection

Look = Callable[[str, Sequence[Path]], Sequence[Inspection | ImageError]]
"""Model and files -> what they look like, in their order. Called while the network is one's own."""


@dataclass(frozen=True, slots=True, eq=False)
class _Wish:
    model: str
    path: Path
    answer: Future[Inspection] = field(default_factory=Future)


class Together:
    """Single images of several people. The first whose turn it is takes along what has been asked of the same model meanwhile."""

    def __init__(
        self, network: Callable[[], AbstractContextManager[None]], look: Look, fitting: Callable[[Sequence[Path]], Sequence[Path]]
    ) -> None:
        """``network``: one's turn. ``fitting``: the first files of a list that may be seen at once, one at least."""
        self._network, self._look, self._fitting = network, look, fitting
        self._waiting: list[_Wish] = []
        self._lock = threading.Lock()

    def inspect(self, model: str, path: Path) -> Inspection:
        """Wait for the turn, and for the answer. Raises ImageError for this file only, and whatever ``look`` raises."""
        wish = _Wish(model, path)
        with self._lock:
            self._waiting.append(wish)
        with self._network():
            if not wish.answer.done():
                self._answer(self._group(wish))
        return wish.answer.result()

    def _group(self, first: _Wish) -> Sequence[_Wish]:
        with self._lock:
            alike = [first, *(wish for wish in self._waiting if wish.model == first.model and wish is not first)]
            group = alike[: len(self._fitting([wish.path for wish in alike]))]
            self._waiting = [wish for wish in self._waiting if wish not in group]
        return group

    def _answer(self, group: Sequence[_Wish]) -> None:
        try:
            found = self._look(group[0].model, [wish.path for wish in group])
        except Exception as error:
            for wish in group:
                wish.answer.set_exception(error)
            return
        for wish, entry in zip(group, found, strict=True):
            if isinstance(entry, ImageError):
                wish.answer.set_exception(entry)
            else:
                wish.answer.set_result(entry)
