"""What trainings and calibrations say of their models: sentences for a terminal, JSON-ready values for programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from panda_core.card import Card, read_card
from panda_core.errors import PandaError
from panda_core.jobs import DamagedRun
from panda_core.report.markup import measured
from panda_core.runs import RunDir


def run_document(run: RunDir | DamagedRun) -> dict[str, Any]:
    """What is known of a run without its events; JSON-ready."""
    base = {"id": run.path.name, "folder": str(run.path)}
    if isinstance(run, DamagedRun):
        return base | {"state": "damaged", "detail": run.problem}
    try:
        status = run.status()
    except PandaError as error:
        return base | {"state": "damaged", "detail": str(error)}
    remaining = None if status.over else status.fields.get("remaining")
    return base | {
        "name": run.name,
        "state": status.state,
        "detail": status.detail,
        "step": status.step,
        "total": status.total,
        "stage": None if status.over else status.fields.get("stage"),
        "remaining": remaining,
        "created": run.created,
        "updated": status.updated,
        "data": str(run.data),
        "preset": run.config.preset,
        "size": run.config.data.size,
        "parent": str(run.parent) if run.parent else None,
        "model": str(run.model_path) if (run.model_path / "card.json").is_file() else None,
        "log": str(run.log_path) if run.log_path.is_file() else None,
    }


def outcome_document(run: RunDir) -> dict[str, Any]:
    """`run_document` of a run, with what its model was measured to be (empty without one) and, if there is a model, its `thresholds`."""
    document = run_document(run)
    if document.get("model") is None:
        return document | {"metrics": []}
    card = read_card(run.model_path)
    return document | {"metrics": [asdict(metric) for metric in card.metrics]} | thresholds(card)


def thresholds(card: Card) -> dict[str, Any]:
    """A model's own boundary, what it comes from and costs by the calibration images, and its pixel threshold; JSON-ready."""
    boundary = card.calibration["boundary"]
    said = {"boundary": boundary["value"], "boundary_kind": boundary["kind"], "boundary_reason": boundary["reason"]}
    rates = {name: boundary[name] for name in ("false_alarm_rate", "miss_rate")}
    return said | rates | {"pixel_threshold": card.calibration["pixel_threshold"]}


def results(run: RunDir) -> Iterator[str]:
    """Sentences about what was measured on test images, and about the model it was fine-tuned from on the same images."""
    for metric in read_card(run.model_path).metrics:
        yield f"{measured(metric.data, metric.auroc, metric.auroc_ci, metric.trivial_auroc)}."
    compared = [event for event in run.events() if event["event"] == "compared"]
    if not compared:
        return
    found = compared[-1]
    yield f"Beside {found['parent']}, on held-out images, which have calibrated the new model and flatter it: {_mistakes(found)}."
    if test := found.get("test"):
        low, high = test["gain_ci"]
        areas = f"AUROC {test['parent_auroc']:.3f} -> {test['auroc']:.3f}"
        yield f"On the test images: {areas}, a difference of {test['gain']:+.3f} (95 % interval {low:+.3f} to {high:+.3f})."


def _mistakes(found: Mapping[str, Any]) -> str:
    alarms = f"false alarms {found['parent_false_alarms']} -> {found['false_alarms']} of {found['normal']}"
    missed = f", misses {found['parent_misses']} -> {found['misses']} of {found['anomalous']}"
    return alarms + (missed if found["anomalous"] else "")
