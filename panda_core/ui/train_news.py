"""What a browser is told of a training's events: curves of few points that keep their peaks, the critic's opinion, the latest facts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from panda_core.card import read_card
from panda_core.errors import ModelError
from panda_core.runs import RunDir

MOST_POINTS = 400
"""Points of one curve sent at once."""
MOST_OPINIONS = 80
"""Looks at held-out images whose critic is sent at once; of more, an even selection."""
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
LOG_LINES = 200
LOG_BYTES = 64_000
"""The end of the log is looked for in this much of it."""
HELD_OUT = "held out.recon"
"""Name of the curve of the reconstruction error on held-out images."""

Event = dict[str, Any]
Publish = Callable[[Path], str | None]
"""Makes a file of this machine known to the page; returns what the page calls it."""


def tell(run: RunDir, events: Sequence[Event], publish: Publish) -> dict[str, Any]:
    """What ``events`` say, for the page; JSON-ready. Facts that they do not hold are None or empty."""
    shown = [event for event in _of(events, "preview") if _is_preview(run, event.get("file"))]
    return {
        "curves": curves(events),
        "critic": critic(events),
        "previews": [{"step": event["step"], "path": publish(run.path / event["file"])} for event in shown],
        "warnings": [str(event["message"]) for event in _of(events, "warning")][-5:],
        "problems": [[str(event["path"]), str(event["reason"])] for event in _of(events, "problem")][:200],
        **{kind: _last(events, kind) for kind in ("resources", "data", "done", "compared", "accepted")},
        "metrics": _metrics(run) if _last(events, "done") else [],
    }


def curves(events: Sequence[Event]) -> dict[str, list[list[float]]]:
    """Name -> steps and values of at most MOST_POINTS points: the terms of every phase, and the error on held-out images."""
    found: dict[str, tuple[list[float], list[float]]] = {}
    for event in events:
        kind = event.get("event")
        if kind == "step":
            for name, value in event.items():
                if "." in name and value is not None:
                    _append(found.setdefault(name, ([], [])), event["step"], value)
        elif kind == "validation" and event.get("recon") is not None:
            _append(found.setdefault(HELD_OUT, ([], [])), event["step"], event["recon"])
    return {name: thin(steps, values) for name, (steps, values) in found.items()}


def thin(steps: Sequence[float], values: Sequence[float], most: int = MOST_POINTS) -> list[list[float]]:
    """At most ``most`` (4 or more) of the points: of each stretch the lowest and the highest, so that no peak is lost, and both ends."""
    kept: Sequence[int] = range(len(steps))
    if len(steps) > most:
        numbers = np.asarray(values, np.float64)
        stretches = np.array_split(np.arange(1, len(steps) - 1), (most - 2) // 2)
        picked = {int(part[at]) for part in stretches for at in (numbers[part].argmin(), numbers[part].argmax())}
        kept = sorted({0, len(steps) - 1} | picked)
    return [[steps[at] for at in kept], [float(f"{values[at]:.5g}") for at in kept]]


def critic(events: Sequence[Event]) -> list[Event]:
    """For each look at held-out images its step and the QUANTILES of the critic's logits, of images ("x") and reconstructions ("rec")."""
    looks: list[Event] = []
    for event in _of(events, "validation"):
        if event.get("critic_x") and event.get("critic_rec"):
            while looks and looks[-1]["step"] >= event["step"]:
                looks.pop()
            looks.append(event)
    stride = max(1, -(-len(looks) // MOST_OPINIONS))
    looks = looks[::-1][::stride][::-1]  # the latest is always among them
    return [{"step": look["step"], "x": _spread(look["critic_x"]), "rec": _spread(look["critic_rec"])} for look in looks]


def log_tail(path: Path) -> str:
    """The last LOG_LINES lines; "" where there is no log."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - LOG_BYTES))
            return "\n".join(file.read().decode("utf-8", "replace").splitlines()[-LOG_LINES:])
    except OSError:
        return ""


def _append(curve: tuple[list[float], list[float]], step: float, value: float) -> None:
    steps, values = curve
    while steps and steps[-1] >= step:  # a step that was done again after a kill takes the place of the one before
        steps.pop()
        values.pop()
    steps.append(step)
    values.append(value)


def _spread(logits: Sequence[float]) -> list[float]:
    return [round(float(value), 3) for value in np.quantile(logits, QUANTILES)]


def _of(events: Sequence[Event], kind: str) -> list[Event]:
    return [event for event in events if event.get("event") == kind]


def _last(events: Sequence[Event], kind: str) -> Event | None:
    return next((event for event in reversed(events) if event.get("event") == kind), None)


def _is_preview(run: RunDir, file: Any) -> bool:
    return isinstance(file, str) and Path(file).parent == Path("previews") and (run.path / file).is_file()


def _metrics(run: RunDir) -> list[Event]:
    try:
        return list(read_card(run.model_path).to_dict()["metrics"])
    except ModelError:
        return []
