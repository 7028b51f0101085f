"""What is inspected goes into the history. A history that cannot be written never stops an inspection: it is said once, in the log."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from panda_core.data.depth import Stretch
from panda_core.errors import ImageError, PandaError
from panda_core.history import Entry, History, HistoryError, Mark, Source
from panda_core.history.copies import digest_of
from panda_core.inspection import Inspection, Verdict
from panda_core.origins import Origins
from panda_core.scoring.decision import decide
from panda_core.ui.engine import Engine, ModelEntry

log = logging.getLogger(__name__)
REMEMBERED = 20_000
"""Inspections whose entry is remembered: an image seen again, or marked, finds it."""
SAME = 0.02
"""Scores that differ by less than this share of the normal scores' spread are of the same look at an image (in bf16 up to half of it)."""
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Known:
    """What is remembered of the last inspection of a file by a model."""

    entry: int
    score: float
    verdict: Verdict
    boundary: float

    def looks_like(self, inspection: Inspection) -> bool:
        """Whether the network saw the same: alone or in a batch, its numbers differ by a little."""
        return abs(self.score - inspection.score) <= SAME * float(np.std(inspection.calibration.normal_scores))


class Recorder:
    """Writes inspections and marks.

    The same file seen again by the same model with the same score (`SAME`), verdict and boundary is the same entry, as long as nobody
    has deleted that.
    """

    def __init__(self, history: History, *, ignore: Sequence[Path] = ()) -> None:
        """``ignore``: files that are nobody's work, such as examples. Looking at one of the history's own copies makes no entry, either."""
        self.history = history
        self._ignored = {path.resolve() for path in ignore}
        self._entries: OrderedDict[Key, _Known] = OrderedDict()
        """(file, model) -> its last inspection."""
        self._lock = threading.Lock()

    def seen(self, inspection: Inspection, *, source: Source) -> None:
        """Remember an inspection with the verdict at the thresholds in use, and, if the setting says so, a copy of an image seen alone."""
        path = Path(inspection.source)
        if self._ignores(path) or self._is_copy(path):
            return
        try:
            self._remember(inspection, source)
        except HistoryError:
            log.exception("An inspection is missing in the history")

    def mark(self, inspection: Inspection, mark: str) -> str:
        """Remember what the person says of an inspection: "normal", "anomalous", or "" (taken back). Returns why not; "" if it is."""
        return self._mark(inspection.model, Path(inspection.source), mark, again=lambda: inspection, source="single")

    def mark_file(self, model: str, path: Path, mark: str, *, again: Callable[[], Inspection]) -> str:
        """The same for a file of a batch, in the last inspection of it by this model; ``again`` inspects it where that was deleted."""
        return self._mark(model, path, mark, again=again, source="batch")

    def mark_of(self, inspection: Inspection) -> str:
        """What the person has said of this image to this model, at whatever time: "normal", "anomalous", or "" for nothing."""
        path = Path(inspection.source)
        try:
            entries = [] if self._ignores(path) else self._entries_of(path, inspection.model)
        except HistoryError:
            log.exception("A mark cannot be read")
            return ""
        return (entries[-1].mark or "") if entries else ""

    def _ignores(self, path: Path) -> bool:
        return path.resolve() in self._ignored

    def _is_copy(self, path: Path) -> bool:
        return path.resolve().is_relative_to(self.history.copies.folder.resolve())

    def _entries_of(self, path: Path, model: str) -> list[Entry]:
        """The model's entries of this image as `History.of_image` gives them; none where the file is gone."""
        try:
            digest = path.stem if self._is_copy(path) else digest_of(path)
        except OSError:
            return []
        return self.history.of_image(digest, model)

    def _remember(self, inspection: Inspection, source: Source) -> int:
        """The entry of an inspection: that which is there, else a new one. Raises HistoryError."""
        key = (inspection.source, inspection.model)
        known, decision = self._entries.get(key), decide(inspection)
        same = known is not None and (known.verdict, known.boundary) == (decision.verdict, decision.boundary.value)
        if known is not None and same and known.looks_like(inspection) and self._is_there(known):
            return known.entry
        # A copy of each of thousands of files would double the person's folder without asking.
        entry = self.history.add(inspection, decision, path=Path(inspection.source), source=source, keep=source != "batch")
        with self._lock:
            self._entries.pop(key, None)
            self._entries[key] = _Known(entry, inspection.score, decision.verdict, decision.boundary.value)
            while len(self._entries) > REMEMBERED:
                self._entries.popitem(last=False)
        return entry

    def _is_there(self, known: _Known) -> bool:
        return bool(self.history.entries([known.entry]))

    def _mark(self, model: str, path: Path, mark: str, *, again: Callable[[], Inspection], source: Source) -> str:
        if self._ignores(path):
            return "Examples are not kept, so this mark teaches no model. Open an image of your own."
        marks: dict[str, Mark] = {"normal": "normal", "anomalous": "anomalous"}
        known = self._entries.get((str(path), model))
        try:
            entry = known.entry if known is not None and self._is_there(known) else None
            if mark not in marks:
                marked = {one.id for one in self._entries_of(path, model) if one.mark}
                self.history.unmark(marked if entry is None else marked | {entry})
                return ""
            if entry is None and self._is_copy(path):
                entry = next((one.id for one in reversed(self._entries_of(path, model))), None)
            if entry is None:
                inspection = again()
                if known is not None and not known.looks_like(inspection):
                    raise HistoryError(f"{path} has changed since it was inspected, so the mark is not about what is there now.")
                entry = self._remember(inspection, source)
            self.history.mark(entry, marks[mark])
        except PandaError as error:
            log.exception("A mark is missing in the history")
            return f"Your mark was not kept. {error}"
        return ""


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

    def stretch(self, model: str) -> Stretch:
        """As the engine's."""
        return self._engine.stretch(model)

    def origins(self, model: str) -> Origins:
        """As the engine's."""
        return self._engine.origins(model)

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
