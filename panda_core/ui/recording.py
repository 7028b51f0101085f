"""What is inspected goes into the history. A history that cannot be written never stops an inspection: it is said once, in the log."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from panda_core.errors import ImageError
from panda_core.history import History, HistoryError, Mark, Source
from panda_core.inspection import Inspection
from panda_core.scoring.decision import decide
from panda_core.ui.engine import Engine, ModelEntry

log = logging.getLogger(__name__)
REMEMBERED = 20_000
"""Inspections whose entry is known without asking the database: those a person may still mark."""
SAME = 0.02
"""Scores that differ by less than this share of the normal scores' spread are of the same look at an image (in bf16 up to half of it)."""
Key = tuple[str, str]


class Recorder:
    """Writes inspections and marks; the same file seen again by the same model with the same score (`SAME`) is the same entry."""

    def __init__(self, history: History, *, ignore: Sequence[Path] = ()) -> None:
        """``ignore``: files that are nobody's work, such as examples. The history's own copies are ignored, too."""
        self.history = history
        self._ignored = {path.resolve() for path in ignore}
        self._entries: OrderedDict[Key, tuple[int, float]] = OrderedDict()
        """(file, model) -> entry of its last inspection, and the score."""
        self._lock = threading.Lock()

    def seen(self, inspection: Inspection, *, source: Source, keep: bool = True) -> None:
        """Remember an inspection with the verdict at the thresholds in use; ``keep``: with a copy of the image, if the setting says so."""
        path = Path(inspection.source)
        key = (inspection.source, inspection.model)
        if (
            self._knows(key, inspection)
            or path.resolve() in self._ignored
            or path.resolve().is_relative_to(self.history.copies.folder.resolve())
        ):
            return
        try:
            entry = self.history.add(inspection, decide(inspection), path=path, source=source, keep=keep)
        except HistoryError:
            log.exception("An inspection is missing in the history")
            return
        with self._lock:
            self._entries.pop(key, None)
            self._entries[key] = (entry, inspection.score)
            while len(self._entries) > REMEMBERED:
                self._entries.popitem(last=False)

    def _knows(self, key: Key, inspection: Inspection) -> bool:
        """Whether this is the inspection that was remembered last: alone or in a batch, a network's numbers differ by a little."""
        known = self._entries.get(key)
        return known is not None and abs(known[1] - inspection.score) <= SAME * float(np.std(inspection.calibration.normal_scores))

    def mark(self, inspection: Inspection, mark: str) -> None:
        """Remember what the person says of an inspection: "normal", "anomalous", or "" (taken back)."""
        self.mark_file(inspection.model, Path(inspection.source), mark)

    def mark_file(self, model: str, path: Path, mark: str) -> None:
        """The same for a file, in the last inspection of it by this model."""
        known = self._entries.get((str(path), model))
        if known is not None:
            self._say(known[0], mark)

    def _say(self, entry: int, mark: str) -> None:
        known: dict[str, Mark] = {"normal": "normal", "anomalous": "anomalous"}
        try:
            if mark in known:
                self.history.mark(entry, known[mark])
            else:
                self.history.unmark(entry)
        except HistoryError:
            log.exception("A mark is missing in the history")


class RecordingEngine:
    """An Engine that passes everything on and remembers single inspections."""

    def __init__(self, engine: Engine, recorder: Recorder, *, source: Source) -> None:
        self._engine, self._recorder, self._source = engine, recorder, source

    @property
    def ready(self) -> bool:
        """As the engine's."""
        return self._engine.ready

    @property
    def device(self) -> str:
        """As the engine's."""
        return self._engine.device

    def warm(self) -> None:
        """As the engine's."""
        self._engine.warm()

    def models(self) -> tuple[ModelEntry, ...]:
        """As the engine's."""
        return self._engine.models()

    def inspect(self, model: str, path: Path) -> Inspection:
        """As the engine's; the inspection is remembered."""
        inspection = self._engine.inspect(model, path)
        self._recorder.seen(inspection, source=self._source)
        return inspection

    def inspect_many(self, model: str, paths: Sequence[Path]) -> Iterator[Inspection | ImageError]:
        """As the engine's; whoever inspects many says himself what is to be remembered."""
        return self._engine.inspect_many(model, paths)

    def save_operating_point(self, model: str, *, boundary: float, pixel_threshold: float, who: str, why: str) -> None:
        """As the engine's."""
        self._engine.save_operating_point(model, boundary=boundary, pixel_threshold=pixel_threshold, who=who, why=why)

    def clear_operating_point(self, model: str) -> None:
        """As the engine's."""
        self._engine.clear_operating_point(model)

    def forget(self, model: str) -> None:
        """As the engine's."""
        self._engine.forget(model)
