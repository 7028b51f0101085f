"""Bootstrap intervals: they hold the value, agree with the fast one for AUROC, and widen where images come in groups."""

from __future__ import annotations

import numpy as np
import pytest

from panda_core.errors import CalibrationError
from panda_core.scoring.metrics import auprc, auroc, auroc_bootstrap_ci
from panda_core.scoring.resampling import bootstrap_interval, seed_interval


def drawn(count: int = 60, shift: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = np.arange(count) % 2 == 1
    return labels, rng.normal(size=count) + shift * labels


@pytest.mark.parametrize("measure", [auroc, auprc])
def test_the_interval_holds_the_value_and_repeats(measure) -> None:  # type: ignore[no-untyped-def]
    labels, scores = drawn()
    low, high = bootstrap_interval(measure, labels, scores, seed=1, resamples=300)
    assert low < measure(labels, scores) < high
    assert (low, high) == bootstrap_interval(measure, labels, scores, seed=1, resamples=300)


def test_without_groups_it_agrees_with_the_fast_one() -> None:
    labels, scores = drawn()
    assert bootstrap_interval(auroc, labels, scores, seed=0) == pytest.approx(auroc_bootstrap_ci(labels, scores, seed=0), abs=0.02)


def test_repeating_every_image_in_its_group_adds_no_evidence() -> None:
    labels, scores = drawn()
    groups = [str(number) for number in range(labels.size)] * 8
    alone = bootstrap_interval(auroc, labels, scores, seed=0, resamples=500)
    repeated = bootstrap_interval(auroc, np.tile(labels, 8), np.tile(scores, 8), groups=groups, seed=0, resamples=500)
    pretended = bootstrap_interval(auroc, np.tile(labels, 8), np.tile(scores, 8), seed=0, resamples=500)
    assert repeated == pytest.approx(alone, abs=0.03)
    assert pretended[1] - pretended[0] < 0.6 * (alone[1] - alone[0])


def test_groups_that_hold_both_kinds_never_lose_one() -> None:
    labels, scores = drawn(count=20)
    low, high = bootstrap_interval(auroc, labels, scores, groups=[str(n // 10) for n in range(20)], seed=0, resamples=200)
    assert 0 <= low <= high <= 1


def test_unequal_lengths_are_refused() -> None:
    with pytest.raises(CalibrationError, match="3 labels, 3 scores and 2 groups"):
        bootstrap_interval(auroc, [0, 1, 1], [1.0, 2.0, 3.0], groups=["a", "b"], seed=0)


def test_the_interval_over_seeds_needs_three_and_holds_their_mean() -> None:
    assert seed_interval([0.8, 0.9]) is None
    low, high = seed_interval([0.8, 0.85, 0.9]) or (0.0, 0.0)
    assert low < 0.85 < high < 1.0
    assert seed_interval([0.7, 0.7, 0.7]) == (pytest.approx(0.7), pytest.approx(0.7))
