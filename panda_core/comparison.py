"""One model beside another on the same images; a fine-tuned one beside the one it came from, each judged at its own boundary."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from panda_core.errors import ImageError
from panda_core.evaluation import Report
from panda_core.scoring import metrics
from panda_core.scoring.decision import boundary_in_use

if TYPE_CHECKING:
    from panda_core.inspector import Inspector


@dataclass(frozen=True, slots=True)
class Difference:
    """By how much one model's AUROC lies above another's, on the images both could read."""

    auroc: float
    ci: tuple[float, float]
    """95 %: `scoring.metrics.auroc_difference_ci`; holds 0 where the images cannot tell the two apart."""


def auroc_difference(report: Report, other: Report, *, seed: int = 0) -> Difference:
    """How far ``report``'s AUROC lies above ``other``'s. Raises CalibrationError where they share no image of one of the classes."""
    theirs = {image.path: image.score for image in other.images}
    shared = [image for image in report.images if image.path in theirs]
    labels, ours = [image.anomalous for image in shared], [image.score for image in shared]
    others = [theirs[image.path] for image in shared]
    return Difference(
        metrics.auroc(labels, ours) - metrics.auroc(labels, others), metrics.auroc_difference_ci(labels, ours, others, seed=seed)
    )


def compare(
    parent: Inspector,
    child: Inspector,
    normal: Sequence[Path],
    anomalous: Sequence[Path],
    *,
    on_image: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """False alarms and misses of both on the same images, JSON-ready; ``on_image`` is called after each look and may raise.

    Where these images have calibrated the child, they flatter it: whoever shows the numbers says so.
    """
    counts = {"normal": 0, "anomalous": 0}
    wrong = {(who, kind): 0 for who in ("parent", "child") for kind in counts}
    examples: list[dict[str, Any]] = []
    for kind, paths in (("normal", normal), ("anomalous", anomalous)):
        for path in paths:
            verdicts: dict[str, bool] = {}
            scores: dict[str, float] = {}
            try:
                for who, inspector in (("parent", parent), ("child", child)):
                    scores[who] = inspector.inspect(path).score
                    verdicts[who] = scores[who] > boundary_in_use(inspector.calibration).value
                    on_image()
            except ImageError:
                continue  # the folder scan has listed it
            counts[kind] += 1
            for who, called_anomalous in verdicts.items():
                wrong[who, kind] += called_anomalous != (kind == "anomalous")
            if verdicts["parent"] != verdicts["child"]:
                examples.append({"path": str(path), "kind": kind, "parent": scores["parent"], "child": scores["child"]})
    return {
        "parent": parent.model.name,
        **counts,
        "parent_false_alarms": wrong["parent", "normal"],
        "false_alarms": wrong["child", "normal"],
        "parent_misses": wrong["parent", "anomalous"],
        "misses": wrong["child", "anomalous"],
        "changed": examples[:50],
    }


def compare_reports(parent: Report, child: Report) -> dict[str, Any]:
    """Both on the same labelled images, which the child's training has not used, JSON-ready: AUROC, and mistakes at their own boundaries.

    ``gain`` is by how much the child's AUROC is larger, ``gain_ci`` its 95 % interval, which holds 0 where these images
    cannot tell the two apart. Raises CalibrationError where they share no image of one of the classes.
    """
    apart = auroc_difference(child, parent)
    of_both = {
        f"{who}{name}": getattr(report, name)
        for who, report in (("parent_", parent), ("", child))
        for name in ("auroc", "false_alarm_rate", "miss_rate")
    }
    return {"normal": child.normal, "anomalous": child.anomalous, **of_both, "gain": apart.auroc, "gain_ci": list(apart.ci)}
