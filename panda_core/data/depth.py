"""Deep values (more than 8 bits a channel) -> 8 bits: by the range of each image, or by one range for all.

The own range is the default, because a 12-bit camera's or an X-ray detector's values fill a small part of their type's range. Where
values mean the same in every image, one range for all keeps that meaning: a dense object then changes no pixel but its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from panda_core.config import DataConfig

_EIGHT_IN_SIXTEEN = 257
"""65535 / 255: what an 8-bit value is multiplied by where it is written with 16 bits."""
_FLOAT32_MAX = float(np.finfo(np.float32).max)

Picture = NDArray[np.uint8]
Stretch = Callable[[NDArray[Any]], Picture]
"""Deep values of any shape -> 0..255."""


class RefusedError(Exception):
    """Why a file is not decoded; `data.images` adds the path and makes it an ImageError."""


def stretch(values: NDArray[Any], *, low: float | None = None, high: float | None = None) -> Picture:
    """Real values of any shape -> uint8: low..high (default: their own finite minimum and maximum) becomes 0..255, clipped.

    A single hot or dead pixel does not count as minimum or maximum of a picture.
    8-bit values without a given range are returned unchanged, and so are those that were only written with 16 bits (all are multiples
    of 257). All equal gives 0; not-a-number gives 0.
    """
    if values.dtype.kind not in "biuf":
        raise RefusedError(f"has pixels of type {values.dtype}; real numbers are read")
    if low is None and high is None and (shallow := _of_eight_bits(values)) is not None:
        return shallow
    scaled = values.astype(np.float32 if values.dtype.itemsize <= 2 else np.float64)
    finite = np.isfinite(scaled)
    if not finite.any():
        raise RefusedError("has no finite pixel")
    if low is None or high is None:  # looking for the own range takes longer than all the rest
        least, most = _range(scaled, finite)
        low, high = least if low is None else low, most if high is None else high
    half_span = high / 2 - low / 2  # halves, because the span of two finite numbers can be infinite
    if half_span <= 0:
        return np.zeros(values.shape, np.uint8)
    scaled = np.clip(np.nan_to_num(scaled, nan=low, posinf=high, neginf=low), low, high)
    return _uint8(np.rint((scaled / 2 - low / 2) / half_span * 255.0))


def _of_eight_bits(values: NDArray[Any]) -> Picture | None:
    """Values that need no stretching, also where they were only written with 16 bits."""
    if values.dtype == np.uint16 and not (values % _EIGHT_IN_SIXTEEN).any():
        return _uint8(values // _EIGHT_IN_SIXTEEN)
    return values if values.dtype == np.uint8 else None


def _uint8(values: NDArray[Any]) -> Picture:
    return values.astype(np.uint8, copy=False)


def _range(values: NDArray[Any], finite: NDArray[np.bool_]) -> tuple[float, float]:
    """Finite minimum and maximum; of a picture those of its 3 x 3 medians, which no single pixel changes, unless they are all equal."""
    extremes = float(values.min(where=finite, initial=np.inf)), float(values.max(where=finite, initial=-np.inf))
    is_picture = (values.ndim == 2 or (values.ndim == 3 and values.shape[2] in (1, 3, 4))) and min(values.shape[:2]) >= 3
    if not is_picture or not finite.all() or max(map(abs, extremes)) > _FLOAT32_MAX:
        return extremes
    calm = cv2.medianBlur(np.ascontiguousarray(values, np.float32), 3)
    least, most = float(calm.min()), float(calm.max())
    return (least, most) if least < most else extremes


@dataclass(frozen=True, slots=True)
class FixedRange:
    """low..high becomes 0..255 in every image, and what lies beyond is clipped. Values of 8 bits are kept."""

    low: float
    high: float

    def __call__(self, values: NDArray[Any]) -> Picture:
        """Raises RefusedError for values that are all below or all above the range."""
        if values.dtype == np.uint8:
            return values
        pixels = stretch(values, low=self.low, high=self.high)
        known = values[np.isfinite(values)] if values.dtype.kind == "f" else values
        least, most = known.min(), known.max()
        if most < self.low or least > self.high:
            raise RefusedError(
                f"has values from {least:g} to {most:g}, all outside the range from {self.low:g} to {self.high:g} that this model reads: "
                "it comes from another device, or was written another way"
            )
        return pixels


@dataclass(slots=True)
class Measuring:
    """Stretches as another does, and keeps the range of what it was given."""

    by: Stretch
    range: tuple[float, float] | None = None
    """Lowest and highest of the deep values seen last, without a single hot or dead pixel; None where there were none."""

    def __call__(self, values: NDArray[Any]) -> Picture:
        """As ``by``."""
        pixels = self.by(values)
        if _of_eight_bits(values) is None:
            scaled = values.astype(np.float64)
            self.range = _range(scaled, np.isfinite(scaled))
        return pixels


def is_fixed(deep: Stretch) -> bool:
    """Whether a value becomes the same in every image."""
    return isinstance(deep.by if isinstance(deep, Measuring) else deep, FixedRange)


def for_eight_bits(deep: Stretch) -> Stretch:
    """The same for values of 8 bits that come as another type: a range of deep ones does not hold for them, nor are they measured."""
    return stretch if isinstance(deep, FixedRange | Measuring) else deep


def stretch_for(data: DataConfig) -> Stretch:
    """What a configuration does with deep values."""
    return FixedRange(data.deep_low, data.deep_high) if data.deep_low < data.deep_high else stretch


def range_said(data: DataConfig) -> str:
    """How a configuration reads deep images, for people; "" where each has its own range."""
    return f"{data.deep_low:.10g} to {data.deep_high:.10g}" if is_fixed(stretch_for(data)) else ""
