"""The nouns: what was seen (Evidence), what normal looks like (Calibration), what is said (Inspection, Decision).

Evidence and decision are two objects: the network makes the first once, `decide` makes the second at each slider tick.
Arrays and mappings in these records are read-only, in their copies and in other processes, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from panda_core.config import Fusion

BoundaryKind = Literal["labelled", "synthetic", "tail", "manual"]
Verdict = Literal["normal", "anomalous"]
FloatMap = NDArray[np.float32]
Picture = NDArray[np.uint8]


def _freeze(array: np.ndarray) -> None:
    array.flags.writeable = False


class _Rebuilt:
    """A record that is copied and pickled by making it anew, because neither keeps arrays read-only, and a proxy cannot be pickled."""

    __slots__ = ()
    __dataclass_fields__: ClassVar[dict[str, Any]]

    def __reduce__(self) -> tuple[Any, ...]:
        values = (getattr(self, one.name) for one in fields(self))
        return type(self), tuple(dict(value) if isinstance(value, MappingProxyType) else value for value in values)


@dataclass(frozen=True, slots=True, eq=False)
class Evidence(_Rebuilt):
    """What a detector said about one image, before calibration."""

    errors: Mapping[str, float]
    """Raw error by name ("recon", "adv_x", "adv_rec", "percept", "percept_pooled"); larger = stranger."""
    reconstruction: Picture
    """S x S x 3 uint8 RGB."""
    maps: Mapping[str, FloatMap]
    """Raw map by name ("residual", "percept"): S x S float32 >= 0, larger = stranger."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "errors", MappingProxyType(dict(self.errors)))
        object.__setattr__(self, "maps", MappingProxyType(dict(self.maps)))
        _freeze(self.reconstruction)
        for array in self.maps.values():
            _freeze(array)


@dataclass(frozen=True, slots=True)
class ErrorStats:
    """Normal model of one error over the normal calibration images (III-C), and its weight in the fusion."""

    mu: float
    sigma: float
    """> 0."""
    weight: float = 1.0
    """>= 0; 0 leaves the error out of the score (it is still reported)."""


@dataclass(frozen=True, slots=True, eq=False)
class MapStats(_Rebuilt):
    """Mean and standard deviation per pixel of a smoothed map over normal calibration images, and its weight."""

    mean: FloatMap
    """S x S."""
    std: FloatMap
    """S x S, > 0."""
    weight: float = 1.0

    def __post_init__(self) -> None:
        _freeze(self.mean)
        _freeze(self.std)


@dataclass(frozen=True, slots=True)
class Boundary:
    """Score from which an image is called anomalous, and where that number comes from."""

    value: float
    kind: BoundaryKind
    reason: str
    """One plain sentence for the person: how the boundary was found and, if a better source failed, why."""
    false_alarm_rate: float | None = None
    """``tail``: the rate to expect on exchangeable normal images; else the rate measured on the normal calibration images."""
    miss_rate: float | None = None
    """Share of anomalous calibration images below the boundary; None without any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatingPoint:
    """Thresholds that a person set for a model, in the place of its own."""

    boundary: float
    """In units of the raw score."""
    pixel_threshold: float
    """In standard deviations of normal images."""
    who: str
    why: str
    when: str
    """ISO 8601, UTC."""


@dataclass(frozen=True, slots=True)
class NoCrossing:
    """The two fitted densities do not cross between their means; ``reason`` says why, in a sentence."""

    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Calibration(_Rebuilt):
    """Every calibrated number; travels with the model."""

    errors: Mapping[str, ErrorStats]
    fusion: Fusion
    lo: float
    """Minimum of the fused score over the calibration images (Eq. 3, frozen)."""
    hi: float
    """Maximum of the fused score over the calibration images (Eq. 3, frozen)."""
    boundary: Boundary
    pixel_threshold: float
    """In standard deviations of normal images."""
    maps: Mapping[str, MapStats]
    smoothing: float
    """Standard deviation in pixels (at S) of the Gaussian applied to raw maps before standardising."""
    normal_scores: NDArray[np.float64]
    """Fused scores of the normal calibration images, ascending."""
    anomalous_scores: NDArray[np.float64]
    """Fused scores of the anomalous (labelled or synthetic) calibration images, ascending; may be empty."""
    count: int
    """Normal calibration images."""
    fingerprint: str
    """SHA-256 over the calibration images' content hashes."""
    source: Literal["", "labelled", "synthetic"] = ""
    """Of the anomalous calibration images; "" where there are none, or an earlier version did not write it down."""
    operating_point: OperatingPoint | None = None
    """What `decide` takes unless told otherwise; None: ``boundary`` and ``pixel_threshold``, the model's own."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "errors", MappingProxyType(dict(self.errors)))
        object.__setattr__(self, "maps", MappingProxyType(dict(self.maps)))
        _freeze(self.normal_scores)
        _freeze(self.anomalous_scores)


@dataclass(frozen=True, slots=True)
class Region:
    """One connected region of the mask, in pixels of the original image."""

    area: int
    box: tuple[int, int, int, int]
    """x0, y0, x1, y1; the right and lower edges are exclusive."""
    peak: float
    """Largest map value in the region, in standard deviations of normal images."""
    mean: float
    peak_at: tuple[int, int]
    """x, y of the peak."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, as programs get it."""
        return {"area": self.area, "box": list(self.box), "peak": self.peak, "mean": self.mean, "peak_at": list(self.peak_at)}


@dataclass(frozen=True, slots=True, eq=False)
class Inspection(_Rebuilt):
    """One image, seen once by the network and given a meaning by the model's calibration. Immutable."""

    source: str
    """Path or name of the image; "" for a bare array."""
    model: str
    image: Picture
    """H x W x 3 uint8 RGB, original size."""
    reconstruction: Picture
    """H x W x 3 uint8 RGB, resized to the original size."""
    residual: FloatMap
    """H x W float32 in [0, 1]: mean over channels of |x - x'| at the network's size, resized."""
    anomaly_map: FloatMap
    """H x W float32 in standard deviations of normal images."""
    errors: Mapping[str, float]
    contributions: Mapping[str, float]
    """What each error added to the score; they sum up to ``score``."""
    score: float
    """Raw fused score; higher = stranger. Ranked, stored and compared; never clipped."""
    calibration: Calibration
    milliseconds: float
    """Network and scoring time."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "errors", MappingProxyType(dict(self.errors)))
        object.__setattr__(self, "contributions", MappingProxyType(dict(self.contributions)))
        for array in (self.image, self.reconstruction, self.residual, self.anomaly_map):
            _freeze(array)

    @property
    def gauge(self) -> float:
        """Eq. 3 with frozen minimum and maximum, clipped to [0, 1]: for the needle only."""
        span = self.calibration.hi - self.calibration.lo
        return float(np.clip((self.score - self.calibration.lo) / span, 0.0, 1.0))

    @property
    def p_value(self) -> float:
        """Conformal p-value: (1 + normal calibration scores at least this high) / (1 + their count)."""
        scores = self.calibration.normal_scores
        return float((1 + np.count_nonzero(scores >= self.score)) / (1 + scores.size))


@dataclass(frozen=True, slots=True, eq=False)
class Decision(_Rebuilt):
    """What is said about an Inspection at given thresholds. Made only by `scoring.decision.decide`."""

    boundary: Boundary
    verdict: Verdict
    margin: float
    """score - boundary; > 0 is anomalous."""
    pixel_threshold: float
    mask: NDArray[np.bool_]
    """H x W."""
    regions: tuple[Region, ...] = field(default=())
    """Strongest peak first."""

    def __post_init__(self) -> None:
        _freeze(self.mask)
