"""Fields of judging an image: perceptual evidence, fusion, boundary."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from panda_core.config.learning import Backbone
from panda_core.config.ranges import check

Fusion = Literal["sum", "standardised", "weighted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PerceptConfig:
    """Perceptual evidence (beyond the paper): how unusual are frozen features of the image?"""

    enabled: bool = False
    """Whether the model has the error and the map ``percept``."""
    size: int = 224
    """Side in pixels of the square the frozen network sees; a multiple of 32."""
    backbone: Backbone = "efficientnet-lite0"
    """The frozen network f."""
    dimensions: int = 100
    """Feature channels kept per location (a fixed random subset, by seed)."""
    shrinkage: float = 0.1
    """Share of the pooled covariance mixed into each location's own."""
    modes: int = 1
    """Kinds of normal image (crops, product variants) with Gaussians of their own; an image is held against the nearest."""
    top: int = 40
    """The error is the mean of this many largest distances."""
    pooled: bool = False
    """Whether the model has the error ``percept_pooled``, too: how unusual the features are as a whole."""

    def __post_init__(self) -> None:
        check("percept.size", self.size, self.size >= 32 and self.size % 32 == 0, "be a multiple of 32, at least 32")
        check("percept.shrinkage", self.shrinkage, 0.0 < self.shrinkage <= 1.0, "lie in (0, 1]")
        check("percept.modes", self.modes, 1 <= self.modes <= 16, "lie in 1..16")
        check("percept.dimensions", self.dimensions, self.dimensions >= 2, "be at least 2")
        check("percept.top", self.top, self.top >= 1, "be at least 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoringConfig:
    """Fusion and boundary (paper III-C)."""

    fusion: Fusion = "standardised"
    """``sum`` is literal; ``standardised`` divides by sigma; ``weighted`` also weighs, chosen with held-out images and anomalies."""
    boundary: Literal["auto", "labelled", "synthetic", "tail"] = "auto"
    """``auto``: ``labelled`` with four known anomalies or more, else ``synthetic``; ``tail`` where that gives no boundary."""
    false_alarm_rate: float = 0.05
    """Rate of the ``tail`` boundary to be expected on normal images like those of the calibration."""
    smoothing: float = 2.0
    """Standard deviation in pixels (at S) of the Gaussian that smooths the maps."""
    pixel_false_alarm_rate: float = 0.002
    """Share of normal calibration pixels above the default pixel threshold."""

    def __post_init__(self) -> None:
        for name in ("false_alarm_rate", "pixel_false_alarm_rate"):
            check(f"scoring.{name}", getattr(self, name), 0.0 < getattr(self, name) < 0.5, "lie between 0 and 0.5")
        check("scoring.smoothing", self.smoothing, 0 <= self.smoothing <= 32, "lie in 0..32")
