"""Leaves photographed from above on a table: shape, surface, light, shadow and camera, all from one seed.

The scene is kept in linear light; an anomaly changes only the leaf's surface, so the normal and the anomalous picture of one
seed differ by the anomaly alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from panda_core.procedural.difference import quantise, splice
from panda_core.procedural.leaf_shape import SPECIES, LeafShape, Vein, grow
from panda_core.procedural.lesions import LESIONS, Surface
from panda_core.procedural.noise import Float, Mask, Picture, Rng, blur, fill, grid, smooth_noise, smoothstep, stream

LEAF_ANOMALIES = tuple(LESIONS)
"""Kinds of anomaly: "lesion", "mildew", "spot"."""


@dataclass(frozen=True, slots=True)
class _Light:
    """Direction towards the lamp (unit vector, y down) and how hard it is: 0 overcast, 1 direct sun."""

    x: float
    y: float
    z: float
    hardness: float


@dataclass(frozen=True, slots=True, eq=False)
class _Scene:
    inside: Float
    surface: Surface
    table: Float
    light: _Light


def draw_leaf(seed: int, *, size: int = 256, anomaly: str | None = None) -> tuple[Picture, Mask]:
    """A leaf as size x size x 3 uint8 RGB, and the size x size mask of the pixels the anomaly changed (all False without one).

    ``seed`` >= 0 fixes the scene: with and without ``anomaly`` (one of LEAF_ANOMALIES) it is the same leaf, table and noise.
    Raises ValueError for an unknown anomaly or a size below 32.
    """
    if anomaly is not None and anomaly not in LESIONS:
        raise ValueError(f"Unknown anomaly '{anomaly}'. Known: {', '.join(LEAF_ANOMALIES)}.")
    if size < 32:
        raise ValueError(f"size is {size}; a leaf needs at least 32 pixels.")
    scene = _build(seed, size)
    grain = _grain(seed, size)
    normal = _photograph(scene, seed) + grain
    if anomaly is None:
        return quantise(normal), np.zeros((size, size), np.bool_)
    sick = LESIONS[anomaly](scene.surface, scene.inside, stream(seed, anomaly))
    return splice(normal, _photograph(replace(scene, surface=sick), seed) + grain)


def _build(seed: int, size: int) -> _Scene:
    rng = stream(seed, "leaf")
    species = SPECIES[int(rng.integers(len(SPECIES)))]
    shape = grow(species, stream(seed, "shape"))
    inside = fill([shape.outline], size)
    light = _lamp(stream(seed, "light"))
    surface = _surface(shape, inside, species, rng)
    stalk = fill([shape.petiole.polygon()], size)
    table = _table(np.maximum(inside, stalk), light, stream(seed, "table"))
    table = _lay_stalk(table, stalk, rng)
    return _Scene(inside, surface, table, light)


def _lamp(rng: Rng) -> _Light:
    azimuth, height = float(rng.uniform(0, 2 * np.pi)), float(rng.uniform(0.75, 1.2))
    flat = float(np.cos(height))
    return _Light(flat * float(np.cos(azimuth)), flat * float(np.sin(azimuth)), float(np.sin(height)), float(rng.uniform(0, 1)))


def _lay_stalk(table: Float, stalk: Float, rng: Rng) -> Float:
    colour = np.array([0.25, 0.33, 0.12], np.float32) * np.float32(rng.uniform(0.6, 1.2))
    round_ = 0.55 + 0.6 * blur(stalk, stalk.shape[0] / 200)
    return np.asarray(table + (colour * round_[..., None] - table) * stalk[..., None], np.float32)


def _table(cover: Float, light: _Light, rng: Rng) -> Float:
    """Grey to beige board with a fine grain, uneven light and the leaf's shadow; S x S x 3 linear light."""
    size = cover.shape[0]
    x, y = grid(size)
    tone = np.array([0.300, 0.275, 0.290], np.float32) * (1 + rng.normal(0, [0.05, 0.01, 0.06])).astype(np.float32)
    tone *= np.float32(rng.uniform(0.75, 1.75))
    slope = 1 + 0.25 * float(rng.normal()) * (x - 0.5) + 0.25 * float(rng.normal()) * (y - 0.5)
    texture = 1 + rng.uniform(0.015, 0.045) * smooth_noise(rng, size, cells=240) + 0.012 * smooth_noise(rng, size, cells=6, octaves=2)
    reach = 0.02 + 0.085 * rng.uniform() * light.hardness
    moved = np.array([[1, 0, -light.x / light.z * reach * size], [0, 1, -light.y / light.z * reach * size]], np.float32)
    thrown = cv2.warpAffine(cover, moved, (size, size), flags=cv2.INTER_LINEAR)
    thrown = blur(np.asarray(thrown, np.float32), size * (0.022 - 0.018 * light.hardness))
    contact = blur(cover, size * 0.012)
    shade = (1 - (0.35 + 0.55 * light.hardness) * thrown) * (1 - 0.35 * contact)
    return np.asarray(tone * (slope * texture * shade)[..., None], np.float32)


def _surface(shape: LeafShape, inside: Float, species: str, rng: Rng) -> Surface:
    size = inside.shape[0]
    ribs = fill([v.polygon() for v in shape.midribs], size)
    sides = fill([v.polygon() for v in shape.side_veins], size)
    net = _reticulation(rng, size, cells=34) * 0.6 + _reticulation(rng, size, cells=80) * 0.4
    veins = np.clip(ribs + 0.8 * sides, 0, 1)
    relief = _relief(shape, net, rng, size)
    colour = _green(rng, species, inside, veins, net, relief)
    gloss = np.clip(0.85 + 0.12 * smooth_noise(rng, size, cells=90), 0, 2) * np.float32(rng.uniform(0.15, 1.0))
    return Surface(colour, np.asarray(gloss, np.float32), relief)


def _reticulation(rng: Rng, size: int, *, cells: int) -> Float:
    """Borders between the cells of a jittered grid: the finest veins, as S x S in about [0, 1]."""
    x, y = np.meshgrid(np.arange(cells), np.arange(cells))
    at = (np.stack([x, y], axis=-1) + rng.uniform(0, 1, (cells, cells, 2))) / cells * size
    pixel = np.clip(at.astype(np.intp), 0, size - 1).reshape(-1, 2)
    paper = np.ones((size, size), np.uint8)
    paper[pixel[:, 1], pixel[:, 0]] = 0
    _, labels = cv2.distanceTransformWithLabels(paper, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    edge = np.zeros((size, size), np.float32)
    edge[:, 1:] += labels[:, 1:] != labels[:, :-1]
    edge[1:] += labels[1:] != labels[:-1]
    return np.asarray(np.clip(blur(edge, size / 256 * 0.8) * np.float32(size / 256), 0, 1), np.float32)


def _away(veins: tuple[Vein, ...], size: int) -> Float:
    """Distance to the nearest vein's centre line, in image sides."""
    paper = np.full((size, size), 255, np.uint8)
    cv2.polylines(paper, [np.round(v.path * size).astype(np.int32) for v in veins], False, 0)
    return np.asarray(cv2.distanceTransform(paper, cv2.DIST_L2, 5), np.float32) / np.float32(size)


def _relief(shape: LeafShape, net: Float, rng: Rng, size: int) -> Float:
    """Height of the leaf in image sides: blistered between veins, folded along the midrib, gently curled, finely rough."""
    pillow = 1 - np.exp(-_away(shape.midribs + shape.side_veins, size) / np.float32(0.016))
    fold = blur(_away(shape.midribs, size), size * 0.006)
    relief = rng.uniform(0.003, 0.012) * pillow + rng.uniform(-0.2, 0.3) * fold
    relief += rng.uniform(0.010, 0.028) * smooth_noise(rng, size, cells=3) + rng.uniform(0.0008, 0.003) * smooth_noise(rng, size, cells=11)
    relief -= rng.uniform(0.0003, 0.0009) * net
    relief += rng.uniform(0.0001, 0.0004) * smooth_noise(rng, size, cells=130)
    return blur(relief.astype(np.float32), size / 256 * 0.7)


_GREENS = {
    "apple": (0.050, 0.115, 0.048),
    "ovate": (0.085, 0.185, 0.055),
    "grape": (0.125, 0.235, 0.050),
    "tomato": (0.100, 0.200, 0.055),
}
"""Mean colour per species in linear RGB."""


def _green(rng: Rng, species: str, inside: Float, veins: Float, net: Float, relief: Float) -> Float:
    size = inside.shape[0]
    base = np.array(_GREENS[species], np.float32) * np.exp(rng.normal(0, [0.16, 0.10, 0.22])).astype(np.float32)
    base *= np.float32(np.exp(rng.normal(0, 0.18)))
    yellow = np.array([1.55, 1.18, 0.8], np.float32)
    patch = np.clip(0.17 * smooth_noise(rng, size, cells=4, octaves=2), -0.5, 0.8)
    colour = base * (1 + (yellow - 1) * patch[..., None]) * (1 + 0.07 * smooth_noise(rng, size, cells=30, octaves=2))[..., None]
    pale = base * np.array([2.1, 1.75, 2.0], np.float32) + np.array([0.05, 0.06, 0.025], np.float32)
    show = float(rng.uniform(0.3, 0.7))
    colour += (pale - colour) * (show * veins + 0.16 * show * net)[..., None]
    rim = inside * smoothstep(blur(inside, size / 256 * 1.6), 0.85, 0.5)
    return np.asarray(np.clip(colour * (1 + 0.25 * rim)[..., None], 0.004, 1), np.float32)


def _photograph(scene: _Scene, seed: int) -> Float:
    """Light on the relief (diffuse, sheen, sky), composition over the table, lens blur and tone curve; S x S x 3, 0-255."""
    rng = stream(seed, "camera")
    size = scene.inside.shape[0]
    light = scene.light
    scale = np.float32(size / 8)
    slope_x = cv2.Sobel(scene.surface.relief, cv2.CV_32F, 1, 0) * scale
    slope_y = cv2.Sobel(scene.surface.relief, cv2.CV_32F, 0, 1) * scale
    length = np.sqrt(1 + slope_x**2 + slope_y**2)
    diffuse = np.clip((light.z - slope_x * light.x - slope_y * light.y) / length, 0, None) / np.float32(light.z)
    half_z = light.z + 1
    half = np.sqrt(light.x**2 + light.y**2 + half_z**2)
    facing = np.clip((half_z - slope_x * light.x - slope_y * light.y) / (length * np.float32(half)), 0, 1)
    sheen = scene.surface.gloss * facing ** np.float32(9) * np.float32(0.07 + 0.12 * light.hardness)
    sky = np.float32(0.42 - 0.28 * light.hardness)
    leaf = scene.surface.colour * (sky + (1.08 - sky) * diffuse)[..., None] + sheen[..., None] * np.array([0.93, 0.97, 1.0], np.float32)
    picture = scene.table + (leaf - scene.table) * scene.inside[..., None]
    exposure = (1 + rng.normal(0, [0.02, 0.005, 0.03])) * rng.uniform(0.9, 1.2)
    soft = blur(np.asarray(picture * exposure, np.float32), size / 256 * float(rng.uniform(0.35, 0.65)))
    # Cameras sharpen; without it the surface looks painted.
    crisp = soft + np.float32(0.55) * (soft - blur(soft, size / 256 * 1.3))
    return np.asarray(255 * np.clip(crisp, 0, 1) ** np.float32(1 / 2.2), np.float32)


def _grain(seed: int, size: int) -> Float:
    """Sensor noise in grey levels, S x S x 3: mostly the same in all channels."""
    rng = stream(seed, "grain")
    amount = float(rng.uniform(1.2, 3.6))
    grey = rng.standard_normal((size, size, 1), dtype=np.float32)
    return np.asarray(np.float32(amount) * (grey + 0.4 * rng.standard_normal((size, size, 3), dtype=np.float32)), np.float32)
