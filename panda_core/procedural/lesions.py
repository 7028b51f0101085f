"""Diseases drawn onto a leaf's surface, before it is lit and photographed: necrotic lesions, powdery mildew, small spots.

Each function takes the leaf's colour and gloss and gives back changed ones; nothing outside the leaf is touched.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from panda_core.procedural.noise import Float, Points, Rng, blur, grid, smooth_noise, smoothstep


@dataclass(frozen=True, slots=True, eq=False)
class Surface:
    """A leaf's upper side: ``colour`` S x S x 3 linear light in [0, 1], ``gloss`` S x S >= 0, ``relief`` S x S in image sides."""

    colour: Float
    gloss: Float
    relief: Float


def _tint(colour: Float, target: tuple[float, float, float], amount: Float) -> Float:
    return np.asarray(colour + (np.array(target, np.float32) - colour) * amount[..., None], np.float32)


def _scatter(rng: Rng, inside: Float, count: int, *, clustered: float) -> Points:
    """``count`` x 2 positions (fractions) on the leaf, drawn near one point for ``clustered`` -> 1, anywhere for 0."""
    rows, columns = np.nonzero(inside > 0.9)
    size = inside.shape[0]
    places = np.stack([columns, rows], axis=1) / size
    centre = places[rng.integers(len(places))]
    distance = np.linalg.norm(places - centre, axis=1)
    weight = np.exp(-distance * clustered * 6)
    return np.asarray(places[rng.choice(len(places), count, p=weight / weight.sum())] + 0.5 / size)


def _blobs(rng: Rng, size: int, centres: Points, radii: Points) -> Float:
    """S x S: distance to the nearest centre in its radii, with a wavy rim; far away 4."""
    x, y = grid(size)
    wobble = 1 + 0.16 * smooth_noise(rng, size, cells=14) + 0.10 * smooth_noise(rng, size, cells=40)
    field = np.full((size, size), 4.0, np.float32)
    for (cx, cy), radius in zip(centres, radii, strict=True):
        stretch = float(rng.uniform(0.75, 1.3))
        rows = slice(max(0, int((cy - 4 * radius) * size)), int((cy + 4 * radius) * size) + 2)
        columns = slice(max(0, int((cx - 4 * radius) * size)), int((cx + 4 * radius) * size) + 2)
        far = np.hypot((x[:, columns] - cx) * stretch, (y[rows] - cy) / stretch) / np.float32(radius)
        field[rows, columns] = np.minimum(field[rows, columns], far)
    return np.asarray(field * np.clip(wobble, 0.5, 1.6), np.float32)


def add_lesion(surface: Surface, inside: Float, rng: Rng) -> Surface:
    """A few brown, dry areas with a darker rim and a yellow halo."""
    size = inside.shape[0]
    count = int(rng.integers(1, 7))
    strength = float(rng.uniform(0.5, 1.0))
    radii = rng.uniform(0.022, 0.075, count) * (1.2 if count < 3 else 0.85)
    field = _blobs(rng, size, _scatter(rng, inside, count, clustered=0.4), radii)
    mottle = smooth_noise(rng, size, cells=60)
    halo = smoothstep(field, float(rng.uniform(1.5, 2.4)), 0.9) * inside * np.float32(strength * rng.uniform(0.35, 0.9))
    core = smoothstep(field, 1.05, 0.85) * inside * np.float32(strength)
    rim = core * smoothstep(field, 0.55, 0.9)
    colour = _tint(surface.colour, (0.36, 0.34, 0.035), halo)
    brown = (0.19, 0.085, 0.03) if rng.random() < 0.6 else (0.30, 0.19, 0.09)
    colour = _tint(colour, brown, core * 0.95) * (1 + 0.18 * core * mottle)[..., None]
    colour = _tint(colour, (0.055, 0.022, 0.012), rim * 0.85)
    relief = surface.relief - np.float32(0.004) * blur(core, size / 256)
    return Surface(np.clip(colour, 0, 1), surface.gloss * (1 - 0.85 * core), relief)


def add_mildew(surface: Surface, inside: Float, rng: Rng) -> Surface:
    """Whitish powder in soft, fraying patches; the gloss underneath is lost."""
    size = inside.shape[0]
    count = int(rng.integers(2, 6))
    field = _blobs(rng, size, _scatter(rng, inside, count, clustered=0.3), rng.uniform(0.05, 0.12, count))
    fray = smooth_noise(rng, size, cells=18, octaves=3)
    powder = smooth_noise(rng, size, cells=110)
    cover = smoothstep(field + 0.32 * fray, 1.35, 0.25) * inside
    amount = cover * np.float32(rng.uniform(0.4, 0.85)) * np.clip(0.85 + 0.25 * powder, 0.3, 1.1)
    colour = _tint(surface.colour, (0.63, 0.66, 0.59), np.clip(amount, 0, 0.95))
    return Surface(colour, surface.gloss * (1 - 0.9 * cover), surface.relief + np.float32(0.0007) * cover * powder)


def add_spots(surface: Surface, inside: Float, rng: Rng) -> Surface:
    """Many small dark spots, some with a pale centre and a faint yellow rim."""
    size = inside.shape[0]
    count = int(rng.integers(14, 90))
    strength = float(rng.uniform(0.6, 1.0))
    radii = rng.uniform(0.0045, 0.0125, count)
    field = _blobs(rng, size, _scatter(rng, inside, count, clustered=float(rng.uniform(0.1, 0.9))), radii)
    halo = smoothstep(field, 2.6, 1.0) * inside * np.float32(strength * rng.uniform(0.1, 0.6))
    core = smoothstep(field, 1.25, 0.75) * inside * np.float32(strength)
    colour = _tint(surface.colour, (0.30, 0.28, 0.03), halo)
    colour = _tint(colour, (0.045, 0.022, 0.012), core * 0.92)
    if rng.random() < 0.4:
        colour = _tint(colour, (0.22, 0.17, 0.10), smoothstep(field, 0.5, 0.1) * core * np.float32(0.8))
    return Surface(colour, surface.gloss * (1 - 0.7 * core), surface.relief)


LESIONS: dict[str, Callable[[Surface, Float, Rng], Surface]] = {"lesion": add_lesion, "mildew": add_mildew, "spot": add_spots}
"""Anomaly name -> what draws it."""
