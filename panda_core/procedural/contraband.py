"""Foreign metal concealed in a device: loose screws, thin plates, blades; parts added to the beam like any other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from panda_core.procedural.noise import Points, Rng
from panda_core.procedural.radiograph import Radiograph, disc, rectangle


def _put(points: Points, turn: float, at: Points) -> Points:
    matrix = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    return np.asarray(points @ matrix + at)


def _spot(rng: Rng, outline: tuple[float, float], margin: float) -> Points:
    half = np.array(outline) / 2 - margin
    return rng.uniform(-half, half)


def add_screws(scan: Radiograph, outline: tuple[float, float], rng: Rng) -> None:
    """One to four loose screws lying on their side: head, threaded shaft, tip."""
    for _ in range(int(rng.integers(1, 5))):
        length, thick = float(rng.uniform(9, 20)), float(rng.uniform(2.6, 4.0))
        turn, at = float(rng.uniform(0, 2 * np.pi)), _spot(rng, outline, 22)
        head = rectangle(-thick * 0.5, -thick, thick * 0.75, 2 * thick, corner=0.5)
        shaft = rectangle(0, -thick * 0.42, length, thick * 0.84)
        tip = np.array([[length, -thick * 0.42], [length + thick * 0.8, 0.0], [length, thick * 0.42]])
        thread = [rectangle(x, -thick * 0.5, 0.7, thick) for x in np.arange(1.5, length, 1.5)]
        scan.add([_put(head, turn, at)], "steel", thick * 0.7)
        scan.add([_put(p, turn, at) for p in (shaft, tip)], "steel", thick * 0.6)
        scan.add([_put(p, turn, at) for p in thread], "steel", thick * 0.2)


_SHEETS = (("steel", 0.35, 1.5), ("copper", 0.25, 0.9), ("aluminium", 4.0, 10.0))
"""Material, least and greatest thickness in mm."""


def add_plate(scan: Radiograph, outline: tuple[float, float], rng: Rng) -> None:
    """A cut piece of sheet metal, sometimes with a hole; steel, copper or thick aluminium."""
    width, height = float(rng.uniform(24, 70)), float(rng.uniform(16, 46))
    turn, at = float(rng.uniform(0, 2 * np.pi)), _spot(rng, outline, 42)
    plate = rectangle(-width / 2, -height / 2, width, height)
    plate = plate + rng.uniform(-0.14, 0.14, (4, 2)) * min(width, height)
    material, thinnest, thickest = _SHEETS[int(rng.integers(len(_SHEETS)))]
    mm = float(rng.uniform(thinnest, thickest))
    scan.add([_put(plate, turn, at)], material, mm)
    if rng.random() < 0.5:
        scan.add([_put(disc(width * 0.25, 0.0, height * 0.12), turn, at)], material, -mm)


def add_blade(scan: Radiograph, outline: tuple[float, float], rng: Rng) -> None:
    """A craft-knife, scalpel or small knife blade, ground thinner towards its edge; the knife has a tang."""
    shape = _BLADES[int(rng.integers(len(_BLADES)))]
    length, mm = float(rng.uniform(*shape.length)), float(rng.uniform(*shape.mm))
    turn, at = float(rng.uniform(0, 2 * np.pi)), _spot(rng, outline, 50)
    flip = rng.choice([1.0, -1.0])
    whole, body = shape.points, shape.points
    body[body[:, 1] > 0, 1] *= 0.45
    for points, share in ((whole, 0.45), (body, 0.55)):
        scan.add([_put((points - [0.5, 0.0]) * [length, length * flip], turn, at)], "steel", mm * share)
    for x in shape.holes:
        scan.add([_put(disc((x - 0.5) * length, 0.0, length * 0.022), turn, at)], "steel", -mm)


@dataclass(frozen=True, slots=True, eq=False)
class _Blade:
    """Upper and lower outline along x from 0 to 1 (the edge is at y > 0), holes on the axis, ranges in mm."""

    back: tuple[tuple[float, float], ...]
    edge: tuple[tuple[float, float], ...]
    holes: tuple[float, ...]
    length: tuple[float, float]
    mm: tuple[float, float]

    @property
    def points(self) -> Points:
        return np.array(self.back + self.edge[::-1])


_CRAFT_KNIFE = _Blade(((0, -0.085), (0.86, -0.085)), ((0, 0.085), (1.0, 0.085)), (0.12,), (48, 95), (0.5, 0.9))
_SCALPEL = _Blade(
    ((0, -0.05), (0.4, -0.05), (0.46, -0.07), (0.85, -0.06), (1.0, 0.0)),
    ((0, 0.05), (0.4, 0.05), (0.46, 0.06), (0.7, 0.09), (0.93, 0.07)),
    (0.1, 0.28),
    (38, 60),
    (0.5, 0.9),
)
_KNIFE = _Blade(
    ((0, -0.035), (0.36, -0.035), (0.38, -0.075), (0.8, -0.07), (1.0, 0.0)),
    ((0, 0.035), (0.36, 0.035), (0.38, 0.09), (0.88, 0.07)),
    (0.08, 0.2),
    (85, 140),
    (1.0, 2.2),
)
_BLADES = (_CRAFT_KNIFE, _SCALPEL, _KNIFE)

CONTRABAND: dict[str, Callable[[Radiograph, tuple[float, float], Rng], None]] = {
    "screw": add_screws,
    "plate": add_plate,
    "blade": add_blade,
}
"""Anomaly name -> what adds it to the beam."""
