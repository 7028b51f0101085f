"""What a finished training says of its model in a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from panda_core.card import read_card
from panda_core.report.markup import measured
from panda_core.runs import RunDir


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
