"""Evidence to decision: pure, cheap, called at every tick of the threshold slider."""

from __future__ import annotations

import math
from typing import Any

from panda_core.errors import ConfigError
from panda_core.inspection import Boundary, Calibration, Decision, Inspection
from panda_core.scoring.boundary import false_alarm_rate, miss_rate
from panda_core.scoring.maps import regions

BY_HAND = "Set by hand; the rates are those of the calibration images."


def decide(inspection: Inspection, *, boundary: float | None = None, pixel_threshold: float | None = None) -> Decision:
    """The verdict, mask and regions at these thresholds; None takes the saved operating point, without one the model's own.

    boundary: in units of the raw score, anomalous if score > boundary; pixel_threshold: in standard deviations of the anomaly map.
    A given boundary is of kind ``manual`` and carries its rates on the calibration images.
    Changes nothing; equal arguments give equal decisions. Raises ConfigError where a threshold is not finite.
    """
    calibration = inspection.calibration
    used = boundary_in_use(calibration, boundary)
    threshold = threshold_in_use(calibration) if pixel_threshold is None else _finite(pixel_threshold, "pixel_threshold")
    margin = inspection.score - used.value
    mask, found = regions(inspection.anomaly_map, threshold)
    return Decision(used, "anomalous" if margin > 0 else "normal", margin, threshold, mask, found)


def record(inspection: Inspection, decision: Decision) -> dict[str, Any]:
    """What is said of an image as JSON-ready values: the object of ``panda inspect --json``, without pictures and maps."""
    return {
        "path": inspection.source,
        "model": inspection.model,
        "score": inspection.score,
        "gauge": inspection.gauge,
        "verdict": decision.verdict,
        "boundary": decision.boundary.value,
        "boundary_kind": decision.boundary.kind,
        "p_value": inspection.p_value,
        "errors": dict(inspection.errors),
        "regions": [region.to_dict() for region in decision.regions],
    }


def boundary_in_use(calibration: Calibration, moved: float | None = None) -> Boundary:
    """A boundary that was just moved; else the operating point's, with who set it and why; without one the model's own.

    The first two are of kind ``manual`` and carry their rates on the calibration images. Raises ConfigError where one is not finite.
    """
    if moved is not None:
        return _manual(moved, calibration, BY_HAND)
    point = calibration.operating_point
    if point is None:
        return calibration.boundary
    return _manual(point.boundary, calibration, f"Set by {point.who} on {point.when[:10]}: {point.why}")


def threshold_in_use(calibration: Calibration) -> float:
    """The operating point's pixel threshold; without one the model's own."""
    return calibration.pixel_threshold if calibration.operating_point is None else calibration.operating_point.pixel_threshold


def _manual(value: float, calibration: Calibration, reason: str) -> Boundary:
    at = _finite(value, "boundary")
    alarms, misses = false_alarm_rate(calibration.normal_scores, at), miss_rate(calibration.anomalous_scores, at)
    return Boundary(at, "manual", reason, false_alarm_rate=alarms, miss_rate=misses)


def _finite(value: float, name: str) -> float:
    if not math.isfinite(value):
        raise ConfigError(f"{name} is {value}; it must be a finite number.")
    return float(value)
