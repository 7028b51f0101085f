"""What the History tab does, without Gradio: requests from the browser answered, and marks given back to the models.

A request comes from whoever can reach the page: every field is checked, and images are named by the ids of their entries only.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

from panda_core.errors import CalibrationError, FolderError, PandaError
from panda_core.history import Entry, History, HistoryError, Mark, Order, Query, Settings, Statistics, intact, present
from panda_core.history.export import file_name
from panda_core.history.records import MarkFilter
from panda_core.inspection import Verdict
from panda_core.own_models import check_name

log = logging.getLogger(__name__)
PAGE = 300
"""Entries sent at once; the table asks for more when it is scrolled."""
AROUND = 500
"""Images before and after the opened one that the viewer can step to."""
THUMBNAILS = "panda-history"
"""Where thumbnails are served, relative to the page."""
MOST_IDS = 1_000_000
"""Entries the page can deal with at once."""
LATEST_TIME = 253_370_764_800_000.0
"""The year 9999 in milliseconds, as browsers count."""
CHOSEN, FEW = 0.25, 2
"""More false alarms than these, as a share of the images marked normal and as a number, look as if they were marked for being so."""
LOST = "their files are gone, changed or unreadable, and no copy was kept"

Calibrate = Callable[[str, list[Path], list[Path], str], str]
"""(model, normal images, anomalous images, name of the new model) -> what to tell the person. Raises PandaError."""


@dataclass(frozen=True, slots=True)
class Opened:
    """Images to step through in the viewer."""

    paths: tuple[Path, ...]
    index: int
    """Of the opened one."""
    entries: tuple[Entry, ...]
    """Of ``paths``: names, models, marks."""


class HistoryDesk:
    """Answers what `assets/history.js` asks, and what the buttons beside it do."""

    def __init__(self, history: History, *, roots: Sequence[Path] = (), on_calibrate: Calibrate | None = None) -> None:
        """``roots``: folders below which training folders may be chosen."""
        self.history, self._on_calibrate = history, on_calibrate
        self._roots = tuple(root.resolve() for root in roots)
        self._verbs: dict[str, Callable[[Mapping[str, Any], str], dict[str, Any]]] = {
            "search": self._search,
            "mark": self._mark,
            "delete": self._delete,
            "delete_found": self._delete_found,
            "restore": self._restore,
        }

    def answer(self, request: Any, *, who: str = "") -> dict[str, Any]:
        """One request {"verb", ...}; the answer, or {"problem": what went wrong and what to do}."""
        verb = self._verbs.get(str(request.get("verb"))) if isinstance(request, Mapping) else None
        if verb is None:
            return {"problem": "The page is older than the program. Reload it."}
        try:
            return verb(request, who)
        except PandaError as error:
            return {"problem": str(error)}
        except Exception:
            log.exception("A request to the history failed")
            return {"problem": "Something is wrong in the program. Its terminal shows the details."}

    def open(self, id: Any, order: Any) -> Opened:
        """The image of entry ``id`` and those around it in ``order`` (ids as shown). Raises HistoryError where the image is gone."""
        ids = _ids([id])
        if not ids:
            raise HistoryError("This entry is not known. Reload the page.")
        chosen, path = self.history.get(ids[0]), self.history.file(ids[0])
        shown = _ids(order)
        at = shown.index(chosen.id) if chosen.id in shown else 0
        around = shown[max(0, at - AROUND) : at + AROUND + 1] if chosen.id in shown else ids
        found = [(entry, path if entry.id == chosen.id else present(entry)) for entry in self.history.entries(around)]
        left = [(entry, file) for entry, file in found if file is not None]
        index = next(index for index, (entry, _) in enumerate(left) if entry.id == chosen.id)
        return Opened(tuple(file for _, file in left), index, tuple(entry for entry, _ in left))

    def summary(self, model: str | None) -> str:
        """What is marked for a model, in a sentence or two."""
        if not model:
            return "Choose a model to see what is marked for it."
        counts = self.history.statistics(model)
        if not counts.marked_normal + counts.marked_anomalous:
            return f"Nothing is marked for “{model}” yet. Select a row and press N for normal or A for anomalous."
        kept = self.history.settings().keep_copies
        return (
            f"Marked for “{model}”: {counts.marked_normal:,} normal, {counts.marked_anomalous:,} anomalous. Among them "
            f"{_count(counts.false_alarms, 'false alarm', 'false alarms')} and {_count(counts.misses, 'miss', 'misses')}."
            f"{'' if kept else ' No copies are kept: marked uploads can teach as long as their tab is open.'}{_chosen(counts)}"
        )

    def calibrate(self, model: str | None, name: str) -> str:
        """Calibrate a copy of the model on the marked images; returns what to tell the person. Raises PandaError."""
        if not model:
            raise HistoryError("Choose a model first.")
        if self._on_calibrate is None:
            raise HistoryError("This program was started without a place for new models.")
        name = check_name(name)
        normal, anomalous = self.history.marked(model, "normal"), self.history.marked(model, "anomalous")
        gone = self._gone(model, len(normal), len(anomalous))
        try:
            return self._on_calibrate(model, normal, anomalous, name) + gone + _chosen(self.history.statistics(model))
        except CalibrationError as error:
            raise CalibrationError(f"{error}{gone}") from error

    def add_false_alarms(self, model: str | None, folder: str) -> str:
        """Copy images called anomalous but marked normal into a training folder; returns what to tell. Raises PandaError."""
        if not model:
            raise HistoryError("Choose a model first.")
        place = self._training_folder(folder)
        alarms = self.history.marked_entries(model, "normal", verdict="anomalous")
        if not alarms:
            raise HistoryError(f"There are no false alarms of “{model}”: no image it called anomalous is marked normal.")
        # torch comes in with it, and is not needed to look at the history
        from panda_core.feedback import add_to_training

        files = [(file, file_name(entry, file)) for entry in alarms if (file := intact(entry)) is not None]
        added = add_to_training(files, place)
        lost = added.unreadable + len(alarms) - len(files)
        notes = [f"{added.known:,} were there already" if added.known else "", f"{lost:,} left out: {LOST}" if lost else ""]
        rest = "; ".join(note for note in notes if note)
        done = f"{_count(added.added, 'image', 'images')} added to {added.folder}"
        return f"{done}{f' ({rest})' if rest else ''}.{' Train the model again to use them.' if added.added else ''}"

    def outdated(self, days: int | None) -> int:
        """How many entries are older than ``days``."""
        return 0 if days is None else self.history.search(Query(until=datetime.now(UTC) - timedelta(days=days)), limit=1).total

    def save_settings(self, days: int | None, keep_copies: bool) -> str:
        """Put the settings in force, and the retention at once; returns what to tell. Raises HistoryError."""
        self.history.save_settings(Settings(days, keep_copies))
        removed = self.history.apply_retention()
        kept = "Entries are kept for ever." if days is None else f"Entries are kept for {_count(days, 'day', 'days')}."
        return f"Saved. {kept}" + (f" {_count(removed, 'entry', 'entries')} removed." if removed else "")

    def _gone(self, model: str, normal: int, anomalous: int) -> str:
        """What to say of marked images beyond these that are there; "" if there are none."""
        marked = len(self.history.marked_entries(model, "normal")), len(self.history.marked_entries(model, "anomalous"))
        lost = marked[0] - normal, marked[1] - anomalous
        if not any(lost):
            return ""
        return f" {marked[0]:,} are marked normal and {marked[1]:,} anomalous; of these, {lost[0]:,} and {lost[1]:,} are left out: {LOST}."

    def _training_folder(self, folder: str) -> Path:
        if not folder.strip():
            raise FolderError("Name the folder of normal images that the model is trained on.")
        place = Path(folder.strip()).expanduser().resolve()
        if not any(place.is_relative_to(root) for root in self._roots):
            allowed = ", ".join(map(str, self._roots)) or "none: start the program with the folders it may write to"
            raise FolderError(f"{place} is not in a folder this program may write to. Those are: {allowed}.")
        return place

    def _search(self, request: Mapping[str, Any], who: str) -> dict[str, Any]:
        offset = min(max(_number(request.get("offset")) or 0, 0), MOST_IDS)
        page = self.history.search(read_query(request), limit=PAGE, offset=int(offset))
        rows = [self._row(entry) for entry in page.entries]
        return {"rows": rows, "total": page.total, "offset": page.offset, "models": self.history.models()}

    def _mark(self, request: Mapping[str, Any], who: str) -> dict[str, Any]:
        ids, mark = _ids(request.get("ids")), request.get("mark")
        if mark is None:
            self.history.unmark(ids, who=who)
        elif _one_of(mark, Mark):
            self.history.mark(ids, mark, who=who)
        else:
            raise HistoryError("An image is marked normal or anomalous, nothing else.")
        return {"rows": [self._row(entry) for entry in self.history.entries(ids)]}

    def _delete(self, request: Mapping[str, Any], who: str) -> dict[str, Any]:
        ids = _ids(request.get("ids"))
        self.history.delete(ids)
        return {"ids": ids}

    def _delete_found(self, request: Mapping[str, Any], who: str) -> dict[str, Any]:
        ids = self.history.find_ids(read_query(request))
        self.history.delete(ids)
        return {"ids": ids}

    def _restore(self, request: Mapping[str, Any], who: str) -> dict[str, Any]:
        return {"count": self.history.restore(_ids(request.get("ids")))}

    def _row(self, entry: Entry) -> dict[str, Any]:
        thumbnail = self.history.thumbnail(entry.sha256)
        return {
            "id": entry.id,
            "thumbnail": f"{THUMBNAILS}/{entry.sha256}.jpg" if thumbnail else None,
            "time": entry.created.timestamp() * 1000,
            "name": entry.name,
            "model": entry.model,
            "score": entry.score,
            "boundary": entry.boundary,
            "verdict": entry.verdict,
            "mark": entry.mark,
            "who": entry.marked_by,
            "note": entry.note,
        }


def _chosen(counts: Statistics) -> str:
    """What to say of marked images that are no fair sample of what the model meets; "" where they may be one."""
    if counts.false_alarms <= max(FEW, CHOSEN * counts.marked_normal):
        return ""
    return (
        " A calibration takes marked images for a fair sample. Those marked because the model was wrong are none: the boundary would come "
        "to lie too high, and anomalies would be missed. Mark normal images that it judged right, too, as they come."
    )


def read_query(request: Mapping[str, Any]) -> Query:
    """The query in a request; what does not belong in a query is left out. Times are milliseconds since 1970."""
    return Query(
        text=_text(request.get("text"))[:200],
        model=_text(request.get("model")) or None,
        verdict=_one_of(request.get("verdict"), Verdict),
        mark=_one_of(request.get("mark"), MarkFilter),
        since=_moment(request.get("since")),
        until=_moment(request.get("until")),
        low=_number(request.get("low")),
        high=_number(request.get("high")),
        order=_one_of(request.get("order"), Order) or "newest",
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _one_of(value: Any, words: Any) -> Any:
    """The value if it is one of the words of a Literal, else None."""
    return value if isinstance(value, str) and value in get_args(words) else None


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) else None


def _moment(value: Any) -> datetime | None:
    milliseconds = _number(value)
    if milliseconds is None or not 0 <= milliseconds <= LATEST_TIME:
        return None
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _ids(value: Any) -> list[int]:
    """Positive numbers that SQLite can hold; anything else is left out."""
    if not isinstance(value, list):
        return []
    return [id for id in value[:MOST_IDS] if isinstance(id, int) and not isinstance(id, bool) and 0 < id < 2**63]


def _count(number: int, one: str, several: str) -> str:
    return f"{number:,} {one if number == 1 else several}"
