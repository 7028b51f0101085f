"""Bootstrap intervals of any separation measure, over images or over groups of images that are not independent.

Several pictures of one bag, or the frames of one clip, resemble each other: redrawing them one by one would pretend to more
evidence than there is. Then whole groups are redrawn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from panda_core.errors import CalibrationError

Measure = Callable[[NDArray[np.bool_], NDArray[np.float64]], float]
"""Labels (True: anomalous) and scores to a number, e.g. `metrics.auprc`."""
RESAMPLES = 1000
LEVEL = 0.95


def bootstrap_interval(
    measure: Measure, labels: ArrayLike, scores: ArrayLike, *, seed: int, groups: Sequence[str] | None = None, resamples: int = RESAMPLES
) -> tuple[float, float]:
    """95 % percentile interval of ``measure`` over redrawn test images; it does not cover the choice of the training seed.

    Without ``groups``, normal and anomalous images are redrawn apart. With them (one name per image) whole groups are redrawn, those
    with normal, with anomalous and with both kinds of image apart, so that no resample lacks a class. With a handful of groups the
    interval is rough, and rather too narrow. Raises CalibrationError where the lengths differ, and what ``measure`` raises.
    """
    positive, values = np.asarray(labels).astype(bool).ravel(), np.asarray(scores, dtype=float).ravel()
    names = np.arange(values.size).astype(str) if groups is None else np.asarray(groups, dtype=str)
    if not positive.size == values.size == names.size:
        raise CalibrationError(f"There are {positive.size} labels, {values.size} scores and {names.size} groups; each image needs one.")
    random = np.random.default_rng(seed)
    strata = _strata(positive, names)
    found = []
    for _ in range(resamples):
        drawn = np.concatenate([_redraw(members, random) for members in strata])
        found.append(measure(positive[drawn], values[drawn]))
    low, high = np.quantile(found, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def _strata(positive: NDArray[np.bool_], names: NDArray[Any]) -> list[list[NDArray[np.intp]]]:
    """Groups as indices of their images, those of one kind (normal, anomalous, both) together."""
    kinds: dict[tuple[bool, bool], list[NDArray[np.intp]]] = {}
    for name in np.unique(names):
        members = np.flatnonzero(names == name)
        kinds.setdefault((bool(positive[members].any()), bool(positive[members].all())), []).append(members)
    return list(kinds.values())


def _redraw(members: list[NDArray[np.intp]], random: np.random.Generator) -> NDArray[np.intp]:
    return np.concatenate([members[index] for index in random.integers(len(members), size=len(members))])


def seed_interval(values: Sequence[float]) -> tuple[float, float] | None:
    """95 % interval of the mean over training seeds (Student's t), clipped to [0, 1]; None for fewer than 3 values."""
    from scipy.stats import t

    if len(values) < 3:
        return None
    array = np.asarray(values, dtype=float)
    half = float(t.ppf((1 + LEVEL) / 2, array.size - 1) * array.std(ddof=1) / np.sqrt(array.size))
    return max(0.0, float(array.mean()) - half), min(1.0, float(array.mean()) + half)
