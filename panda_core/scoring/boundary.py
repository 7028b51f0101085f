"""Where normal ends: the maximum-likelihood crossing of two normals (III-C), or a conformal quantile of normal scores.

The comparison is the same everywhere: an image is anomalous if its score is greater than the boundary.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincinv

from panda_core.config import ScoringConfig
from panda_core.errors import CalibrationError
from panda_core.inspection import Boundary, NoCrossing

Source = Literal["labelled", "synthetic"]
Floats = NDArray[np.float64]

MOST_FALSE_ALARMS = 0.25
"""A boundary from synthetic anomalies that calls more normal images anomalous than this is not used unless asked for."""
MINIMUM_ANOMALOUS = 4
"""Fewer anomalous calibration images than this give no density to compare with."""
HAIR = 1e-3
"""By how much a tail boundary lies above the score that sets it, as a share of the normal scores' interquartile range: the same image,
scored once more in other company, differs by rounding, and is not to be anomalous for that."""


def crossing(mu_n: float, sigma_n: float, mu_a: float, sigma_a: float) -> float | NoCrossing:
    """Score between the means at which the normal and the anomalous density are equal (III-C, maximum likelihood).

    Equal spreads give the midpoint. NoCrossing, with the reason, where the anomalous mean is not above the normal one, a spread
    is zero or not finite, or one class is so much wider that one density is the higher at both means.
    """
    if not all(map(math.isfinite, (mu_n, sigma_n, mu_a, sigma_a))):
        return NoCrossing("a mean or spread of the scores is not finite")
    if mu_a <= mu_n:
        return NoCrossing("the anomalous images do not score higher on average than the normal ones")
    if min(sigma_n, sigma_a) <= 1e-9 * (mu_a - mu_n):
        return NoCrossing("all scores of one class are the same, so that its spread is zero")
    # In normal standard deviations t, with gap d and ratio r, the log-likelihood difference is proportional to
    # (1 - r^2) t^2 - 2 d t + c. It must fall from > 0 at t = 0 to < 0 at t = d.
    d, r = (mu_a - mu_n) / sigma_n, sigma_a / sigma_n
    c = d * d + 2 * r * r * math.log(r)
    if c <= 0 or d * d <= 2 * math.log(r):
        wider = "normal" if r < 1 else "anomalous"
        return NoCrossing(f"the {wider} scores spread so much wider that the two densities do not cross between their means")
    # c / (d + root) is the wanted root for either sign of 1 - r^2 and does not cancel where r is near 1.
    return mu_n + sigma_n * c / (d + math.sqrt(d * d - (1 - r * r) * c))


def tail_boundary(normal_scores: ArrayLike, rate: float) -> Boundary:
    """Split-conformal quantile of n normal scores: a new exchangeable normal image exceeds it with probability <= ``rate``.

    It is the ceil((n + 1)(1 - rate))-th smallest score, and a HAIR. Where n is too small for the rate it is the largest score, and the
    reason says so. ``false_alarm_rate`` is the rate to be expected, <= ``rate`` if n allows: the mean over all sets of n images that might
    have been held out. That of these n may be larger: the reason names what it stays below 95 times in 100, the quantile of a beta
    distribution (Vovk 2012, proposition 2b). Both hold for scores fixed before these images were seen (fusion ``sum``), nearly where
    their mean and spread were fitted to the same images, and are a little low where the errors' weights were (fusion ``weighted``).
    Raises CalibrationError without scores or where one is not finite.
    """
    scores = _checked(normal_scores, "normal", 1)
    n = scores.size
    rank = math.ceil((n + 1) * (1 - rate) - 1e-9)  # 1e-9: rounding must not push an exact integer up
    above = n + 1 - min(rank, n)
    expected, most = above / (n + 1), float(betaincinv(above, min(rank, n), 0.95))
    reason = (
        f"About {expected:.1%} of new normal images should score higher, judging by {n} normal calibration images; "
        f"by their choice it may be up to {most:.1%}."
    )
    if rank > n:
        needed = math.ceil(1 / rate - 1e-9) - 1
        reason = f"The largest of {n} normal calibration scores. {reason} For {rate:.1%}, {needed} images are needed."
    lower, upper = np.percentile(scores, [25, 75])
    value = float(scores[min(rank, n) - 1] + HAIR * (upper - lower))
    return Boundary(value, "tail", reason, false_alarm_rate=expected)


def choose_boundary(normal_scores: ArrayLike, anomalous_scores: ArrayLike, *, source: Source | None, scoring: ScoringConfig) -> Boundary:
    """Maximum-likelihood boundary against the anomalous scores of this source, else the tail with the reason stated.

    normal_scores: n, anomalous_scores: m (may be empty). The rates measured on these images come with it (for the tail: the
    expected false-alarm rate). Raises CalibrationError where the scores are not finite, all normal scores are the same, or the
    configuration insists on a source that is not there.
    """
    normal, anomalous = _checked(normal_scores, "normal", 2), _checked(anomalous_scores, "anomalous", 0)
    if normal[0] == normal[-1]:
        raise CalibrationError(
            f"All {normal.size} normal calibration images score {normal[0]:.6g}; without spread there is no boundary. Add different images."
        )
    if scoring.boundary in ("labelled", "synthetic") and scoring.boundary != source:
        raise CalibrationError(
            f"scoring.boundary is '{scoring.boundary}', but the anomalous calibration images are {source or 'absent'}. "
            f"Give {scoring.boundary} anomalies, or set scoring.boundary to 'auto'."
        )
    if source is None or scoring.boundary == "tail":
        return _with_misses(tail_boundary(normal, scoring.false_alarm_rate), anomalous)
    found = _fitted_crossing(normal, anomalous)
    if source == "synthetic" and scoring.boundary == "auto" and not isinstance(found, NoCrossing):
        found = _worth_having(normal, found)
    if isinstance(found, NoCrossing):
        tail = tail_boundary(normal, scoring.false_alarm_rate)
        return _with_misses(replace(tail, reason=f"No boundary from {source} anomalies: {found.reason}. {tail.reason}"), anomalous)
    reason = f"Equally likely under {normal.size} normal and {anomalous.size} {source} anomalous calibration images (maximum likelihood)."
    return _with_misses(Boundary(found, source, reason, false_alarm_rate=false_alarm_rate(normal, found)), anomalous)


def false_alarm_rate(normal_scores: Floats, boundary: float) -> float | None:
    """Share of the normal scores above the boundary, in [0, 1]; None without any."""
    return float(np.mean(normal_scores > boundary)) if normal_scores.size else None


def miss_rate(anomalous_scores: Floats, boundary: float) -> float | None:
    """Share of the anomalous scores not above the boundary, in [0, 1]; None without any."""
    return float(np.mean(anomalous_scores <= boundary)) if anomalous_scores.size else None


def _fitted_crossing(normal: Floats, anomalous: Floats) -> float | NoCrossing:
    if anomalous.size < MINIMUM_ANOMALOUS:
        return NoCrossing(f"{anomalous.size} anomalous calibration images are too few, {MINIMUM_ANOMALOUS} are needed")
    return crossing(float(normal.mean()), float(normal.std()), float(anomalous.mean()), float(anomalous.std()))


def _worth_having(normal: Floats, found: float) -> float | NoCrossing:
    """The crossing, unless synthetic anomalies are so subtle that it would call a large share of normal images anomalous."""
    alarms = float(np.mean(normal > found))
    if alarms <= MOST_FALSE_ALARMS:
        return found
    return NoCrossing(f"the two densities overlap so far that {alarms:.0%} of the normal images would be called anomalous")


def _with_misses(boundary: Boundary, anomalous: Floats) -> Boundary:
    return replace(boundary, miss_rate=miss_rate(anomalous, boundary.value))


def _checked(scores: ArrayLike, kind: str, minimum: int) -> Floats:
    """The scores ascending."""
    values = np.sort(np.asarray(scores, dtype=float).ravel())
    if values.size < minimum:
        raise CalibrationError(f"There are {values.size} {kind} calibration scores; at least {minimum} are needed. Add {kind} images.")
    if not np.all(np.isfinite(values)):
        raise CalibrationError(f"{int(np.sum(~np.isfinite(values)))} of {values.size} {kind} calibration scores are not finite.")
    return values
