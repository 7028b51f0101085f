"""Calibration images to a Calibration."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from panda_core.config import ScoringConfig
from panda_core.errors import CalibrationError
from panda_core.inspection import Evidence
from panda_core.scoring.fit import fit_calibration
from panda_core.scoring.fusion import score
from panda_core.scoring.maps import standardise


def _numbered(evidences: list[Evidence]) -> list[Evidence]:
    """The same with errors that differ, as pictures of one object do."""
    return [replace(evidence, errors={"recon": float(n), "percept": float(n)}) for n, evidence in enumerate(evidences)]


@pytest.mark.parametrize("fusion", ["sum", "standardised", "weighted"])
def test_a_calibration_holds_what_the_scores_say(calibrate, evidences, fusion) -> None:
    calibration = calibrate(30, 20, scoring={"fusion": fusion})
    assert (calibration.normal_scores.size, calibration.anomalous_scores.size, calibration.count) == (30, 20, 30)
    again = sorted(score(e.errors, calibration)[0] for e in evidences(30, seed=0))
    assert again == list(calibration.normal_scores)
    every = np.r_[calibration.normal_scores, calibration.anomalous_scores]
    assert (calibration.lo, calibration.hi) == (every.min(), every.max())
    assert calibration.boundary.kind == "synthetic"
    assert calibration.lo < calibration.boundary.value < calibration.hi


def test_only_the_weighted_fusion_weighs(calibrate) -> None:
    assert {s.weight for s in calibrate(scoring={"fusion": "standardised"}).errors.values()} == {1.0}
    weighted = calibrate(scoring={"fusion": "weighted"})
    assert sum(s.weight for s in weighted.errors.values()) == pytest.approx(1.0)


@pytest.mark.parametrize("fusion", ["sum", "standardised", "weighted"])
def test_an_unscored_error_is_kept_and_changes_no_score(evidences, fusion) -> None:
    normal, anomalous = evidences(20, seed=0), evidences(10, seed=1, shift=3.0)
    name = next(iter(normal[0].errors))

    def fit(normal, anomalous, unscored=()):
        scoring = ScoringConfig(fusion=fusion)
        return fit_calibration(normal, anomalous, source="labelled", scoring=scoring, fingerprint="f", unscored=unscored)

    def without(side):
        return [replace(e, errors={key: value for key, value in e.errors.items() if key != name}) for e in side]

    silent, absent = fit(normal, anomalous, (name,)), fit(without(normal), without(anomalous))
    assert silent.errors[name].weight == 0 and silent.errors[name].sigma > 0
    assert np.array_equal(silent.normal_scores, absent.normal_scores) and silent.boundary == absent.boundary


def test_normals_alone_calibrate_to_a_tail(calibrate) -> None:
    calibration = calibrate(30, 0, scoring={"fusion": "weighted"})
    assert calibration.boundary.kind == "tail"
    assert calibration.anomalous_scores.size == 0
    assert {s.weight for s in calibration.errors.values()} == {0.5}


@pytest.mark.parametrize("fusion", ["sum", "standardised"])
def test_the_tail_rate_holds_on_new_images_also_where_spreads_are_fitted(evidences, fusion) -> None:
    scoring = ScoringConfig(fusion=fusion, smoothing=0.0, false_alarm_rate=0.1)
    fresh = evidences(300, seed=77)
    rates = []
    for seed in range(40):
        calibration = fit_calibration(evidences(20, seed=1000 + seed), [], source=None, scoring=scoring, fingerprint="f")
        rates.append(np.mean([score(e.errors, calibration)[0] > calibration.boundary.value for e in fresh]))
    assert np.mean(rates) < 0.13


def test_the_pixel_threshold_holds_on_new_normal_images(calibrate, evidences) -> None:
    calibration = calibrate(20, 0, scoring={"pixel_false_alarm_rate": 0.01})
    share = np.mean([standardise(e.maps, calibration) > calibration.pixel_threshold for e in evidences(100, seed=5)])
    assert 0.003 < share < 0.015


def test_several_pictures_of_an_object_do_not_lower_the_pixel_threshold(evidences) -> None:
    scoring = ScoringConfig(pixel_false_alarm_rate=0.01, smoothing=0.0)
    seen = [evidence for one in evidences(10, seed=3) for evidence in (one, one)]  # each object twice, one after the other
    threshold = fit_calibration(_numbered(seen), [], source=None, scoring=scoring, fingerprint="f").pixel_threshold
    alone = fit_calibration(evidences(10, seed=3), [], source=None, scoring=scoring, fingerprint="f").pixel_threshold
    assert threshold > 0.9 * alone


def test_the_order_of_images_changes_nothing_but_the_pixel_threshold(evidences) -> None:
    normal, anomalous = evidences(20, seed=0), evidences(10, seed=1, shift=3.0)
    fits = [
        fit_calibration(n, a, source="labelled", scoring=ScoringConfig(fusion="weighted"), fingerprint="f")
        for n, a in ((normal, anomalous), (normal[::-1], anomalous[::-1]))
    ]
    np.testing.assert_allclose(fits[0].normal_scores, fits[1].normal_scores)
    assert fits[0].boundary.value == pytest.approx(fits[1].boundary.value)
    np.testing.assert_allclose(fits[0].maps["residual"].std, fits[1].maps["residual"].std, rtol=1e-5)


def test_map_weights_reach_the_calibration(evidences) -> None:
    weights = {"residual": 1.0, "percept": 3.0}
    calibration = fit_calibration(evidences(10, seed=0), [], source=None, scoring=ScoringConfig(), fingerprint="f", map_weights=weights)
    assert calibration.maps["percept"].weight == 0.75


def test_identical_normal_images_are_refused(evidences) -> None:
    with pytest.raises(CalibrationError, match="spread"):
        fit_calibration(evidences(1, seed=0) * 10, [], source=None, scoring=ScoringConfig(), fingerprint="f")


def test_too_few_unlike_or_sourceless_images_are_refused(evidences) -> None:
    normal = evidences(10, seed=0)
    foreign = Evidence({"recon": 1.0}, normal[0].reconstruction, normal[0].maps)
    for known, strange, words in ((normal[:3], [], "3 normal"), ([*normal, foreign], [], "different evidence"), (normal, normal, "source")):
        with pytest.raises(CalibrationError, match=words):
            fit_calibration(known, strange, source=None, scoring=ScoringConfig(), fingerprint="f")
