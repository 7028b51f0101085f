"""Puts an anomaly into a picture so that the mask is exactly the set of pixels that differ."""

from __future__ import annotations

import numpy as np

from panda_core.procedural.noise import Float, Mask, Picture

VISIBLE = 6.0
"""Grey levels (0-255) by which a channel must change for a pixel to count as anomalous."""


def splice(normal: Float, changed: Float) -> tuple[Picture, Mask]:
    """Takes from ``changed`` (S x S x 3 in 0-255, the scene of ``normal`` under the same noise) only what shows.

    Returns the S x S x 3 uint8 picture and the S x S mask; outside the mask the picture is ``normal`` to the byte.
    """
    before, after = quantise(normal), quantise(changed)
    visible = np.abs(changed - normal).max(axis=2) >= VISIBLE
    # Two values beyond black or white are the same byte.
    mask = visible & (before != after).any(axis=2)
    return np.where(mask[..., None], after, before), mask


def quantise(light: Float) -> Picture:
    """Rounds grey levels to uint8; what lies outside 0-255 is cut off."""
    return np.clip(np.round(light), 0, 255).astype(np.uint8)
