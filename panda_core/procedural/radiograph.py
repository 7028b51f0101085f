"""What stands in an X-ray beam: materials, and the attenuation they add up to at two energies (Beer-Lambert).

Lengths are millimetres in the detector plane; the origin is the middle of the picture, x to the right, y down.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from panda_core.procedural.noise import Float, Points, ribbon

FIELD = 380.0
"""Side of the pictured square in mm."""

ATTENUATION: dict[str, tuple[float, float]] = {
    "plastic": (0.022, 0.018),
    "cloth": (0.006, 0.005),
    "glass": (0.066, 0.038),
    "laminate": (0.085, 0.050),
    "lithium cell": (0.150, 0.080),
    "silicon": (0.240, 0.105),
    "aluminium": (0.078, 0.041),
    "magnesium": (0.045, 0.027),
    "steel": (0.95, 0.25),
    "copper": (1.40, 0.34),
    "magnet": (2.40, 0.62),
}
"""Material -> effective attenuation per mm (mu) for the soft and the hard part of the beam, about 60 and 120 keV."""


class Radiograph:
    """Sums mu * t of every part, at ``side`` x ``side`` pixels: ``soft`` and ``hard``, float32, >= 0."""

    def __init__(self, side: int) -> None:
        self.scale = side / FIELD
        self.soft: Float = np.zeros((side, side), np.float32)
        self.hard: Float = np.zeros((side, side), np.float32)

    def copy(self) -> Radiograph:
        """An independent copy, to which more parts can be added."""
        other = Radiograph(self.soft.shape[0])
        other.soft, other.hard = self.soft.copy(), self.hard.copy()
        return other

    def add(self, polygons: Sequence[Points], material: str, mm: float) -> None:
        """Adds the union of polygons (each N x 2, mm), ``mm`` thick; a negative thickness takes material away (a hole)."""
        side = self.soft.shape[0]
        pixels = [polygon * self.scale + side / 2 for polygon in polygons]
        low = np.clip(np.floor(np.min([p.min(axis=0) for p in pixels], axis=0)).astype(int) - 1, 0, side)
        high = np.clip(np.ceil(np.max([p.max(axis=0) for p in pixels], axis=0)).astype(int) + 2, 0, side)
        if (high <= low).any():
            return
        stencil = np.zeros((high[1] - low[1], high[0] - low[0]), np.uint8)
        for polygon in pixels:
            cv2.fillPoly(stencil, [np.round((polygon - low) * 16).astype(np.int32)], 255, lineType=cv2.LINE_AA, shift=4)
        self.add_profile(stencil.astype(np.float32) * np.float32(mm / 255), (int(low[0]), int(low[1])), material)

    def add_profile(self, thickness: Float, corner: tuple[int, int], material: str) -> None:
        """Adds a thickness map (h x w, mm) whose upper left pixel lies at ``corner`` (x, y), inside the picture."""
        soft, hard = ATTENUATION[material]
        rows = slice(corner[1], corner[1] + thickness.shape[0])
        columns = slice(corner[0], corner[0] + thickness.shape[1])
        for plane, mu in ((self.soft, soft), (self.hard, hard)):
            plane[rows, columns] = np.maximum(plane[rows, columns] + thickness * np.float32(mu), 0)

    def transmission(self) -> NDArray[np.float32]:
        """Beer-Lambert: I / I0 = exp(-sum mu t), as side x side x 2 (soft, hard) in (0, 1]."""
        return np.exp(-np.stack([self.soft, self.hard], axis=2))


def rectangle(x: float, y: float, width: float, height: float, *, corner: float = 0.0) -> Points:
    """Rectangle from its upper left corner, with rounded corners of radius ``corner``."""
    if corner <= 0:
        return np.array([[x, y], [x + width, y], [x + width, y + height], [x, y + height]])
    quarter = np.linspace(0, np.pi / 2, 6)
    arcs = []
    for turn, cx, cy in ((2, x + corner, y + corner), (3, x + width - corner, y + corner), (0, x + width - corner, y + height - corner)):
        arcs.append(np.stack([cx + corner * np.cos(quarter + turn * np.pi / 2), cy + corner * np.sin(quarter + turn * np.pi / 2)], axis=1))
    last = quarter + np.pi / 2
    arcs.append(np.stack([x + corner + corner * np.cos(last), y + height - corner + corner * np.sin(last)], axis=1))
    return np.concatenate(arcs)


def disc(x: float, y: float, radius: float) -> Points:
    """Circle as a polygon of 28 corners."""
    turn = np.linspace(0, 2 * np.pi, 28, endpoint=False)
    return np.stack([x + radius * np.cos(turn), y + radius * np.sin(turn)], axis=1)


def wire(points: Sequence[tuple[float, float]], width: float, *, rounded: bool = False) -> Points:
    """Band of ``width`` along a polyline; ``rounded`` smooths its corners first."""
    path = np.array(points, np.float64)
    if rounded:
        for _ in range(3):
            inner = np.concatenate([0.75 * path[:-1] + 0.25 * path[1:], 0.25 * path[:-1] + 0.75 * path[1:]], axis=1).reshape(-1, 2)
            path = np.concatenate([path[:1], inner, path[-1:]])
    return ribbon(path, width)


def frame(outer: Points, inner: Points) -> Points:
    """The area between two closed outlines, as one polygon with a seam."""
    return np.concatenate([outer, outer[:1], inner[:1], inner[::-1]])
