"""Evidence of calibration images to a Calibration: all fits of this package in their order."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from panda_core.config import ScoringConfig
from panda_core.errors import CalibrationError
from panda_core.inspection import Calibration, ErrorStats, Evidence
from panda_core.scoring.boundary import Source, choose_boundary
from panda_core.scoring.fusion import MINIMUM_IMAGES, choose_weights, fit_errors, fuse
from panda_core.scoring.maps import combine, fit_maps, pixel_threshold

Floats = NDArray[np.float64]


def fit_calibration(
    normal: Sequence[Evidence],
    anomalous: Sequence[Evidence],
    *,
    source: Source | None,
    scoring: ScoringConfig,
    fingerprint: str,
    map_weights: Mapping[str, float] | None = None,
    unscored: Collection[str] = (),
) -> Calibration:
    """Every calibrated number from images that were not trained on (III-C, Eq. 3).

    normal: n >= 4 images; anomalous: m >= 0 images of the given source (None only if m = 0); fingerprint: of the normal images;
    map_weights: share of each map in the shown one, equal by default. Where fusion is ``weighted``, the weights are chosen on the
    same images as the boundary, so rates measured there are a little optimistic; with m = 0 the weights are equal.
    unscored: errors of weight 0 whatever the fusion; they are reported only.
    lo and hi are the extremes over all calibration scores. Raises CalibrationError on too few, unlike, identical or not finite evidence.
    """
    _check(normal, anomalous, source)
    normal_errors, anomalous_errors = _error_table(normal), _error_table(anomalous)
    stats = _fit_stats(normal_errors, anomalous_errors, scoring, unscored)
    normal_scores = np.sort(fuse(normal_errors, stats, scoring.fusion))
    anomalous_scores = np.sort(fuse(anomalous_errors, stats, scoring.fusion)) if anomalous else np.empty(0)
    boundary = choose_boundary(normal_scores, anomalous_scores, source=source, scoring=scoring)
    every = np.concatenate([normal_scores, anomalous_scores])
    maps = fit_maps(_map_table(normal), smoothing=scoring.smoothing, weights=map_weights)
    return Calibration(
        errors=stats,
        fusion=scoring.fusion,
        lo=float(every.min()),
        hi=float(every.max()),
        boundary=boundary,
        pixel_threshold=_fit_pixel_threshold(normal, scoring, map_weights),
        maps=maps,
        smoothing=scoring.smoothing,
        normal_scores=normal_scores,
        anomalous_scores=anomalous_scores,
        count=len(normal),
        fingerprint=fingerprint,
        source=source or "",
    )


def _check(normal: Sequence[Evidence], anomalous: Sequence[Evidence], source: Source | None) -> None:
    if len(normal) < MINIMUM_IMAGES:
        raise CalibrationError(
            f"There are {len(normal)} normal calibration images; at least {MINIMUM_IMAGES} are needed. Add normal images."
        )
    if anomalous and source is None:
        raise CalibrationError(
            f"There are {len(anomalous)} anomalous calibration images of unknown source; say whether labelled or synthetic."
        )
    first = normal[0]
    for evidence in (*normal, *anomalous):
        if set(evidence.errors) != set(first.errors) or set(evidence.maps) != set(first.maps):
            raise CalibrationError(
                f"Calibration images carry different evidence: errors {sorted(first.errors)} and maps {sorted(first.maps)} against "
                f"{sorted(evidence.errors)} and {sorted(evidence.maps)}. Examine all of them with one model."
            )


def _fit_stats(
    normal: Mapping[str, Floats], anomalous: Mapping[str, Floats], scoring: ScoringConfig, unscored: Collection[str]
) -> dict[str, ErrorStats]:
    stats = fit_errors(normal)
    scored = {name: s for name, s in stats.items() if name not in unscored}
    weights = choose_weights(normal, anomalous, scored) if scoring.fusion == "weighted" else dict.fromkeys(scored, 1.0)
    return {name: replace(s, weight=weights.get(name, 0.0)) for name, s in stats.items()}


def _fit_pixel_threshold(normal: Sequence[Evidence], scoring: ScoringConfig, map_weights: Mapping[str, float] | None) -> float:
    """Threshold on normal maps, each half standardised by the other half's statistics.

    A map standardised by statistics it is part of looks too normal, the more so the fewer images there are. The price is
    statistics from half the images, hence a threshold a little on the high side. The halves are made of quarters, in the order
    of the images: neighbours, which may show the same object, share a half, and so does no kind of image that has a folder of its own.
    """
    first, second, third, fourth = (list(part) for part in _quarters(normal))
    halves = first + third, second + fourth
    held_out = []
    for fitted, judged in (halves, halves[::-1]):
        stats = fit_maps(_map_table(fitted), smoothing=scoring.smoothing, weights=map_weights)
        held_out += [combine(evidence.maps, stats, smoothing=scoring.smoothing) for evidence in judged]
    return pixel_threshold(held_out, scoring.pixel_false_alarm_rate)


def _quarters(images: Sequence[Evidence]) -> list[Sequence[Evidence]]:
    """n >= 4 images in four runs that differ in length by one at most."""
    edges = [round(len(images) * part / 4) for part in range(5)]
    return [images[start:end] for start, end in pairwise(edges)]


def _error_table(evidences: Sequence[Evidence]) -> dict[str, Floats]:
    """Name -> one value per image; empty without images."""
    return {name: np.array([e.errors[name] for e in evidences], dtype=float) for name in (evidences[0].errors if evidences else ())}


def _map_table(evidences: Sequence[Evidence]) -> dict[str, list[NDArray[np.float32]]]:
    return {name: [e.maps[name] for e in evidences] for name in evidences[0].maps}
