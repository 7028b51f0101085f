"""Errors to one score, and the weights between them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from panda_core.errors import CalibrationError
from panda_core.inspection import ErrorStats
from panda_core.scoring.fusion import choose_weights, fit_errors, fuse, score
from panda_core.scoring.metrics import auroc

FUSIONS = ("sum", "standardised", "weighted")


def draw(count: int, shifts: dict[str, float], *, seed: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    return {name: random.normal(size=count) + shift for name, shift in shifts.items()}


def area(normal: np.ndarray, anomalous: np.ndarray) -> float:
    return auroc(np.repeat([0, 1], [normal.size, anomalous.size]), np.r_[normal, anomalous])


def weights_for(shifts: dict[str, float], *, seed: int = 0, count: int = 40) -> dict[str, float]:
    normal = draw(count, dict.fromkeys(shifts, 0.0), seed=seed)
    return choose_weights(normal, draw(count, shifts, seed=seed + 1000), fit_errors(normal))


@pytest.mark.parametrize("fusion", FUSIONS)
def test_contributions_sum_to_the_score_and_single_equals_batch(calibrate, evidences, fusion) -> None:
    calibration = calibrate(scoring={"fusion": fusion})
    images = evidences(5, seed=2, shift=1.0)
    batch = fuse({n: np.array([e.errors[n] for e in images]) for n in calibration.errors}, calibration.errors, fusion)
    for image, expected in zip(images, batch, strict=True):
        value, parts = score(image.errors, calibration)
        assert value == expected == sum(parts.values())


def test_sum_adds_raw_errors(calibrate) -> None:
    value, parts = score({"recon": 3.0, "percept": 0.5}, calibrate(scoring={"fusion": "sum"}))
    assert (value, parts) == (3.5, {"recon": 3.0, "percept": 0.5})


@pytest.mark.parametrize("fusion", ["standardised", "weighted"])
def test_standardised_scores_do_not_depend_on_an_errors_unit(fusion) -> None:
    normal, anomalous = draw(40, {"a": 0, "b": 0}, seed=0), draw(30, {"a": 2, "b": 1}, seed=1)
    other_unit = [{"a": 1000 * e["a"] - 7, "b": e["b"]} for e in (normal, anomalous)]
    results = []
    for known, strange in ((normal, anomalous), other_unit):
        stats = fit_errors(known)
        weights = choose_weights(known, strange, stats)
        stats = {n: replace(s, weight=weights[n] if fusion == "weighted" else 1.0) for n, s in stats.items()}
        results.append((fuse(strange, stats, fusion), list(weights.values())))
    np.testing.assert_allclose(results[0][0], results[1][0], rtol=1e-6)
    np.testing.assert_allclose(results[0][1], results[1][1], atol=1e-6)


def test_a_larger_error_never_lowers_the_score(calibrate) -> None:
    for fusion in FUSIONS:
        calibration = calibrate(scoring={"fusion": fusion})
        low, high = (score({"recon": r, "percept": 0.1}, calibration)[0] for r in (10.0, 11.0))
        assert low <= high


def test_weights_ignore_the_order_of_images_and_repeat_exactly() -> None:
    normal, anomalous = draw(30, {"a": 0, "b": 0, "c": 0}, seed=0), draw(30, {"a": 2, "b": 1.5, "c": 0}, seed=1)
    stats = fit_errors(normal)
    order = np.random.default_rng(2).permutation(30)
    shuffled = choose_weights({n: v[order] for n, v in normal.items()}, {n: v[order] for n, v in anomalous.items()}, stats)
    assert shuffled == choose_weights(normal, anomalous, stats)


def test_weights_are_shares() -> None:
    for seed in range(5):
        weights = weights_for({"a": 1.0, "b": 1.0, "c": 0.0, "d": -1.0}, seed=seed)
        assert min(weights.values()) >= 0
        assert sum(weights.values()) == pytest.approx(1)


def test_errors_that_carry_nothing_or_point_the_wrong_way_get_next_to_no_weight() -> None:
    chosen = [weights_for({"good": 2.0, "noise": 0.0, "wrong": -1.0}, seed=seed) for seed in range(10)]
    assert np.mean([w["noise"] for w in chosen]) < 0.05
    assert all(w["wrong"] == 0 for w in chosen)


def test_independent_informative_errors_share_the_weight() -> None:
    chosen = [weights_for({"a": 1.5, "b": 1.5}, seed=seed) for seed in range(10)]
    assert np.mean([0.25 < w["a"] < 0.75 for w in chosen]) >= 0.8


def test_errors_that_already_separate_perfectly_still_share_the_weight() -> None:
    weights = weights_for({"a": 6.0, "b": 6.0})
    assert min(weights.values()) > 0.2


def test_where_nothing_separates_one_error_still_scores() -> None:
    assert sum(weights_for({"a": -2.0, "b": -3.0}).values()) == 1


def test_without_anomalous_images_weights_are_equal() -> None:
    normal = draw(20, {"a": 0, "b": 0}, seed=0)
    assert choose_weights(normal, {}, fit_errors(normal)) == {"a": 0.5, "b": 0.5}


@pytest.mark.parametrize("count", [20, 60])
@pytest.mark.parametrize("shifts", [(2.0, 1.5, 0.0, 0.2), (2.5, 0.0, 0.0, -0.5), (1.0, 1.0, 1.0, 1.0)])
def test_the_weighted_score_is_not_worse_than_the_best_single_error_on_new_images(count, shifts) -> None:
    names = dict(zip("abcd", shifts, strict=True))
    new_normal, new_anomalous = draw(3000, dict.fromkeys(names, 0.0), seed=90), draw(3000, names, seed=91)
    best = max(area(new_normal[n], new_anomalous[n]) for n in names)
    losses = []
    for seed in range(8):
        normal = draw(count, dict.fromkeys(names, 0.0), seed=seed)
        stats = fit_errors(normal)
        weights = choose_weights(normal, draw(count, names, seed=seed + 500), stats)
        stats = {n: replace(s, weight=weights[n]) for n, s in stats.items()}
        losses.append(best - area(fuse(new_normal, stats, "weighted"), fuse(new_anomalous, stats, "weighted")))
    assert np.mean(losses) < 0.01
    assert max(losses) < 0.05


def test_one_absurd_image_does_not_choose_the_weights() -> None:
    normal, anomalous = draw(40, {"a": 0, "b": 0}, seed=0), draw(40, {"a": 2, "b": 0}, seed=1)
    anomalous["b"][0] = 1e9
    assert choose_weights(normal, anomalous, fit_errors(normal))["a"] > 0.8


def test_a_constant_error_keeps_a_positive_spread_relative_to_its_size() -> None:
    stats = fit_errors({"large": np.full(10, 1e6), "zero": np.zeros(10)})
    assert stats["large"].sigma == pytest.approx(1.0)
    assert stats["zero"].sigma > 0


@pytest.mark.parametrize("values", [[1.0, 2.0, 3.0], [1.0, 2.0, 3.0, np.nan], [1.0, 2.0, 3.0, np.inf]])
def test_too_few_or_not_finite_errors_are_refused(values) -> None:
    with pytest.raises(CalibrationError, match="recon"):
        fit_errors({"recon": np.array(values)})


@pytest.mark.parametrize("errors", [{"recon": 1.0}, {"recon": 1.0, "percept": float("nan")}])
def test_an_image_without_a_usable_error_has_no_score(calibrate, errors) -> None:
    with pytest.raises(CalibrationError, match="percept"):
        score(errors, calibrate())


def test_an_error_of_weight_zero_adds_nothing() -> None:
    stats = {"a": ErrorStats(0.0, 1.0, 1.0), "b": ErrorStats(0.0, 1.0, 0.0)}
    assert fuse({"a": np.array([2.0]), "b": np.array([50.0])}, stats, "weighted") == [2.0]


def test_anomalies_that_no_error_sees_leave_the_weights_equal_but_give_the_critic_none() -> None:
    weights = weights_for({"recon": 0.05, "percept": 0.2, "adv_x": 0.1})
    assert weights["adv_x"] == 0
    assert weights["recon"] == pytest.approx(weights["percept"])


def test_a_critic_that_separates_is_heard() -> None:
    assert weights_for({"recon": 0.2, "adv_x": 3.0})["adv_x"] > 0.5


def test_plain_evidence_against_an_error_takes_its_share_away() -> None:
    assert weights_for({"recon": 0.0, "percept": 3.0})["percept"] > 0.9
