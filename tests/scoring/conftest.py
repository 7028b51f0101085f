"""Hand-made evidence: two errors and two maps per image, no network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from panda_core.config import ScoringConfig
from panda_core.inspection import Calibration, Evidence, Inspection
from panda_core.scoring.fit import fit_calibration

SIZE = 16


def make_evidences(count: int, *, seed: int, shift: float = 0.0) -> list[Evidence]:
    """Images whose errors lie ``shift`` standard deviations above normal and whose maps carry a square of that height."""
    random = np.random.default_rng(seed)
    evidences = []
    for _ in range(count):
        maps = {name: (5 + random.normal(size=(SIZE, SIZE))).astype(np.float32) for name in ("residual", "percept")}
        for values in maps.values():
            values[4:8, 4:8] += 4 * shift
        errors = {"recon": 10 + 2 * (random.normal() + shift), "percept": 0.1 * (random.normal() + shift)}
        evidences.append(Evidence(errors, np.zeros((SIZE, SIZE, 3), np.uint8), maps))
    return evidences


@pytest.fixture
def evidences() -> Callable[..., list[Evidence]]:
    return make_evidences


@pytest.fixture
def calibrate() -> Callable[..., Calibration]:
    def fit(normal: int = 30, anomalous: int = 20, *, shift: float = 4.0, scoring: Mapping[str, Any] | None = None) -> Calibration:
        return fit_calibration(
            make_evidences(normal, seed=0),
            make_evidences(anomalous, seed=1, shift=shift),
            source="synthetic" if anomalous else None,
            scoring=ScoringConfig(**{"smoothing": 1.0, **(scoring or {})}),
            fingerprint="f",
        )

    return fit


@pytest.fixture
def inspect(calibrate: Callable[..., Calibration]) -> Callable[..., Inspection]:
    def make(score: float, anomaly_map: np.ndarray | None = None, calibration: Calibration | None = None) -> Inspection:
        values = np.zeros((SIZE, SIZE), np.float32) if anomaly_map is None else anomaly_map
        picture = np.zeros((*values.shape, 3), np.uint8)
        known = calibration or calibrate()
        return Inspection("", "toy", picture, picture.copy(), np.zeros_like(values), values, {}, {}, score, known, 1.0)

    return make
