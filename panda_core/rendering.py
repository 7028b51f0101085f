"""Inspection and Decision to pictures: RGB arrays, nothing else. Pure."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from panda_core.inspection import Decision, FloatMap, Inspection, Picture

MASK_COLOUR = (255, 64, 48)
MAP_FULL_SCALE = 2.0
"""The map's brightest colour is this many pixel thresholds."""


def colourise(values: FloatMap, *, low: float, high: float) -> Picture:
    """H x W float to H x W x 3 uint8 RGB by the perceptually uniform map "inferno"; values outside [low, high] take its ends."""
    scaled = np.clip((values - low) / max(high - low, 1e-12), 0.0, 1.0)
    coloured = cv2.applyColorMap(np.round(scaled * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)
    return np.asarray(cv2.cvtColor(coloured, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def map_heatmap(inspection: Inspection) -> Picture:
    """The standardised anomaly map as H x W x 3 uint8 RGB; the pixel threshold lies in the middle of the scale."""
    return colourise(inspection.anomaly_map, low=0.0, high=MAP_FULL_SCALE * inspection.calibration.pixel_threshold)


def overlay(inspection: Inspection, decision: Decision, *, opacity: float = 0.45) -> Picture:
    """The image with the mask filled at ``opacity`` (0..1) and outlined: H x W x 3 uint8 RGB."""
    return draw_mask(inspection.image, decision.mask, opacity=opacity)


def draw_mask(picture: Picture, mask: NDArray[np.bool_], *, opacity: float) -> Picture:
    """A copy of an H x W x 3 uint8 RGB picture with the H x W mask filled at ``opacity`` (0..1) and outlined."""
    filled = picture.astype(np.float32)
    filled[mask] = (1 - opacity) * filled[mask] + opacity * np.array(MASK_COLOUR, dtype=np.float32)
    drawn = np.ascontiguousarray(np.round(filled).astype(np.uint8))
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    return np.asarray(cv2.drawContours(drawn, contours, -1, MASK_COLOUR, line_width(mask)), dtype=np.uint8)


def line_width(mask: NDArray[np.bool_]) -> int:
    """Pixels: thin, but to be seen when the whole picture is on the screen."""
    return max(1, round(float(max(mask.shape)) / 400))


def mask_picture(decision: Decision) -> Picture:
    """H x W uint8: 255 in the mask."""
    return decision.mask.astype(np.uint8) * 255
