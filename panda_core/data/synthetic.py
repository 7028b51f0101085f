"""Plausible defects drawn into a normal image, with the mask of the pixels they changed: for calibration without known anomalies.

Five kinds: a patch moved from elsewhere in the image (cut-paste), Perlin-noise blotches of another texture (perlin), a thin
scratch or thread (scar), a soft stain (colour), and a piece that lets more or less light through (attenuation, as in an X-ray).
Strength runs from hardly visible to plain, area from about 0.3 % to 10 % of the image.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from panda_core.data.depth import Picture

AREA = (0.003, 0.10)
"""Smallest and largest aimed-at share of the image area, drawn log-uniformly (scars: up to a tenth of the largest)."""
CHANGED = 8
"""Grey levels by which a channel must differ for the pixel to belong to the mask."""
BORDER_SPREAD = 36.0
"""The border is background if 70 % of it differ from its median colour by less than this (weighted L*a*b* levels)."""

_LAB_WEIGHTS = np.array([0.6, 2.0, 2.0], np.float32)
"""Colour tells an object from its background and its shadow better than lightness does."""
_ATTEMPTS = 5
_DRAWN_SIDE = 512
"""Pixels of the longer side from which a defect is drawn into a reduced copy: its cost grows with the side's third power."""
_NOISE_SIDE = 160
"""Largest longer side in pixels at which noise is drawn; it is then enlarged to the image."""

Mask = NDArray[np.bool_]
_Float = NDArray[np.float32]
_Rng = np.random.Generator


def make_anomaly(image: Picture, *, seed: int, kind: str | None = None) -> tuple[Picture, Mask]:
    """H x W x 3 uint8 -> a changed copy and the H x W mask of pixels that differ by more than CHANGED levels; never empty.

    ``kind`` is one of KINDS; None lets the seed choose. The same image, seed and kind give the same result. Where the border
    is uniform, the defect lies on the object. What it changes in a copy of 512 pixels is carried over to a larger image.
    Raises ValueError for an unknown kind or another kind of array.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise ValueError(f"Expected H x W x 3 uint8, got {image.dtype} of shape {image.shape}.")
    if kind is not None and kind not in KINDS:
        raise ValueError(f"Unknown kind '{kind}'. Known: {', '.join(KINDS)}.")
    if max(image.shape[:2]) > _DRAWN_SIDE:
        result = _enlarged(image, seed, kind)
        mask = _difference(image, result)
        if mask.any():  # enlarging may smooth a faint speck away
            return result, mask
    rng = np.random.default_rng([seed])
    draw = _DRAW[kind or KINDS[int(rng.integers(len(KINDS)))]]
    object_mask = foreground(image)
    needed = max(1, round(AREA[0] / 3 * object_mask.size))
    strength = float(rng.uniform(0.15, 0.85))
    for _ in range(_ATTEMPTS):
        changed, shape = draw(image, object_mask, rng, strength)
        result = _blend(image, changed, shape)
        mask = _difference(image, result)
        if np.count_nonzero(mask) >= needed:
            return result, mask
        strength = 0.5 + strength / 2
    # Nothing showed, e.g. a patch of a flat image moved onto itself: a plain mark always does.
    shape = _blob(object_mask, rng, area=AREA[0] * 3)
    result = _blend(image, np.where(image > 127, 0.0, 255.0).astype(np.float32), np.maximum(shape, _point(shape)))
    return result, _difference(image, result)


def _enlarged(image: Picture, seed: int, kind: str | None) -> Picture:
    """The image with the change that `make_anomaly` makes to a copy of _DRAWN_SIDE."""
    height, width = image.shape[:2]
    scale = _DRAWN_SIDE / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    change = make_anomaly(small, seed=seed, kind=kind)[0].astype(np.int16) - small
    grown = cv2.resize(change, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(np.clip(image + grown, 0, 255), np.uint8)


def foreground(image: Picture) -> Mask:
    """H x W x 3 uint8 -> H x W: True on the object, by colour distance from the border; all True where the border is not uniform.

    Also all True if the object found is below 8 % or above 96 % of the area: then the border colour is no background.
    """
    height, width = image.shape[:2]
    scale = min(1.0, 128 / max(height, width))
    small = cv2.resize(image, (max(1, round(width * scale)), max(1, round(height * scale))), interpolation=cv2.INTER_AREA)
    lab = cv2.cvtColor(small, cv2.COLOR_RGB2LAB).astype(np.float32) * _LAB_WEIGHTS
    border = np.concatenate([lab[0], lab[-1], lab[:, 0], lab[:, -1]])
    colour = np.median(border, axis=0)
    spread = float(np.quantile(np.linalg.norm(border - colour, axis=1), 0.7))
    everything = np.ones((height, width), np.bool_)
    if spread > BORDER_SPREAD:
        return everything
    distance = np.linalg.norm(lab - colour, axis=2)
    found = (distance > max(20.0, 1.7 * spread)).astype(np.uint8)
    found = cv2.morphologyEx(found, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    found = cv2.morphologyEx(found, cv2.MORPH_CLOSE, np.ones((7, 7), np.uint8))
    outlines, _ = cv2.findContours(found, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    found = cv2.drawContours(np.zeros_like(found), outlines, -1, 1, cv2.FILLED)  # without holes such as glare
    if not 0.08 < found.mean() < 0.96:
        return everything
    return np.asarray(cv2.resize(found, (width, height), interpolation=cv2.INTER_NEAREST) > 0)


def _difference(image: Picture, result: Picture) -> Mask:
    red, green, blue = cv2.split(cv2.absdiff(image, result))
    return np.asarray(cv2.max(cv2.max(red, green), blue) > CHANGED)


def _blend(image: Picture, changed: _Float, shape: _Float) -> Picture:
    result = image.copy()
    x, y, width, height = cv2.boundingRect((shape > 0.004).astype(np.uint8))
    box = np.s_[y : y + height, x : x + width]
    before, weight = image[box].astype(np.float32), shape[box][:, :, None]
    result[box] = np.rint(np.clip(before + (changed[box] - before) * weight, 0, 255))
    return result


def _point(shape: _Float) -> _Float:
    """1 at the largest value of ``shape``, 0 elsewhere."""
    point = np.zeros_like(shape)
    point.flat[int(shape.argmax())] = 1.0
    return point


# --- shapes: H x W float32 in [0, 1] -----------------------------------------------------------------------------------------


def _area(rng: _Rng, largest: float = AREA[1]) -> float:
    return float(np.exp(rng.uniform(math.log(AREA[0]), math.log(largest))))


def _centre(object_mask: Mask, rng: _Rng) -> tuple[float, float]:
    """x, y of a random pixel of the object, away from its edge where it is thick enough."""
    inner = cv2.erode(object_mask.astype(np.uint8), np.ones((5, 5), np.uint8), iterations=max(1, min(object_mask.shape) // 60))
    places = np.flatnonzero(inner if inner.any() else object_mask)
    y, x = divmod(int(places[rng.integers(places.size)]), object_mask.shape[1])
    return float(x), float(y)


def _outline(rng: _Rng, corners: int) -> NDArray[np.float64]:
    """Closed curve of n x 2 points about 0, radius near 1: irregular and smooth, or straight-edged with few corners."""
    if corners:
        angle = np.sort(rng.uniform(0, 2 * math.pi / corners * 0.6, corners) + np.arange(corners) * 2 * math.pi / corners)
        radius = rng.uniform(0.75, 1.2, corners)
    else:
        angle = np.linspace(0, 2 * math.pi, 72, endpoint=False)
        waves = np.arange(2, 8)[:, None]
        amplitude = rng.normal(0, 0.28, (6, 1)) / waves
        radius = np.clip(1 + (amplitude * np.cos(waves * angle + rng.uniform(0, 2 * math.pi, (6, 1)))).sum(axis=0) * 1.6, 0.3, 2.0)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


def _blob(object_mask: Mask, rng: _Rng, *, area: float, corners: int = 0, softness: float = 0.03) -> _Float:
    """A filled outline of about ``area`` (share of the image) on the object; ``softness`` is the edge's width over its radius."""
    height, width = object_mask.shape
    radius = max(0.7, math.sqrt(area * height * width / math.pi))
    slimness, turn = math.sqrt(rng.uniform(1.0, 2.6)), rng.uniform(0, math.pi)
    points = _outline(rng, corners) * (radius * slimness, radius / slimness)
    rotation = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    points = points @ rotation.T + np.array(_centre(object_mask, rng))
    shape = np.zeros((height, width), np.uint8)
    cv2.fillPoly(shape, [np.rint(points * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    return _soften(shape, max(0.5, softness * radius)) * _on_object(object_mask)


def _soften(shape: NDArray[Any], sigma: float) -> _Float:
    return np.asarray(cv2.GaussianBlur(shape.astype(np.float32) / 255.0, (0, 0), sigma), np.float32)


def _on_object(object_mask: Mask) -> _Float:
    """The object with a soft rim, so that a defect does not float beside it with a cut edge."""
    return np.asarray(cv2.blur(object_mask.astype(np.float32), (5, 5)), np.float32)


def _perlin(shape: tuple[int, int], rng: _Rng, *, cells: float) -> _Float:
    """Two octaves of gradient noise (Perlin 1985), about -1..1, ``cells`` along the longer side."""
    height, width = shape
    scale = min(1.0, min(_NOISE_SIDE, 8 * cells) / max(height, width))  # 4 pixels a cell of the finer octave are enough
    small = max(1, round(height * scale)), max(1, round(width * scale))
    noise = _octave(small, rng, cells / max(small)) + 0.5 * _octave(small, rng, 2 * cells / max(small))
    return np.asarray(cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)


def _octave(shape: tuple[int, int], rng: _Rng, frequency: float) -> _Float:
    y, x = (np.arange(side, dtype=np.float32) * np.float32(frequency) for side in shape)
    row, column = y.astype(np.intp), x.astype(np.intp)
    angle = rng.uniform(0, 2 * math.pi, (row[-1] + 2, column[-1] + 2)).astype(np.float32)
    along_y, along_x = np.sin(angle), np.cos(angle)
    v, u = (y - row)[:, None], (x - column)[None, :]

    def corner(down: int, right: int) -> _Float:
        slope_y, slope_x = (slope.take(row + down, axis=0).take(column + right, axis=1) for slope in (along_y, along_x))
        return np.asarray(slope_y * (v - down) + slope_x * (u - right), np.float32)

    fade_v, fade_u = (t * t * t * (t * (t * 6 - 15) + 10) for t in (v, u))
    top = corner(0, 0) + (corner(0, 1) - corner(0, 0)) * fade_u
    bottom = corner(1, 0) + (corner(1, 1) - corner(1, 0)) * fade_u
    return np.asarray((top + (bottom - top) * fade_v) * np.float32(1.5), np.float32)


# --- kinds: image, object, random numbers, strength 0..1 -> changed image (H x W x 3 float32) and where (H x W in [0, 1]) ------


def _is_grey(image: Picture) -> bool:
    return bool(np.ptp(image[::4, ::4].astype(np.int16), axis=2).mean() < 3)


def _shift(image: Picture, rng: _Rng, size: float) -> _Float:
    """A colour offset of ``size`` levels; the same for all channels in a grey image."""
    sign = -1.0 if rng.random() < 0.6 else 1.0
    tint = np.zeros(3) if _is_grey(image) else rng.uniform(-0.4, 0.4, 3)
    return np.asarray((sign + tint) * size, np.float32)


def _moved(image: Picture, rng: _Rng) -> _Float:
    """The whole image turned, scaled a little and moved by a quarter to a half of its side, mirrored at the border."""
    height, width = image.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), float(rng.uniform(-180, 180)), float(rng.uniform(0.8, 1.25)))
    direction = rng.uniform(0, 2 * math.pi)
    distance = float(rng.uniform(0.2, 0.4))
    matrix[0, 2] += distance * width * math.cos(direction)
    matrix[1, 2] += distance * height * math.sin(direction)
    return np.asarray(cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REFLECT_101), np.float32)


def _cut_paste(image: Picture, object_mask: Mask, rng: _Rng, strength: float) -> tuple[_Float, _Float]:
    shape = _blob(object_mask, rng, area=_area(rng, 0.06), corners=int(rng.choice([0, 0, 4])), softness=0.04)
    patch = _moved(image, rng) * (1 + strength * rng.uniform(-0.3, 0.3)) + _shift(image, rng, 30 * strength * rng.random())
    return patch, shape * np.float32(0.5 + strength / 2)


def _perlin_blend(image: Picture, object_mask: Mask, rng: _Rng, strength: float) -> tuple[_Float, _Float]:
    size = (image.shape[0], image.shape[1])
    area = _area(rng, 0.06)
    noise = _perlin(size, rng, cells=float(rng.uniform(5, 14)))
    # The blotches are the upper third of the noise inside a soft blob three times their area.
    window = _blob(object_mask, rng, area=3 * area, softness=0.35)
    inside = noise[window > 0.5 * window.max()]
    shape = np.clip((noise - np.quantile(inside, 0.65)) * 8, 0, 1) if inside.size else 1.0
    texture = _moved(image, rng)
    if rng.random() < 0.6:
        grain = _perlin(size, rng, cells=float(rng.uniform(20, 50)))[:, :, None]
        texture = image.astype(np.float32) + _shift(image, rng, 50 * strength) + grain * np.float32(12 + 25 * strength)
    return texture, np.asarray(shape * window * (0.4 + 0.6 * strength), np.float32)


def _scar(image: Picture, object_mask: Mask, rng: _Rng, strength: float) -> tuple[_Float, _Float]:
    height, width = image.shape[:2]
    side = max(height, width)
    length = float(rng.uniform(0.12, 0.5)) * side
    steps = 24
    heading = rng.uniform(0, 2 * math.pi) + np.cumsum(rng.normal(0, rng.choice([0.02, 0.08, 0.2]), steps))
    path = np.cumsum(np.stack([np.cos(heading), np.sin(heading)], axis=1) * length / steps, axis=0)
    path += np.array(_centre(object_mask, rng)) - path[steps // 2]
    thickness = max(1.0, AREA[0] * height * width / length) * float(rng.uniform(0.7, 1.5))
    shape = np.zeros((height, width), np.uint8)
    points = np.rint(path * 16).astype(int).tolist()
    for start, end, taper in zip(points[:-1], points[1:], np.sin(np.linspace(0.25, math.pi - 0.25, steps - 1)), strict=True):
        cv2.line(shape, start, end, 255, max(1, round(thickness * taper)), cv2.LINE_AA, 4)
    drawn = _soften(shape, max(0.5, thickness / 5)) * _on_object(object_mask)
    filling = _moved(image, rng) if rng.random() < 0.3 else image + _shift(image, rng, 30 + 80 * strength)
    return np.asarray(filling, np.float32), drawn * np.float32(0.5 + strength / 2)


def _stain(image: Picture, object_mask: Mask, rng: _Rng, strength: float) -> tuple[_Float, _Float]:
    area = _area(rng)
    # Stains come as one or as a few; each is uneven inside and fades at its rim.
    count = int(rng.choice([1, 1, 2, 4]))
    blobs = [_blob(object_mask, rng, area=area / count, softness=float(rng.uniform(0.08, 0.4))) for _ in range(count)]
    shape = np.maximum.reduce(blobs)
    uneven = 1 + 0.35 * _perlin((image.shape[0], image.shape[1]), rng, cells=16)[:, :, None]
    return np.asarray(image.astype(np.float32) + _shift(image, rng, 14 + 55 * strength) * uneven, np.float32), shape


def _attenuation(image: Picture, object_mask: Mask, rng: _Rng, strength: float) -> tuple[_Float, _Float]:
    shape = _blob(object_mask, rng, area=_area(rng), corners=int(rng.choice([0, 3, 4, 5])), softness=0.02)
    side = 1 + 2 * (max(shape.shape) // 40)
    if rng.random() < 0.2:  # a tube or frame: less material in the middle
        shape *= 1 - 0.8 * _soften((cv2.blur(shape, (side, side)) > 0.95) * 255.0, 1.5)
    density = 0.1 + 1.1 * strength
    transmitted = math.exp(-density) if rng.random() < 0.7 else 1 + density / 2
    return image.astype(np.float32) * np.float32(transmitted), np.asarray(shape, np.float32)


_DRAW: dict[str, Callable[[Picture, Mask, _Rng, float], tuple[_Float, _Float]]] = {
    "cut-paste": _cut_paste,
    "perlin": _perlin_blend,
    "scar": _scar,
    "colour": _stain,
    "attenuation": _attenuation,
}
KINDS = tuple(_DRAW)
"""The names `make_anomaly` takes for ``kind``."""
