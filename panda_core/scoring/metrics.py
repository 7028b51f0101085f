"""How well scores and maps separate anomalous from normal (section IV): rank statistics, own implementations.

Labels are 1 (or True) for anomalous, which is the positive class everywhere; higher scores are stranger.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from panda_core.errors import CalibrationError

Floats = NDArray[np.float64]
Curve = tuple[Floats, Floats]
Points = tuple[tuple[float, float], ...]
"""A curve as data: (x, y) in the order they are joined."""

MOST_POINTS = 200
"""Points of a curve that is drawn or written: an error of a hundredth of the picture, at most."""
FEW_IMAGES = 10
"""Fewer of a class do not tell two models apart by resampling."""
_QUANTILE = 1.959964  # of the standard normal distribution, for 95 %
_BOOTSTRAP_CELLS = 2_000_000  # resamples x images drawn at a time: 16 MB of indices


def auroc(labels: ArrayLike, scores: ArrayLike) -> float:
    """Area under the ROC curve in [0, 1]: chance that an anomalous image outscores a normal one, a tie counting half.

    labels, scores: n. Raises CalibrationError on one class only, on different lengths or on scores that are not finite.
    """
    positive, values = _checked(labels, scores)
    _, group = np.unique(values, return_inverse=True)
    groups = int(group.max()) + 1
    return float(_grouped_auroc(np.bincount(group[positive], minlength=groups), np.bincount(group[~positive], minlength=groups)))


def auroc_ci(labels: ArrayLike, scores: ArrayLike) -> tuple[float, float]:
    """Interval (low, high) that holds the true AUROC 95 times in 100 or more often, whatever the scores are like; low < high always.

    Wilson's (1927) interval of a share, with the largest variance that an AUROC can have: A (1 - A) / min(n, m) (van Dantzig 1951). With
    hundreds of images of each class a bootstrap is narrower; with few, or with an AUROC near 1, it is right much less often than it says
    (50 normal images and 3 anomalous ones, AUROC 0.96: 44 to 70 times in 100). It covers the choice of test images, each of which it
    takes for independent of the others, and not that of the training seed. Raises CalibrationError like `auroc`.
    """
    area = auroc(labels, scores)
    count, square = _fewest(labels), _QUANTILE**2
    middle = (area + square / (2 * count)) / (1 + square / count)
    half = _QUANTILE / (1 + square / count) * math.sqrt(area * (1 - area) / count + square / (4 * count**2))
    return max(0.0, middle - half), min(1.0, middle + half)


def auroc_bootstrap_ci(labels: ArrayLike, scores: ArrayLike, *, seed: int, resamples: int = 1000) -> tuple[float, float]:
    """95 % percentile interval (low, high) of `auroc` by stratified bootstrap, as most papers give it: for tables beside theirs.

    Normal and anomalous images are redrawn apart. Too narrow where `auroc_ci` says. Raises CalibrationError like `auroc`.
    """
    return _interval(_redrawn(_grouped_auroc, labels, scores, seed, resamples))


def auprc_ci(labels: ArrayLike, scores: ArrayLike, *, seed: int, resamples: int = 1000) -> tuple[float, float]:
    """95 % percentile interval (low, high) of `auprc` by stratified bootstrap: normal and anomalous images are redrawn apart.

    The share of anomalous images stays that of the test set. Too narrow where a class has few images, and without width where the
    classes separate perfectly. Raises CalibrationError like `auprc`.
    """
    return _interval(_redrawn(_grouped_auprc, labels, scores, seed, resamples))


def auroc_difference_ci(
    labels: ArrayLike, scores: ArrayLike, others: ArrayLike, *, seed: int, resamples: int = 1000
) -> tuple[float, float]:
    """95 % interval of auroc(scores) - auroc(others), two models on the same images in the same order.

    By stratified bootstrap. Both meet the same redraws, so what makes a set of images easy for both cancels out: this is narrower than two
    intervals side by side would suggest. With fewer than FEW_IMAGES of a class, where a bootstrap would see differences that are not
    there, it is as wide as those two allow. Raises CalibrationError like `auroc`.
    """
    if _fewest(labels) < FEW_IMAGES:
        (low, high), (their_low, their_high) = auroc_ci(labels, scores), auroc_ci(labels, others)
        return low - their_high, high - their_low
    ours = _redrawn(_grouped_auroc, labels, scores, seed, resamples)
    return _interval(ours - _redrawn(_grouped_auroc, labels, others, seed, resamples))


def roc_curve(labels: ArrayLike, scores: ArrayLike, *, most: int = MOST_POINTS) -> Points:
    """(false-alarm rate, detection rate) at every distinct threshold, from the strictest at (0, 0) to (1, 1), both in [0, 1].

    Of more than ``most`` points an even selection along the curve. Raises CalibrationError like `auroc`.
    """
    positive, values = _checked(labels, scores)
    false, true = _cumulated(values, (~positive).astype(float), positive.astype(float))
    return _thinned(np.append(0.0, false / false[-1]), np.append(0.0, true / true[-1]), most)


def pr_curve(labels: ArrayLike, scores: ArrayLike, *, most: int = MOST_POINTS) -> Points:
    """(recall, precision) at every distinct threshold, the strictest first, both in [0, 1]; each step's precision holds up to it.

    Of more than ``most`` points an even selection along the curve. Raises CalibrationError like `auroc`.
    """
    positive, values = _checked(labels, scores)
    false, true = _cumulated(values, (~positive).astype(float), positive.astype(float))
    return _thinned(true / true[-1], true / (true + false), most)


def prevalence(labels: ArrayLike) -> float:
    """Share of anomalous images in [0, 1]: the chance level of `auprc`, to be stated beside it."""
    return float(np.mean(np.asarray(labels).astype(bool)))


def auprc(labels: ArrayLike, scores: ArrayLike) -> float:
    """Average precision in [0, 1], anomalous being positive: sum over thresholds of precision x gain in recall.

    A step-wise sum, not a trapezoid, which would be optimistic. Read it beside `prevalence`. Raises CalibrationError like `auroc`.
    """
    positive, values = _checked(labels, scores)
    _, group = np.unique(values, return_inverse=True)
    groups = int(group.max()) + 1
    return float(_grouped_auprc(np.bincount(group[positive], minlength=groups), np.bincount(group[~positive], minlength=groups)))


def eer(labels: ArrayLike, scores: ArrayLike) -> float:
    """Equal error rate in [0, 1]: where false-alarm rate and miss rate meet on the linearly interpolated ROC curve.

    Raises CalibrationError like `auroc`.
    """
    positive, values = _checked(labels, scores)
    false, true = _cumulated(values, np.where(positive, 0.0, 1.0 / np.sum(~positive)), np.where(positive, 1.0 / np.sum(positive), 0.0))
    alarms, misses = np.append(0.0, false), 1.0 - np.append(0.0, true)
    after = int(np.argmax(alarms >= misses))  # at the last threshold alarms = 1 >= misses = 0; at the first 0 < 1
    gap_before, gap_after = misses[after - 1] - alarms[after - 1], misses[after] - alarms[after]
    share = gap_before / (gap_before - gap_after)
    return float(alarms[after - 1] + share * (alarms[after] - alarms[after - 1]))


def pixel_auroc(masks: Sequence[NDArray[Any]], maps: Sequence[NDArray[Any]]) -> float:
    """`auroc` over all pixels of all images together.

    masks: each H x W, non-zero where anomalous (all zero for a normal image); maps: each H x W, same size as its mask.
    Takes time and memory for one sort of the normal pixels. Raises CalibrationError like `auroc`, and on unequal sizes.
    """
    _check_pairs(masks, maps)
    strange = np.concatenate([values[mask != 0] for mask, values in zip(masks, maps, strict=True)])
    normal = _sorted_normal(masks, maps)
    if not strange.size or not normal.size:
        raise CalibrationError(f"Both kinds of pixels are needed; the masks hold {normal.size} normal and {strange.size} anomalous ones.")
    _require_finite("Pixel AUROC", strange)
    below, at_most = (np.searchsorted(normal, strange, side=side).sum(dtype=float) for side in ("left", "right"))
    return float((below + at_most) / 2 / normal.size / strange.size)


def aupro(masks: Sequence[NDArray[Any]], maps: Sequence[NDArray[Any]], *, limit: float = 0.3) -> float:
    """Area under the per-region overlap curve up to a pixel false-positive rate of ``limit``, divided by ``limit``: in [0, 1].

    Every 8-connected region of the masks counts alike, however small. The curve is exact (every distinct map value is a
    threshold) and linear in between. masks, maps: as for `pixel_auroc`. Raises CalibrationError where there is no anomalous
    region or no normal pixel.
    """
    _check_pairs(masks, maps)
    found = [_region_pixels(mask, values) for mask, values in zip(masks, maps, strict=True)]
    normal, regions = _sorted_normal(masks, maps), sum(count for _, _, count in found)
    if regions == 0 or normal.size == 0:
        raise CalibrationError(f"AUPRO needs anomalous regions and normal pixels; the masks hold {regions} and {normal.size}.")
    strange, shares = (np.concatenate([pixels[part] for pixels in found]) for part in (0, 1))
    _require_finite("AUPRO", strange)
    # The curve ends at the highest threshold beyond the limit: lower values, most of them normal pixels, need not be sorted again.
    lowest = normal[max(0, normal.size - 1 - int(limit * normal.size))]
    called, shares = normal[np.searchsorted(normal, lowest) :], shares[strange >= lowest]
    values = np.concatenate([called, strange[strange >= lowest]])
    false = np.concatenate([np.full(called.size, 1.0 / normal.size), np.zeros(shares.size)])
    return _area_up_to(_cumulated(values, false, np.concatenate([np.zeros(called.size), shares / regions])), limit)


def _sorted_normal(masks: Sequence[NDArray[Any]], maps: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """The map values of all normal pixels, ascending, in the maps' own precision: there may be a hundred million."""
    normal = np.concatenate([values[mask == 0] for mask, values in zip(masks, maps, strict=True)])
    _require_finite("A measure of maps", normal)
    normal.sort()
    return normal


def _region_pixels(mask: NDArray[Any], values: NDArray[Any]) -> tuple[NDArray[Any], Floats, int]:
    """Of the anomalous pixels of an image: map value, share of its own region; and how many regions there are."""
    labels, count = ndimage.label(mask != 0, structure=np.ones((3, 3)))
    inside = labels[labels != 0]
    return values[labels != 0], 1.0 / np.maximum(np.bincount(inside, minlength=1), 1)[inside], count


def _require_finite(what: str, values: NDArray[Any]) -> None:
    if not np.all(np.isfinite(values)):
        raise CalibrationError(f"{what} needs finite maps; at least one value is not.")


def _checked(labels: ArrayLike, scores: ArrayLike) -> tuple[NDArray[np.bool_], Floats]:
    positive, values = np.asarray(labels).astype(bool).ravel(), np.asarray(scores, dtype=float).ravel()
    if positive.size != values.size:
        raise CalibrationError(f"There are {positive.size} labels for {values.size} scores; each score needs one label.")
    anomalous = int(positive.sum())
    if anomalous in (0, positive.size):
        raise CalibrationError(
            f"Both classes are needed to measure separation; there are {positive.size - anomalous} normal and {anomalous} anomalous. "
            "Add the missing kind."
        )
    if not np.all(np.isfinite(values)):
        raise CalibrationError(
            f"{int(np.sum(~np.isfinite(values)))} of {values.size} scores are not finite; separation cannot be measured."
        )
    return positive, values


def _check_pairs(masks: Sequence[NDArray[Any]], maps: Sequence[NDArray[Any]]) -> None:
    if len(masks) != len(maps):
        raise CalibrationError(f"There are {len(masks)} masks for {len(maps)} maps; each map needs one mask.")
    for index, (mask, values) in enumerate(zip(masks, maps, strict=True)):
        if mask.shape != values.shape or mask.ndim != 2:
            raise CalibrationError(f"Mask {index} is {mask.shape}, its map {values.shape}; both must be H x W of one size.")


def _grouped_auroc(positives: NDArray[np.int64], negatives: NDArray[np.int64]) -> Floats:
    """AUROC from counts per distinct score, ascending along the last axis (... x groups)."""
    below = np.cumsum(negatives, axis=-1) - 0.5 * negatives
    wins = np.sum(positives * below, axis=-1)
    area: Floats = wins / (positives.sum(axis=-1) * negatives.sum(axis=-1))
    return np.asarray(area)


def _grouped_auprc(positives: NDArray[np.int64], negatives: NDArray[np.int64]) -> Floats:
    """Average precision from counts per distinct score, ascending along the last axis (... x groups)."""
    true = np.cumsum(positives[..., ::-1], axis=-1)
    called = true + np.cumsum(negatives[..., ::-1], axis=-1)
    gained = positives[..., ::-1] * true / np.maximum(called, 1)  # a redraw may leave the highest scores out
    return np.asarray(gained.sum(axis=-1) / positives.sum(axis=-1))


def _redrawn(
    area: Callable[[NDArray[np.int64], NDArray[np.int64]], Floats], labels: ArrayLike, scores: ArrayLike, seed: int, resamples: int
) -> Floats:
    """The area of each redraw. The redraws follow from the seed and the labels: equal for all scores of the same images."""
    positive, values = _checked(labels, scores)
    _, group = np.unique(values, return_inverse=True)
    groups = int(group.max()) + 1
    random = np.random.default_rng(seed)
    rows = max(1, _BOOTSTRAP_CELLS // values.size)
    areas = [
        area(_redrawn_counts(group[positive], count, groups, random), _redrawn_counts(group[~positive], count, groups, random))
        for count in (min(rows, resamples - done) for done in range(0, resamples, rows))
    ]
    return np.concatenate(areas)


def _fewest(labels: ArrayLike) -> int:
    """Images of the rarer class."""
    positive = int(np.count_nonzero(np.asarray(labels)))
    return min(positive, np.asarray(labels).size - positive)


def _interval(values: Floats) -> tuple[float, float]:
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def _thinned(x: Floats, y: Floats, most: int) -> Points:
    """At most ``most`` of the points, evenly along the curve's length, the ends among them."""
    if x.size > most:
        way = np.append(0.0, np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y))))
        kept = np.unique(np.searchsorted(way, np.linspace(0.0, way[-1], most)).clip(0, x.size - 1))
        x, y = x[kept], y[kept]
    return tuple(zip(x.tolist(), y.tolist(), strict=True))


def _redrawn_counts(group: NDArray[np.int64], rows: int, groups: int, random: np.random.Generator) -> NDArray[np.int64]:
    """rows x groups: how often each distinct score occurs in a redraw (with replacement) of these images."""
    drawn = group[random.integers(group.size, size=(rows, group.size))]
    flat = (drawn + groups * np.arange(rows)[:, None]).ravel()
    return np.bincount(flat, minlength=rows * groups).reshape(rows, groups)


def _cumulated(values: Floats, false: Floats, true: Floats) -> Curve:
    """Weights of all items at or above each distinct value, from the largest value down."""
    order = np.argsort(-values, kind="stable")
    last = np.append(np.diff(values[order]) != 0, True)
    return np.cumsum(false[order])[last], np.cumsum(true[order])[last]


def _area_up_to(curve: Curve, limit: float) -> float:
    x, y = np.append(0.0, curve[0]), np.append(0.0, curve[1])
    inside = x <= limit
    # The curve may rise vertically at x = limit; the last point inside is the highest one there.
    end = y[inside][-1] if inside.all() else np.interp(limit, x[[inside.sum() - 1, inside.sum()]], y[[inside.sum() - 1, inside.sum()]])
    return float(np.trapezoid(np.append(y[inside], end), np.append(x[inside], limit)) / limit)
