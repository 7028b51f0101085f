"""What the Train tab does with trainings, without Gradio: lists them, starts and keeps them, tells what is new of one."""

from __future__ import annotations

import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from panda_core.data.images import read_image
from panda_core.durable import read_object
from panda_core.errors import ImageError, PandaError, TrainingError
from panda_core.events import EventReader, plain
from panda_core.history.copies import draw_thumbnail
from panda_core.jobs import DamagedRun, Jobs
from panda_core.own_models import add_model, free_name
from panda_core.run_status import RunStatus
from panda_core.runs import RunDir, resuming
from panda_core.ui.train_form import configuration, named
from panda_core.ui.train_news import Publish, log_tail, tell
from panda_core.ui.uploads import field

MOST_READERS = 4
"""Event logs kept in memory: those that were looked at last."""
MOST_EXAMPLES = 8
"""Pictures of images that a fine-tuned model judges otherwise than the one it came from."""


class TrainDesk:
    """One for the whole program: what it knows is on the disk, so every browser tab sees the same."""

    def __init__(self, jobs: Jobs, publish: Publish) -> None:
        self.jobs, self._publish = jobs, publish
        self._readers: dict[Path, EventReader] = {}
        self._summaries: dict[Path, tuple[int, dict[str, Any]]] = {}
        self._listed: tuple[dict[Path, tuple[int, int]], tuple[RunDir | DamagedRun, ...]] = ({}, ())
        self._lock = threading.Lock()

    def runs(self) -> list[dict[str, Any]]:
        """Every training, newest first, in a few words."""
        return [self._summary(run) for run in self._list()]

    def look(self, id: str, known: int, log: int = 0) -> dict[str, Any]:
        """What is new of one training for a browser that knows ``known`` of its events and a log of ``log`` bytes.

        Costs a look at two files where nothing is new. Raises TrainingError where there is no such training.
        """
        run = next((run for run in self._list() if run.path.name == id), None) or self.jobs.find(id)
        answer: dict[str, Any] = {"run": self._summary(run), "known": 0, "from": 0}
        if isinstance(run, DamagedRun):
            return answer
        with self._lock:
            reader = self._reader(run)
            reader.read()
            events = reader.events[known:] if 0 <= known <= len(reader.events) else reader.events
            answer |= {"known": len(reader.events), "from": len(reader.events) - len(events)}
        if events or known == 0:
            answer["news"] = tell(run, events, self._publish) | {"command": resuming(run.path)}
        size = stamp(run.log_path, "st_size")
        if size != log:
            answer["log"] = {"size": size, "text": log_tail(run.log_path)}
        return answer

    def start(self, folder: Path, form: Any) -> str:
        """Begin a training; returns the run's id. Raises PandaError."""
        config, parent = configuration(form)
        exclude = hashes(field(form, "exclude"))
        name = named(form, folder, "training")
        low_priority = field(form, "low_priority") is not False
        return self.jobs.start(folder, config, name=name, parent=parent, exclude=exclude, low_priority=low_priority).path.name

    def accept(self, id: str, name: str) -> str:
        """Put a finished training's model among the models; returns its name. Raises TrainingError, ModelError."""
        run = self.jobs.find(id)
        if run.status().state != "done":
            raise TrainingError(f"“{run.name}” is not finished, so there is no model to keep.")
        kept = add_model(run.model_path, name.strip() or free_name(run.name)).name
        run.record({"event": "accepted", "model": kept})
        return kept

    def changed(self, id: str) -> list[dict[str, Any]]:
        """Held-out images that a fine-tuned model judges otherwise than its parent: name, kind, both scores, who is right, a picture.

        Raises TrainingError where there is no such training, or its comparison is damaged.
        """
        run = self.jobs.find(id)
        found = (read_object(run.path / "comparison.json") or {}).get("changed", [])[:MOST_EXAMPLES]
        with self._lock:
            reader = self._reader(run)
            reader.read()
            done = next((event for event in reversed(reader.events) if event.get("event") == "done"), None)
        if done is None:
            return []
        with tempfile.TemporaryDirectory(prefix="panda-compared-") as place:
            return [self._example(one, done["boundary"], Path(place) / f"{at}.jpg") for at, one in enumerate(found)]

    def _example(self, one: dict[str, Any], boundary: float, file: Path) -> dict[str, Any]:
        path = Path(one["path"])
        shown = None
        with suppress(ImageError):  # moved away since; its scores are still true
            file.write_bytes(draw_thumbnail(read_image(path)))
            shown = self._publish(file)
        better = (one["child"] > boundary) == (one["kind"] == "anomalous")
        return {"name": path.name, "kind": one["kind"], "before": one["parent"], "after": one["child"], "better": better, "picture": shown}

    def _reader(self, run: RunDir) -> EventReader:
        """The one reader of a run's events, for all browser tabs."""
        reader = self._readers.pop(run.path, None) or EventReader(run.events_path)
        self._readers[run.path] = reader
        while len(self._readers) > MOST_READERS:
            del self._readers[next(iter(self._readers))]
        return reader

    def _list(self) -> tuple[RunDir | DamagedRun, ...]:
        """The runs, opened anew only when one came, went or was mended: to understand a configuration takes milliseconds."""
        before, runs = self._listed
        damaged = {run.path for run in runs if isinstance(run, DamagedRun)}
        now = {
            header.parent: (stamp(header), stamp(header.with_name("status.json")) if header.parent in damaged else 0)
            for header in self.jobs.place.glob("*/config.json")
        }
        if now != before:
            runs = self.jobs.list()
            self._listed = (now, runs)
        return runs

    def _summary(self, run: RunDir | DamagedRun) -> dict[str, Any]:
        if isinstance(run, DamagedRun):
            return _damaged(run.path, run.problem)
        written = stamp(run.path / "status.json")
        before = self._summaries.get(run.path)
        if before and before[0] == written and before[1]["over"]:
            return before[1]
        try:
            summary = _summary_of(run, run.status())
        except PandaError as error:
            return _damaged(run.path, str(error))
        self._summaries[run.path] = (written, summary)
        return summary


def hashes(values: Any) -> list[str]:
    """Those of a browser's values that may be a SHA-256."""
    return [value for value in values if isinstance(value, str) and len(value) == 64] if isinstance(values, list) else []


def _summary_of(run: RunDir, status: RunStatus) -> dict[str, Any]:
    return {
        "id": run.path.name,
        "name": run.name,
        "state": status.state,
        "detail": status.detail,
        "step": status.step,
        "total": status.total,
        "stage": status.fields.get("stage"),
        "remaining": status.fields.get("remaining"),
        "created": run.created,
        "updated": status.updated,
        "over": status.over,
        "stopping": not status.over and run.cancelled(),
        "parent": _model_name(run.parent) if run.parent else "",
        "preset": run.config.preset,
        "size": run.config.data.size,
        "data": plain(str(run.data)),
    }


def _model_name(folder: Path) -> str:
    """As people know it; the model of a run lies in a folder that is always called "model"."""
    return folder.parent.name if folder.name == "model" else folder.name


def _damaged(path: Path, problem: str) -> dict[str, Any]:
    return {"id": path.name, "name": path.name, "state": "damaged", "detail": problem, "over": True}


def stamp(path: Path, kind: str = "st_mtime_ns") -> int:
    """A file's time or size; 0 where there is none."""
    try:
        return int(getattr(path.stat(), kind))
    except OSError:
        return 0
