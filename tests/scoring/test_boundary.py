"""Where normal ends."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from scipy.stats import norm

from panda_core.config import ScoringConfig
from panda_core.errors import CalibrationError
from panda_core.inspection import NoCrossing
from panda_core.scoring.boundary import choose_boundary, crossing, tail_boundary

RANDOM_PAIRS = np.random.default_rng(0).uniform([-5, 0.1, -5, 0.1], [5, 4, 5, 4], size=(500, 4))


def test_densities_are_equal_at_every_crossing_and_none_is_missed() -> None:
    crossed = 0
    for mu_n, sigma_n, mu_a, sigma_a in RANDOM_PAIRS:
        found = crossing(mu_n, sigma_n, mu_a, sigma_a)
        normal, anomalous = norm(mu_n, sigma_n), norm(mu_a, sigma_a)
        separable = mu_a > mu_n and normal.pdf(mu_n) > anomalous.pdf(mu_n) and anomalous.pdf(mu_a) > normal.pdf(mu_a)
        assert isinstance(found, float) == separable
        if isinstance(found, float):
            crossed += 1
            assert mu_n < found < mu_a
            assert normal.logpdf(found) == pytest.approx(anomalous.logpdf(found), abs=1e-8)
    assert crossed > 50


@pytest.mark.parametrize("ratio", [1.0, 1 + 1e-12, 1 - 1e-9])
def test_equal_spreads_cross_at_the_midpoint(ratio) -> None:
    assert crossing(1.0, 0.5, 3.0, 0.5 * ratio) == pytest.approx(2.0)


@pytest.mark.parametrize(
    "arguments, words",
    [
        ((1.0, 1.0, 1.0, 1.0), "do not score higher"),
        ((2.0, 1.0, 1.0, 1.0), "do not score higher"),
        ((0.0, 0.0, 1.0, 1.0), "spread is zero"),
        ((0.0, 1.0, 1.0, 0.0), "spread is zero"),
        ((0.0, math.nan, 1.0, 1.0), "not finite"),
        ((0.0, 20.0, 1.0, 1.0), "normal scores spread so much wider"),
        ((0.0, 1.0, 1.0, 20.0), "anomalous scores spread so much wider"),
    ],
)
def test_no_crossing_says_why(arguments, words) -> None:
    found = crossing(*arguments)
    assert isinstance(found, NoCrossing)
    assert words in found.reason


@pytest.mark.parametrize("n, rate", [(19, 0.05), (40, 0.05), (100, 0.1), (30, 0.2)])
def test_the_tail_keeps_its_rate_on_exchangeable_images(n, rate) -> None:
    random = np.random.default_rng(0)
    draws = random.standard_t(3, size=(4000, n + 1))  # the guarantee needs no normal distribution
    boundaries = [tail_boundary(row[:-1], rate) for row in draws]
    alarms = np.mean([row[-1] > b.value for row, b in zip(draws, boundaries, strict=True)])
    expected = boundaries[0].false_alarm_rate
    assert expected <= rate + 1e-12
    assert alarms == pytest.approx(expected, abs=4 * math.sqrt(rate / 4000))


@pytest.mark.parametrize("n, rate", [(4, 0.05), (20, 0.05), (99, 0.05), (30, 0.2)])
def test_the_tail_says_how_large_its_rate_may_be_by_the_choice_of_images(n, rate) -> None:
    random = np.random.default_rng(0)
    found = [tail_boundary(random.random(n), rate) for _ in range(2000)]  # of uniform scores, 1 - boundary is the true rate
    most = float(re.search(r"up to ([\d.]+)%", found[0].reason)[1]) / 100
    assert np.mean([1 - (one.value) <= most for one in found]) == pytest.approx(0.95, abs=0.02)
    assert len({one.reason for one in found}) == 1


def test_the_tail_takes_the_smallest_score_that_keeps_the_rate() -> None:
    assert 95 < tail_boundary(np.arange(1, 100), 0.05).value < 95.1
    assert 19 < tail_boundary(np.arange(1, 20), 0.05).value < 19.1


def test_rounding_does_not_make_the_image_that_sets_the_tail_anomalous() -> None:
    scores = np.array([0.2, -1.1, 0.5, 1.27137285, -0.3, 0.9])
    assert 1.27137309 < tail_boundary(scores, 0.05).value < 1.28


def test_an_outlier_does_not_move_the_tail_of_the_others() -> None:
    others = np.linspace(0, 1, 40)
    usual = tail_boundary(np.append(others, 2.0), 0.1).value
    assert tail_boundary(np.append(others, 1e9), 0.1).value == pytest.approx(usual, abs=1e-3)


def test_too_few_images_for_the_rate_give_the_maximum_and_say_so() -> None:
    boundary = tail_boundary([3.0, 1.0, 2.0], 0.05)
    assert 3.0 < boundary.value < 3.01
    assert boundary.false_alarm_rate == 0.25
    assert "25.0%" in boundary.reason
    assert "19 images" in boundary.reason


def scores(count: int, mean: float, spread: float = 1.0) -> np.ndarray:
    return np.random.default_rng(count).normal(mean, spread, count)


@pytest.mark.parametrize("source", ["labelled", "synthetic"])
def test_a_crossing_is_used_and_its_measured_rates_are_reported(source) -> None:
    normal, anomalous = scores(50, 0), scores(40, 3)
    boundary = choose_boundary(normal, anomalous, source=source, scoring=ScoringConfig())
    assert boundary.kind == source
    assert boundary.value == crossing(normal.mean(), normal.std(), anomalous.mean(), anomalous.std())
    assert boundary.false_alarm_rate == np.mean(normal > boundary.value)
    assert boundary.miss_rate == np.mean(anomalous <= boundary.value)


@pytest.mark.parametrize(
    "anomalous, words", [(scores(40, -1), "do not score higher"), (scores(3, 5), "too few"), (scores(50, 0), "do not score")]
)
def test_without_a_crossing_the_tail_is_used_and_the_reason_stated(anomalous, words) -> None:
    boundary = choose_boundary(scores(50, 0), anomalous, source="synthetic", scoring=ScoringConfig())
    assert boundary.kind == "tail"
    assert words in boundary.reason
    assert boundary.miss_rate == np.mean(anomalous <= boundary.value)


def test_normals_alone_and_a_wish_for_the_tail_give_the_tail() -> None:
    alone = choose_boundary(scores(50, 0), [], source=None, scoring=ScoringConfig())
    wished = choose_boundary(scores(50, 0), scores(40, 3), source="labelled", scoring=ScoringConfig(boundary="tail"))
    assert (alone.kind, alone.miss_rate) == ("tail", None)
    assert (wished.kind, wished.value) == ("tail", alone.value)


def test_insisting_on_a_source_that_is_not_there_is_an_error() -> None:
    with pytest.raises(CalibrationError, match="labelled"):
        choose_boundary(scores(50, 0), scores(40, 3), source="synthetic", scoring=ScoringConfig(boundary="labelled"))


@pytest.mark.parametrize("normal", [np.ones(20), np.r_[scores(20, 0), np.nan], []])
def test_identical_broken_or_absent_normal_scores_are_an_error(normal) -> None:
    with pytest.raises(CalibrationError):
        choose_boundary(normal, [], source=None, scoring=ScoringConfig())


def test_synthetic_anomalies_too_subtle_to_help_leave_the_boundary_to_the_tail_unless_forced() -> None:
    rng = np.random.default_rng(5)
    normal, barely = rng.normal(0, 1, 200), rng.normal(0.3, 1, 200)
    said = choose_boundary(normal, barely, source="synthetic", scoring=ScoringConfig())
    assert said.kind == "tail" and "overlap" in said.reason
    forced = choose_boundary(normal, barely, source="synthetic", scoring=ScoringConfig(boundary="synthetic"))
    assert forced.kind == "synthetic" and forced.false_alarm_rate is not None and forced.false_alarm_rate > 0.25
    assert choose_boundary(normal, barely, source="labelled", scoring=ScoringConfig()).kind == "labelled"
