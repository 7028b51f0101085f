"""Separation against scikit-learn and against slow definitions written out."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage
from scipy.stats import norm
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score
from sklearn.metrics import roc_curve as sklearn_roc

from panda_core.errors import CalibrationError
from panda_core.scoring.metrics import (
    auprc,
    auprc_ci,
    aupro,
    auroc,
    auroc_ci,
    auroc_difference_ci,
    eer,
    pixel_auroc,
    pr_curve,
    prevalence,
    roc_curve,
)


def sample(seed: int, *, ties: bool) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    labels = np.r_[0, 1, random.random(60) < 0.3].astype(int)
    scores = random.normal(size=labels.size) + labels
    return labels, np.round(scores) if ties else scores


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("ties", [False, True])
def test_areas_agree_with_scikit_learn(seed: int, ties: bool) -> None:
    labels, scores = sample(seed, ties=ties)
    assert auroc(labels, scores) == pytest.approx(roc_auc_score(labels, scores))
    assert auprc(labels, scores) == pytest.approx(average_precision_score(labels, scores))


@pytest.mark.parametrize("metric", [auroc, auprc, eer])
def test_metrics_ignore_order_and_monotone_changes(metric) -> None:
    labels, scores = sample(0, ties=True)
    order = np.random.default_rng(1).permutation(labels.size)
    assert metric(labels[order], np.exp(scores[order])) == pytest.approx(metric(labels, scores))


def test_auprc_of_equal_scores_is_the_prevalence() -> None:
    labels, _ = sample(0, ties=False)
    assert auprc(labels, np.zeros(labels.size)) == pytest.approx(prevalence(labels))


@pytest.mark.parametrize("spread", [1.0, 2.0])
@pytest.mark.parametrize("area", [0.8, 0.96, 0.99])
@pytest.mark.parametrize(("normal", "anomalous"), [(50, 1), (50, 3), (10, 10), (60, 40)])
def test_the_interval_of_auroc_keeps_its_word_with_few_images_and_near_one(normal: int, anomalous: int, area: float, spread: float) -> None:
    random = np.random.default_rng(0)
    labels = np.repeat([0, 1], [normal, anomalous])
    shift = norm.ppf(area) * np.hypot(1, spread)
    draws = [random.normal(size=labels.size) * np.where(labels, spread, 1) + shift * labels for _ in range(400)]
    intervals = np.array([auroc_ci(labels, scores) for scores in draws])
    assert np.mean((intervals[:, 0] <= area) & (area <= intervals[:, 1])) >= 0.93  # 0.95, less two standard errors
    assert np.all(intervals[:, 0] < intervals[:, 1]) and intervals.min() >= 0 and intervals.max() <= 1


def test_the_interval_of_auroc_is_wilsons_with_the_rarer_class() -> None:
    assert auroc_ci([0] * 10 + [1] * 10, range(20)) == pytest.approx((0.7225, 1.0), abs=1e-4)  # no mistake among ten
    assert auroc_ci([0] * 90 + [1], range(91)) == pytest.approx((0.2065, 1.0), abs=1e-4)
    halves = auroc_ci([0, 1] * 40, np.zeros(80))
    assert halves == pytest.approx((0.3520, 0.6480), abs=1e-4) and sum(halves) == pytest.approx(1)


def test_interval_of_auprc_is_a_function_of_the_seed_and_holds_the_estimate() -> None:
    labels, scores = sample(3, ties=True)
    low, high = auprc_ci(labels, scores, seed=7)
    assert (low, high) == auprc_ci(labels, scores, seed=7)
    assert low < auprc(labels, scores) < high


def test_equal_error_rate_is_zero_when_separated_half_at_chance_and_one_when_reversed() -> None:
    labels = np.array([0, 0, 1, 1])
    assert eer(labels, [1, 2, 3, 4]) == 0
    assert eer(labels, [1, 1, 1, 1]) == pytest.approx(0.5)
    assert eer(labels, [3, 4, 1, 2]) == 1


def test_equal_error_rate_of_two_normals_is_the_tail_beyond_the_midpoint() -> None:
    labels = np.repeat([0, 1], 20000)
    scores = np.random.default_rng(0).normal(size=labels.size) + 2 * labels
    assert eer(labels, scores) == pytest.approx(0.1587, abs=0.01)  # 1 - Phi(1)


@pytest.mark.parametrize("metric", [auroc, auprc, eer, auroc_ci, lambda labels, scores: auprc_ci(labels, scores, seed=0)])
@pytest.mark.parametrize("labels, scores", [([1, 1], [0.1, 0.2]), ([0, 0], [0.1, 0.2]), ([0, 1], [0.1, np.nan]), ([0, 1, 1], [0.1, 0.2])])
def test_one_class_and_broken_scores_are_refused(metric, labels, scores) -> None:
    with pytest.raises(CalibrationError):
        metric(labels, scores)


def maps_and_masks(seed: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    random = np.random.default_rng(seed)
    masks = [np.zeros((9, 11), bool) for _ in range(3)]
    masks[0][1:3, 1:4] = masks[0][6, 6] = masks[0][7, 7] = True  # a block, and two pixels that touch at a corner
    masks[1][4:8, 2:9] = True
    return masks, [np.round(random.random(m.shape) + 0.7 * m, 1) for m in masks]


def overlap_by_definition(masks, maps, limit: float) -> float:
    """Every threshold, every region, every false positive, counted one by one."""
    points = [(0.0, 0.0)]
    for threshold in sorted({v for m in maps for v in m.ravel()}, reverse=True):
        overlaps, false, normal = [], 0, 0
        for mask, values in zip(masks, maps, strict=True):
            labels, count = ndimage.label(mask, structure=np.ones((3, 3)))
            overlaps += [np.mean(values[labels == k] >= threshold) for k in range(1, count + 1)]
            false, normal = false + np.sum(values[~mask] >= threshold), normal + np.sum(~mask)
        points.append((false / normal, float(np.mean(overlaps))))
    x, y = np.array(points).T
    grid = np.union1d(np.linspace(0, limit, 20001), x[x <= limit])
    return float(np.trapezoid(np.interp(grid, x, y), grid) / limit)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("limit", [0.05, 0.3, 1.0])
def test_region_overlap_agrees_with_its_definition(seed: int, limit: float) -> None:
    masks, maps = maps_and_masks(seed)
    assert aupro(masks, maps, limit=limit) == pytest.approx(overlap_by_definition(masks, maps, limit), abs=2e-3)


def test_perfect_maps_reach_one_and_flat_maps_the_diagonal() -> None:
    masks, _ = maps_and_masks(0)
    perfect, flat = [m.astype(float) for m in masks], [np.zeros(m.shape) for m in masks]
    assert aupro(masks, perfect) == pytest.approx(1)
    assert pixel_auroc(masks, perfect) == 1
    assert aupro(masks, flat) == pytest.approx(0.15)
    assert pixel_auroc(masks, flat) == pytest.approx(0.5)


def test_masks_without_a_region_or_of_another_size_are_refused() -> None:
    masks, maps = maps_and_masks(0)
    with pytest.raises(CalibrationError, match="region"):
        aupro([np.zeros_like(masks[0])], maps[:1])
    with pytest.raises(CalibrationError, match="one size"):
        pixel_auroc([masks[0][1:]], maps[:1])


@pytest.mark.parametrize("ties", [False, True])
def test_curves_agree_with_scikit_learn(ties: bool) -> None:
    labels, scores = sample(2, ties=ties)
    alarms, detected, _ = sklearn_roc(labels, scores, drop_intermediate=False)
    assert np.allclose(roc_curve(labels, scores), np.column_stack([alarms, detected]))
    precision, recall, _ = precision_recall_curve(labels, scores)
    assert np.allclose(pr_curve(labels, scores), np.column_stack([recall, precision])[::-1][1:])


def test_a_thinned_curve_keeps_its_ends_its_order_and_its_area() -> None:
    random = np.random.default_rng(0)
    labels = random.random(20_000) < 0.2
    scores = random.normal(size=labels.size) + labels
    points = np.array(roc_curve(labels, scores, most=100))
    assert len(points) <= 100 and points[0].tolist() == [0, 0] and points[-1].tolist() == [1, 1]
    assert (np.diff(points, axis=0) >= 0).all()
    assert np.trapezoid(points[:, 1], points[:, 0]) == pytest.approx(auroc(labels, scores), abs=2e-3)


def test_interval_of_the_average_precision_holds_the_estimate_and_narrows_with_more_images() -> None:
    random = np.random.default_rng(1)

    def width(count: int) -> float:
        labels = np.repeat([0, 1], count)
        scores = random.normal(size=2 * count) + labels
        low, high = auprc_ci(labels, scores, seed=0)
        assert low < auprc(labels, scores) < high and (low, high) == auprc_ci(labels, scores, seed=0)
        return high - low

    assert width(800) < width(50) / 2


def test_a_difference_is_judged_on_the_same_redraws() -> None:
    random = np.random.default_rng(0)
    labels = np.repeat([0, 1], 60)
    scores = random.normal(size=120) + labels
    assert auroc_difference_ci(labels, scores, np.exp(scores), seed=0) == (0, 0), "the same order is the same model"
    low, high = auroc_difference_ci(labels, scores + 3 * labels, scores, seed=0)
    assert 0 < low < high
    near = scores + random.normal(scale=0.05, size=120)
    low, high = auroc_difference_ci(labels, near, scores, seed=0)
    apart = auroc_ci(labels, scores)
    assert low <= 0 <= high and high - low < (apart[1] - apart[0]) / 2


def test_a_handful_of_images_does_not_tell_two_models_apart() -> None:
    """Two equally good models: an interval that leaves 0 out is a mistake."""
    random = np.random.default_rng(0)
    for anomalous in (1, 3, 9):
        labels = np.repeat([0, 1], [30, anomalous])
        found = [auroc_difference_ci(labels, random.normal(size=labels.size) + labels, random.normal(size=labels.size) + labels, seed=0)
                 for _ in range(300)]  # fmt: skip
        assert np.mean([not low <= 0 <= high for low, high in found]) <= 0.05, anomalous
    low, high = auroc_difference_ci(labels, labels, -labels, seed=0)
    assert 0 < low < high, "but what is plain to see is seen"


@pytest.mark.parametrize("function", [roc_curve, pr_curve])
def test_a_curve_needs_both_classes(function) -> None:
    with pytest.raises(CalibrationError, match="Both classes"):
        function([1, 1], [0.1, 0.2])
