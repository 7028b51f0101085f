"""Outlines and venation of four kinds of leaf: apple-like (serrate), grape-like (palmate), tomato-like (lobed), plain ovate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from panda_core.procedural.noise import Points, Rng, ribbon

SPECIES = ("apple", "grape", "tomato", "ovate")


@dataclass(frozen=True, slots=True, eq=False)
class Vein:
    """A polyline (N x 2, fractions of the image side) that tapers from ``thick`` to ``thin``."""

    path: Points
    thick: float
    thin: float

    def polygon(self) -> Points:
        """The vein as a filled shape."""
        return ribbon(self.path, np.linspace(self.thick, self.thin, len(self.path)))


@dataclass(frozen=True, slots=True, eq=False)
class LeafShape:
    """One leaf; every array is N x 2 in fractions of the image side."""

    outline: Points
    midribs: tuple[Vein, ...]
    side_veins: tuple[Vein, ...]
    petiole: Vein


def grow(species: str, rng: Rng) -> LeafShape:
    """A leaf of one of SPECIES, placed at random near the middle of the image."""
    shape = _grow_palmate(rng) if species == "grape" else _grow_pinnate(rng, species)
    return _place(shape, rng)


@dataclass(frozen=True, slots=True)
class _Blade:
    """A pinnate leaf blade: base at y = 0, tip at y = 1, half width ``width`` with profile t^rise (1-t)^fall."""

    width: float
    rise: float
    fall: float
    bend: float

    def midrib(self, t: Points) -> Points:
        return np.stack([self.bend * np.sin(np.pi * t * 0.9) * t, t], axis=-1)

    def half_width(self, t: Points) -> Points:
        peak = self.rise / (self.rise + self.fall)
        top = peak**self.rise * (1 - peak) ** self.fall
        return np.asarray(self.width * t**self.rise * np.clip(1 - t, 0, 1) ** self.fall / top)

    def across(self, t: Points) -> Points:
        step = self.midrib(t + 1e-3) - self.midrib(t - 1e-3)
        normal = np.stack([step[..., 1], -step[..., 0]], axis=-1)
        return np.asarray(normal / np.linalg.norm(normal, axis=-1, keepdims=True))


def _blade(species: str, rng: Rng) -> _Blade:
    bend = float(rng.normal(0, 0.07))
    if species == "apple":
        return _Blade(float(rng.uniform(0.27, 0.38)), float(rng.uniform(0.55, 0.72)), float(rng.uniform(0.85, 1.15)), bend)
    if species == "tomato":
        return _Blade(float(rng.uniform(0.27, 0.36)), float(rng.uniform(0.28, 0.42)), float(rng.uniform(0.75, 1.0)), bend)
    return _Blade(float(rng.uniform(0.24, 0.33)), float(rng.uniform(0.55, 0.75)), float(rng.uniform(0.9, 1.25)), bend)


def _margin(blade: _Blade, species: str, side: float, rng: Rng) -> Points:
    """One side of the outline from base to tip: profile, lobes or teeth, and a little irregularity."""
    t = np.linspace(0.0, 1.0, 420)
    width = blade.half_width(t) * (1 + 0.035 * np.sin(2 * np.pi * (rng.uniform(1, 2.6) * t + rng.uniform())))
    forward = np.zeros_like(t)
    envelope = np.clip(t / 0.08, 0, 1) * np.clip((1 - t) / 0.1, 0, 1)
    if species == "apple":
        tooth = _teeth(t, int(rng.integers(24, 34)), rng)
        width = width + envelope * 0.013 * tooth
        forward = envelope * 0.008 * tooth
    elif species == "tomato":
        lobe = _teeth(t**0.9, int(rng.integers(4, 7)), rng) ** 0.6
        depth = rng.uniform(0.22, 0.5) * (1 - 0.7 * t)
        width = width * (1 - depth + depth * 1.35 * lobe * envelope) + envelope * 0.006 * _teeth(t, int(rng.integers(15, 22)), rng)
        forward = envelope * depth * 0.16 * lobe
    points = blade.midrib(t + forward) + side * width[:, None] * blade.across(t)
    return np.asarray(points)


def _teeth(t: Points, count: int, rng: Rng) -> Points:
    """Saw teeth in [0, 1] that point to the tip, of unequal length and height."""
    phase = t * count + 0.35 * np.sin(2 * np.pi * (rng.uniform(1, 3) * t + rng.uniform()))
    height = rng.uniform(0.35, 1.0, count + 3)[np.clip(np.floor(phase).astype(int) + 1, 0, count + 2)]
    ramp = phase - np.floor(phase)
    return np.asarray(height * np.where(ramp < 0.72, ramp / 0.72, (1 - ramp) / 0.28))


def _grow_pinnate(rng: Rng, species: str) -> LeafShape:
    blade = _blade(species, rng)
    right, left = (_margin(blade, species, side, rng) for side in (1.0, -1.0))
    outline = np.concatenate([right, left[::-1]])
    rib = blade.midrib(np.linspace(-0.01, 0.985, 60))
    midrib = Vein(rib, 0.019, 0.004)
    sides = tuple(vein for side in (1.0, -1.0) for vein in _side_veins(blade, side, rng))
    length = float(rng.uniform(0.1, 0.22))
    drop = np.linspace(-length, 0.02, 12)
    stalk = np.stack([rng.normal(0, 0.25) * drop**2 / length + rng.normal(0, 0.1) * drop, drop], axis=1)
    return LeafShape(outline, (midrib,), sides, Vein(stalk, 0.03, 0.02))


def _side_veins(blade: _Blade, side: float, rng: Rng) -> list[Vein]:
    veins = []
    count = int(rng.integers(6, 10))
    reach = float(rng.uniform(0.14, 0.24))
    for start in np.linspace(0.06, 0.86, count) + rng.normal(0, 0.012, count):
        s = np.linspace(0, 1, 16)
        end = min(0.97, start + reach * (1.15 - 0.5 * start))
        t = start + (end - start) * (0.55 * s + 0.45 * s**2.4)
        lateral = 0.94 * blade.half_width(np.array(end)) * s
        path = blade.midrib(t) + side * lateral[:, None] * blade.across(t)
        veins.append(Vein(path, 0.0075, 0.002))
        veins.extend(_branches(path, rng, thick=0.0028, side=side))
    return veins


def _branches(path: Points, rng: Rng, *, thick: float, side: float) -> list[Vein]:
    """One or two short veins that leave a vein towards the leaf's base, near its outer end."""
    veins = []
    for at in rng.uniform(0.35, 0.8, int(rng.integers(1, 3))):
        index = int(at * (len(path) - 2))
        ahead = path[-1] - path[index]
        turn = -side * rng.uniform(0.45, 0.8)
        turned = np.array([ahead[0] * np.cos(turn) - ahead[1] * np.sin(turn), ahead[0] * np.sin(turn) + ahead[1] * np.cos(turn)])
        s = np.linspace(0, 1, 8)[:, None]
        veins.append(Vein(path[index] + turned * s * 0.34 + ahead * 0.16 * s**2, thick, 0.0012))
    return veins


def _grow_palmate(rng: Rng) -> LeafShape:
    """Five lobes around the petiole's end; radius over the angle from the tip, with a notch at the base."""
    angles = np.array([0.0, 0.9, -0.9, 1.9, -1.9]) + rng.normal(0, 0.05, 5)
    reach = np.array([0.60, 0.53, 0.53, 0.44, 0.44]) * rng.normal(1, 0.04, 5)
    theta = np.linspace(-2.98, 2.98, 900)
    depth = float(rng.uniform(0.2, 0.42))
    bumps = np.stack([r * np.exp(-((np.abs(theta - a) / 0.5) ** 1.6)) for a, r in zip(angles, reach, strict=True)])
    radius = (1 - depth) * 0.48 + depth * 1.1 * bumps.max(axis=0)
    radius = radius * np.clip((2.98 - np.abs(theta)) / 0.34, 0, 1) ** 0.5 + 0.01
    tooth = _teeth((theta + 2.98) / 5.96, int(rng.integers(30, 52)), rng)
    radius = radius * (1 + 0.15 * tooth * np.clip((2.98 - np.abs(theta)) / 0.4, 0, 1)) * (1 + 0.03 * np.sin(theta * 2 + rng.uniform(0, 6)))
    outline = radius[:, None] * np.stack([np.sin(theta), np.cos(theta)], axis=1)
    ribs, sides = [], []
    for angle in angles:
        edge = float(np.interp(angle, theta, radius))
        path = _ray(np.zeros(2), angle, edge * 0.95, float(rng.normal(0, 0.1)))
        ribs.append(Vein(path, 0.012, 0.003))
        sides.extend(_palmate_sides(path, angle, rng))
    length = float(rng.uniform(0.15, 0.3))
    stalk = np.stack([rng.normal(0, 0.2) * np.linspace(-1, 0, 12) ** 2 * length, np.linspace(-length, 0.0, 12)], axis=1)
    shift = np.array([0.0, 0.44])
    return LeafShape(
        outline + shift,
        tuple(Vein(v.path + shift, v.thick, v.thin) for v in ribs),
        tuple(Vein(v.path + shift, v.thick, v.thin) for v in sides),
        Vein(stalk + shift, 0.022, 0.016),
    )


def _ray(start: Points, angle: float, length: float, curve: float) -> Points:
    s = np.linspace(0, 1, 24)
    turned = angle + curve * s
    return np.asarray(start + length * s[:, None] * np.stack([np.sin(turned), np.cos(turned)], axis=1))


def _palmate_sides(rib: Points, angle: float, rng: Rng) -> list[Vein]:
    veins = []
    length = float(np.linalg.norm(rib[-1]))
    for side in (1.0, -1.0):
        for at in np.linspace(0.22, 0.85, 5) + rng.normal(0, 0.02, 5):
            index = int(np.clip(at, 0, 1) * (len(rib) - 1))
            path = _ray(rib[index], angle + side * 0.75, length * (0.62 - 0.45 * at), -side * 0.25)
            veins.append(Vein(path, 0.006, 0.0018))
            veins.extend(_branches(path, rng, thick=0.0022, side=side))
    return veins


def _place(shape: LeafShape, rng: Rng) -> LeafShape:
    """Warps the leaf a little (no leaf is symmetric), turns it, scales it to fill the picture and moves it to the middle."""
    phases = rng.uniform(0, 2 * np.pi, 4)
    amount = rng.uniform(0.006, 0.03, 2)
    turn = float(rng.normal(0, 0.55)) + np.pi
    matrix = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])

    def warp(points: Points) -> Points:
        x, y = points[:, 0], points[:, 1]
        aside = amount[0] * (np.sin(5 * y + phases[0]) + 0.5 * np.sin(9 * y + 4 * x + phases[1]))
        along = amount[1] * np.sin(6 * x + phases[2])
        moved = points + np.stack([aside, along], axis=1)
        return np.asarray(moved @ matrix)

    outline = warp(shape.outline)
    low, high = outline.min(axis=0), outline.max(axis=0)
    scale = float(rng.uniform(0.74, 0.93)) / float((high - low).max())
    offset = 0.5 + rng.normal(0, 0.015, 2) - scale * (low + high) / 2

    def put(vein: Vein) -> Vein:
        return Vein(warp(vein.path) * scale + offset, vein.thick * scale, vein.thin * scale)

    return LeafShape(outline * scale + offset, tuple(map(put, shape.midribs)), tuple(map(put, shape.side_veins)), put(shape.petiole))
