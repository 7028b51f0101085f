"""X-ray pictures of laptops as a dual-energy baggage scanner shows them: orange light matter, green mixed, blue metal.

The beam is attenuated part by part (Beer-Lambert), detected with blur and noise at two energies, and coloured by the ratio of
the two. An anomaly multiplies further attenuation into the same beam, so the two pictures of one seed differ by it alone.
"""

from __future__ import annotations

import cv2
import numpy as np

from panda_core.procedural.contraband import CONTRABAND
from panda_core.procedural.device import MODELS, assemble
from panda_core.procedural.difference import quantise, splice
from panda_core.procedural.noise import Float, Mask, Picture, Rng, blur, stream
from panda_core.procedural.radiograph import FIELD, Radiograph, frame, rectangle

XRAY_ANOMALIES = tuple(CONTRABAND)
"""Kinds of anomaly: "screw", "plate", "blade"."""

_SUBPIXELS = 2
_RATIOS = np.array([1.15, 1.62, 2.15, 3.0], np.float32)
"""Soft over hard attenuation: light organic matter, then mixtures, then metal."""
_TINTS = np.array([[0.17, 0.80, 1.90], [0.48, 0.66, 1.90], [1.45, 0.55, 1.85], [2.50, 1.00, 0.40]], np.float32)
"""How strongly red, green and blue of the display fall with attenuation at each of the ratios."""


_AIR = 0.018
"""Attenuation below this is shown as white, as scanners do."""


def draw_xray(seed: int, *, size: int = 256, anomaly: str | None = None) -> tuple[Picture, Mask]:
    """A scan as size x size x 3 uint8 RGB, and the size x size mask of the pixels the anomaly changed (all False without one).

    ``seed`` >= 0 fixes the scene: with and without ``anomaly`` (one of XRAY_ANOMALIES) it is the same device, pose and noise.
    Raises ValueError for an unknown anomaly or a size below 32.
    """
    if anomaly is not None and anomaly not in CONTRABAND:
        raise ValueError(f"Unknown anomaly '{anomaly}'. Known: {', '.join(XRAY_ANOMALIES)}.")
    if size < 32:
        raise ValueError(f"size is {size}; a device needs at least 32 pixels.")
    rng = stream(seed, "device")
    model = tuple(MODELS)[int(rng.integers(len(MODELS)))]
    scan = assemble(model, size * _SUBPIXELS, rng)
    _lay_in_tray(scan, stream(seed, "tray"))
    normal = _detect(scan, seed, size)
    if anomaly is None:
        return quantise(normal), np.zeros((size, size), np.bool_)
    CONTRABAND[anomaly](scan, MODELS[model].outline, stream(seed, anomaly))
    return splice(normal, _detect(scan, seed, size))


def _lay_in_tray(scan: Radiograph, rng: Rng) -> None:
    """A thin plastic tray under the device; its rim stands upright and shows as a line."""
    w, h = 366.0, 286.0
    x, y = -w / 2 + float(rng.normal(0, 3)), -h / 2 + float(rng.normal(0, 3))
    outer = rectangle(x, y, w, h, corner=16)
    scan.add([outer], "plastic", 1.6)
    scan.add([frame(outer, rectangle(x + 2.5, y + 2.5, w - 5, h - 5, corner=14))], "plastic", 5.5)


def _pose(rng: Rng, size: int) -> Float:
    """3 x 3 perspective from drawing pixels to picture pixels: a few degrees, a few mm, a slightly tilted table."""
    side = size * _SUBPIXELS
    turn, zoom = float(rng.normal(0, 4.0)), float(rng.uniform(0.93, 1.01)) / _SUBPIXELS
    shift = rng.normal(0, 4.0, 2) * size / FIELD
    affine = np.vstack([cv2.getRotationMatrix2D((side / 2, side / 2), turn, zoom), [0, 0, 1]])
    affine[:2, 2] += (size - side) / 2 + shift
    tilt = np.eye(3)
    tilt[2, :2] = rng.normal(0, 0.03, 2) / side
    centre = np.array([[1, 0, -side / 2], [0, 1, -side / 2], [0, 0, 1]])
    return np.asarray(affine @ np.linalg.inv(centre) @ tilt @ centre, np.float32)


def _detect(scan: Radiograph, seed: int, size: int) -> Float:
    """Beam through the parts, pose, detector blur, photon and electronic noise, colour; S x S x 3 in 0-255."""
    rng = stream(seed, "detector")
    beam = blur(scan.transmission(), _SUBPIXELS * 0.4)
    posed = cv2.warpPerspective(beam, _pose(rng, size), (size, size), flags=cv2.INTER_LINEAR, borderValue=(1, 1, 1, 1))
    soft = blur(np.asarray(posed, np.float32), size / 256 * float(rng.uniform(0.3, 0.45)))
    # Scanners enhance edges; parts of equal depth would run into each other.
    flat = soft + np.float32(0.5) * (soft - blur(soft, size / 256 * 1.6))
    photons = np.float32(rng.uniform(2500, 7000))
    shot, electronic = rng.standard_normal((2, size, size, 2), dtype=np.float32)
    noise = shot * np.sqrt(np.clip(flat, 0, 1) / photons) + np.float32(0.002) * electronic
    return _colour(np.clip(flat + noise, 0.002, 1.0).astype(np.float32), size)


def _colour(flat: Float, size: int) -> Float:
    """Display colours from the transmission at two energies (S x S x 2): hue from their ratio, depth from their size."""
    depth = -np.log(flat)
    soft, hard = np.maximum(depth[..., 0] - _AIR, 0), np.maximum(depth[..., 1] - _AIR, 0)
    smooth = size / 256 * 0.8
    ratio = (blur(np.ascontiguousarray(soft), smooth) + 0.012) / (blur(np.ascontiguousarray(hard), smooth) + 0.010)
    tint = np.stack([np.interp(ratio, _RATIOS, _TINTS[:, channel]) for channel in range(3)], axis=2).astype(np.float32)
    amount = 1.3 * (0.45 * soft + 0.9 * hard) ** np.float32(0.78)
    shown = np.exp(-tint * amount[..., None])
    floor = np.array([0.03, 0.10, 0.22], np.float32) * np.exp(-0.12 * amount)[..., None]
    return np.asarray(255 * (floor + (1 - floor) * shown), np.float32)
