"""A stand-in for the engine that can be read by eye: normal is "as smooth as my blurred self".

Its reconstruction is the blurred image, its map the blurred difference, its score the largest value of the map. A spot on a plain
picture is therefore anomalous, a plain picture is not.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from panda_core.data.depth import Stretch, stretch
from panda_core.data.images import read_image
from panda_core.errors import ImageError, ModelError
from panda_core.inspection import Boundary, Calibration, ErrorStats, Inspection, OperatingPoint
from panda_core.origins import UNKNOWN, Origins
from panda_core.roi import inspect_within, load_roi
from panda_core.ui.engine import Measurement, ModelEntry

LEAF = ModelEntry(
    name="leaf",
    title="Leaves",
    data="A stand-in: no data",
    licence="MIT",
    limits=("Sees roughness, nothing else.",),
    measurements=(Measurement("rough spots", 0.91, 0.88, 0.94, 0.72),),
)
XRAY = ModelEntry(name="xray", title="X-ray of devices", problem="xray/model.safetensors is missing. Copy the whole folder again.")


def make_calibration() -> Calibration:
    """Normal scores spread over 1 to 5, anomalous ones over 5 to 14, boundary at 6."""
    return Calibration(
        errors={"recon": ErrorStats(mu=2.0, sigma=1.0), "percept": ErrorStats(mu=1.0, sigma=0.5)},
        fusion="standardised",
        lo=1.0,
        hi=14.0,
        boundary=Boundary(6.0, "synthetic", "The likelihoods of 99 normal images and 60 made anomalies cross here.", 0.0, 0.05),
        pixel_threshold=3.0,
        maps={},
        smoothing=0.0,
        normal_scores=np.sort(np.random.default_rng(0).normal(2.5, 0.7, 99).clip(1, 5)),
        anomalous_scores=np.sort(np.random.default_rng(1).normal(9, 2, 60).clip(5, 14)),
        count=99,
        fingerprint="0" * 64,
        source="synthetic",
    )


class FakeEngine:
    """The `Engine` protocol without a network; ``hold`` lets a test keep it loading."""

    def __init__(self, *models: ModelEntry, ready: bool = True) -> None:
        self.entries = models
        self.calls = 0
        self.point: OperatingPoint | None = None
        self.hold = threading.Event()
        if ready:
            self.hold.set()

    @property
    def ready(self) -> bool:
        return self.hold.is_set()

    @property
    def device(self) -> str:
        return "CPU" if self.ready else ""

    def warm(self) -> None:
        self.hold.wait(20)

    def models(self) -> tuple[ModelEntry, ...]:
        return self.entries

    def stretch(self, model: str) -> Stretch:
        return stretch

    def origins(self, model: str) -> Origins:
        return UNKNOWN

    def inspect_many(self, model: str, paths: Sequence[Path]) -> Iterator[Inspection | ImageError]:
        for path in paths:
            try:
                yield self.inspect(model, path)
            except ImageError as error:
                yield error

    def save_operating_point(self, model: str, **point: Any) -> None:
        self.point = OperatingPoint(when="2026-01-01T00:00:00+00:00", **point)

    def clear_operating_point(self, model: str) -> None:
        self.point = None

    def forget(self, model: str) -> None:
        """Nothing is kept."""

    def inspect(self, model: str, path: Path) -> Inspection:
        self.warm()
        entry = next((entry for entry in self.entries if entry.name == model), None)
        if entry is None or entry.problem:
            raise ModelError(entry.problem if entry else f"No model '{model}'; there is nothing of that name.")
        self.calls += 1
        image, roi = read_image(path), load_roi(model)
        found = self._see(image, model) if roi is None else inspect_within(lambda picture, _seen: self._see(picture, model), image, roi)
        return dataclasses.replace(found, source=str(path))

    def _see(self, image: np.ndarray, model: str) -> Inspection:
        reconstruction = cv2.GaussianBlur(image, (0, 0), 12)
        residual = np.abs(image.astype(np.float32) - reconstruction).mean(axis=2) / 255
        anomaly_map = cv2.GaussianBlur(residual, (0, 0), 2) * 25
        score = float(anomaly_map.max())
        return Inspection(
            source="",
            model=model,
            image=image,
            reconstruction=reconstruction,
            residual=residual,
            anomaly_map=anomaly_map,
            errors={"recon": float(residual.mean()), "percept": score},
            contributions={"recon": score * 0.25, "percept": score * 0.75},
            score=score,
            calibration=dataclasses.replace(make_calibration(), operating_point=self.point),
            milliseconds=1.0,
        )


def draw_spot(path: Path, *, size: int = 96, strength: int = 200) -> Path:
    """Write a plain grey picture with one bright square in the middle; strength 0 leaves it plain."""
    image = np.full((size, size, 3), 40, np.uint8)
    middle = slice(size // 2 - size // 10, size // 2 + size // 10)
    image[middle, middle] += np.uint8(strength)
    cv2.imwrite(str(path), image)
    return path
