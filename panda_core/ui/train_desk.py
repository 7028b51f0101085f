"""What the Train tab does, without Gradio: lists runs, prepares a training, starts and ends it, tells what is new of one."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from panda_core.card import find_model, list_models, read_card
from panda_core.config import Config
from panda_core.errors import ConfigError, ModelError, PandaError, TrainingError
from panda_core.events import EventReader
from panda_core.fields import list_fields
from panda_core.jobs import DamagedRun, Jobs
from panda_core.library import add_model, free_name
from panda_core.presets import PRESETS, tuned
from panda_core.presets import preset as find_preset
from panda_core.runs import RunDir, RunStatus

MOST_STEPS = 600
"""Steps sent at once, at most; of more, an even selection."""
LOG_BYTES = 12_000
Publish = Callable[[Path], str | None]
"""Makes a file of this machine known to the page; returns what the page calls it."""


class TrainDesk:
    """One for the whole program: what it knows is on the disk, so every browser tab sees the same."""

    def __init__(self, jobs: Jobs, publish: Publish) -> None:
        self.jobs, self._publish = jobs, publish
        self._readers: dict[Path, EventReader] = {}
        self._summaries: dict[Path, tuple[int, dict[str, Any]]] = {}
        self._lock = threading.Lock()

    def runs(self) -> list[dict[str, Any]]:
        """Every training, newest first, in a few words."""
        return [self._summary(run) for run in self.jobs.list()]

    def look(self, id: str, known: int) -> dict[str, Any]:
        """What is new of one training since the browser knew ``known`` events. Raises TrainingError."""
        run = self.jobs.find(id)
        with self._lock:
            reader = self._readers.setdefault(run.path, EventReader(run.events_path))
            reader.read()
            events = reader.events[known:] if 0 <= known <= len(reader.events) else reader.events
            total = len(reader.events)
        answer: dict[str, Any] = {"run": self._summary(run), "known": total, "from": total - len(events)}
        if events or known == 0 or answer["run"]["over"]:
            answer |= self._news(run, events)
        return answer

    def form(self) -> dict[str, Any]:
        """What a new training can be made of: presets with their values, models to fine-tune, fields with their meaning."""
        fields = [{"name": f.name, "kind": f.kind, "choices": f.choices, "meaning": f.meaning} for f in list_fields()]
        presets = {name: flatten(config) for name, config in PRESETS.items()}
        models = {}
        for folder in list_models():
            try:
                models[folder.name] = flatten(tuned(read_card(folder).config))
            except ModelError:
                continue  # a damaged model is listed elsewhere, with its problem
        return {"fields": fields, "presets": presets, "models": models}

    def configuration(self, form: Any) -> tuple[Config, Path | None]:
        """The configuration and the parent's folder that a form asks for. Raises ConfigError, ModelError."""
        wanted = form if isinstance(form, dict) else {}
        parent = find_model(str(wanted["parent"])) if wanted.get("parent") else None
        base = tuned(read_card(parent).config) if parent else find_preset(str(wanted.get("preset", "best")))
        changes = wanted.get("changes")
        return base.override(**changes) if isinstance(changes, dict) else base, parent

    def problems(self, form: Any) -> dict[str, str]:
        """Field -> what is wrong with its value; "" for what no single field explains."""
        try:
            self.configuration(form)
        except ConfigError as error:
            changes = form.get("changes") if isinstance(form, dict) else None
            found = {name: said for name, value in (changes or {}).items() if (said := self._alone(form, name, value))}
            return found or {"": str(error)}
        except ModelError as error:
            return {"": str(error)}
        return {}

    def start(self, folder: Path, form: Any) -> str:
        """Begin a training; returns the run's id. Raises PandaError."""
        config, parent = self.configuration(form)
        wanted = form if isinstance(form, dict) else {}
        exclude = [one for one in wanted.get("exclude") or () if isinstance(one, str) and len(one) == 64]
        name = str(wanted.get("name") or folder.name).strip()[:60] or "training"
        low_priority = wanted.get("low_priority") is not False
        return self.jobs.start(folder, config, name=name, parent=parent, exclude=exclude, low_priority=low_priority).path.name

    def accept(self, id: str, name: str) -> str:
        """Put a finished training's model among the models; returns its name. Raises TrainingError, ModelError."""
        run = self.jobs.find(id)
        if run.status().state != "done":
            raise TrainingError(f"“{run.name}” is not finished, so there is no model to keep.")
        kept = add_model(run.model_path, name.strip() or free_name(run.name)).name
        run.record({"event": "accepted", "model": kept})
        return kept

    def _alone(self, form: dict[str, Any], name: str, value: Any) -> str:
        try:
            self.configuration({**form, "changes": {name: value}})
        except PandaError as error:
            return str(error)
        return ""

    def _summary(self, run: RunDir | DamagedRun) -> dict[str, Any]:
        if isinstance(run, DamagedRun):
            return {"id": run.path.name, "name": run.path.name, "state": "damaged", "detail": run.problem, "over": True}
        try:
            written = (run.path / "status.json").stat().st_mtime_ns
        except OSError:
            written = 0
        before = self._summaries.get(run.path)
        if before and before[0] == written and before[1]["over"]:
            return before[1]
        summary = _summary_of(run, run.status())
        self._summaries[run.path] = (written, summary)
        return summary

    def _news(self, run: RunDir, events: Sequence[dict[str, Any]]) -> dict[str, Any]:
        def of(kind: str) -> list[dict[str, Any]]:
            return [event for event in events if event.get("event") == kind]

        def last(kind: str) -> dict[str, Any] | None:
            found = of(kind)
            return found[-1] if found else None

        previews = [event for event in of("preview") if _is_preview(run, event.get("file"))]
        return {
            "steps": evenly(of("step"), MOST_STEPS),
            "validations": of("validation"),
            "previews": [{"step": event["step"], "path": self._publish(run.path / event["file"])} for event in previews],
            "resources": last("resources"),
            "warnings": [event["message"] for event in of("warning")][-5:],
            "data": last("data"),
            "done": last("done"),
            "compared": last("compared"),
            "accepted": last("accepted"),
            "metrics": _metrics(run),
            "log": _tail(run.log_path),
            "command": f"panda train --run {run.path} --resume",
        }


def flatten(config: Config) -> dict[str, Any]:
    """Dotted field -> value."""
    flat: dict[str, Any] = {}
    for key, value in config.to_dict().items():
        flat |= {f"{key}.{name}": inner for name, inner in value.items()} if isinstance(value, dict) else {key: value}
    return flat


def evenly(events: Sequence[dict[str, Any]], most: int) -> list[dict[str, Any]]:
    """At most ``most`` of the events, evenly, the last one always among them."""
    stride = -(-len(events) // most) if events else 1
    return list(events[::-1][::stride][::-1])


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
        "parent": run.parent.name if run.parent else "",
        "preset": run.config.preset,
        "data": str(run.data),
    }


def _is_preview(run: RunDir, file: Any) -> bool:
    return isinstance(file, str) and Path(file).parent == Path("previews") and (run.path / file).is_file()


def _metrics(run: RunDir) -> list[dict[str, Any]]:
    try:
        return [json.loads(json.dumps(metric)) for metric in read_card(run.model_path).to_dict()["metrics"]]
    except ModelError:
        return []


def _tail(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - LOG_BYTES))
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""
