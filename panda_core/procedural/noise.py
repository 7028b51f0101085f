"""Seeded random streams, smooth noise and anti-aliased shapes: what both generators are made of.

Positions are fractions of the image side (0 = left or upper edge, 1 = right or lower edge), x first, so that one seed gives
the same scene at every size.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]
Mask = NDArray[np.bool_]
Picture = NDArray[np.uint8]
Points = NDArray[np.float64]
Rng = np.random.Generator

_SUBPIXELS = 3
"""Shapes are filled at this many times the size and averaged down: veins are thinner than a pixel."""


def stream(seed: int, name: str) -> Rng:
    """A generator of its own for each (seed >= 0, name): drawing more from one part of a scene does not change the others."""
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


def smooth_noise(rng: Rng, size: int, *, cells: int, octaves: int = 1) -> Float:
    """size x size float32 noise, mean near 0 and standard deviation near 1; ``cells`` bumps along a side, halved per octave."""
    total = np.zeros((size, size), np.float32)
    for octave in range(octaves):
        side = cells * 2**octave
        lattice = rng.standard_normal((side + 2, side + 2), dtype=np.float32)
        way = cv2.INTER_AREA if side + 2 > size else cv2.INTER_CUBIC
        total += np.float32(0.5**octave * 1.4) * cv2.resize(lattice, (size, size), interpolation=way)
    return total


def smoothstep(field: Float, low: float, high: float) -> Float:
    """Rises smoothly from 0 where field <= low to 1 where field >= high (falls where low > high)."""
    t = np.clip((field - np.float32(low)) / np.float32(high - low), 0.0, 1.0)
    return np.asarray(t * t * (3.0 - 2.0 * t), np.float32)


def blur(field: Float, sigma: float) -> Float:
    """Gaussian blur; ``sigma`` in pixels, 0 leaves the field as it is."""
    return np.asarray(cv2.GaussianBlur(field, (0, 0), sigma), np.float32) if sigma > 0 else field


def grid(size: int) -> tuple[Float, Float]:
    """x (1 x size) and y (size x 1) of the pixel centres as fractions of the side."""
    axis = ((np.arange(size) + 0.5) / size).astype(np.float32)
    return axis[None, :], axis[:, None]


def fill(polygons: Iterable[Points], size: int) -> Float:
    """Union of polygons (each N x 2) as size x size coverage in [0, 1]."""
    canvas = np.zeros((size * _SUBPIXELS, size * _SUBPIXELS), np.uint8)
    for polygon in polygons:
        # One at a time: together OpenCV would leave holes where they overlap.
        cv2.fillPoly(canvas, [np.round(polygon * size * _SUBPIXELS * 16).astype(np.int32)], 255, shift=4)
    return np.asarray(cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA), np.float32) / np.float32(255)


def ribbon(path: Points, widths: Points | float) -> Points:
    """Polygon around a polyline (N x 2) that is ``widths`` (N values or one) wide."""
    along = np.gradient(path, axis=0)
    across = np.stack([-along[:, 1], along[:, 0]], axis=1)
    across /= np.linalg.norm(across, axis=1, keepdims=True) + 1e-12
    half = across * np.broadcast_to(np.asarray(widths, np.float64) / 2, len(path))[:, None]
    return np.concatenate([path + half, (path - half)[::-1]])
