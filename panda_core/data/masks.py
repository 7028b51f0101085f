"""A file that a person calls a true mask -> which pixels it marks, or an ImageError that says why it cannot be one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from scipy import ndimage

from panda_core.data.depth import Picture, stretch
from panda_core.data.folders import NORMAL, LabelledImage
from panda_core.data.images import read_image
from panda_core.errors import ImageError

MOST_LABEL = 32
"""A file whose brightest value is this or less numbers its classes: 0 is normal, all others are marked."""
LEAST_DECIDED = 0.9
"""Share of pixels of a mask that are dark or bright. What has more shades in between is a photograph, chosen by mistake."""
ASPECT_TOLERANCE = 0.02
MAP_SIDE = 128
"""Maps and masks are compared at this size: exact enough, and sorting every full-size pixel would take minutes."""


def read_mask(path: Path) -> NDArray[np.bool_]:
    """H x W at the file's own size, true where marked: brighter than half of its brightest value, in any channel.

    What is transparent is not marked; where all that is not is black, it is what is marked. Raises ImageError where the file cannot be
    read or looks like a photograph.
    """
    values = read_image(path, deep=_levels).max(axis=2)  # refuses what cannot be read, whatever its background
    if (opaque := _on_black(path)) is not None:
        values = opaque
    brightest = int(values.max())
    if brightest <= MOST_LABEL:
        return np.asarray(values > 0)
    shares = values / brightest
    if np.mean((shares <= 0.25) | (shares >= 0.75)) < LEAST_DECIDED:
        raise ImageError(path, "has too many shades for a mask; a mask is bright where the image is anomalous and dark elsewhere")
    return np.asarray(shares > 0.5)


def _on_black(path: Path) -> NDArray[np.uint8] | None:
    """H x W: the brightest channel over black, or the alpha where that is black throughout; None of a picture without transparency."""
    try:
        with Image.open(path) as image:
            if not image.has_transparency_data:
                return None
            pixels = np.asarray(ImageOps.exif_transpose(image).convert("RGBA"))
    except (OSError, ValueError):  # DICOM, and kinds of TIFF that Pillow does not read
        return None
    alpha = pixels[:, :, 3]
    shown = np.where(alpha > 127, pixels[:, :, :3].max(axis=2), 0).astype(np.uint8)
    return shown if shown.any() or alpha.min() == alpha.max() else alpha


def _levels(values: NDArray[Any]) -> Picture:
    """Deep values -> 0..255, with 0 as dark as in a mask of 8 bits: one that is marked everywhere has no darker value to stretch from."""
    if values.dtype.kind in "iu" and values.max() <= MOST_LABEL:
        return np.where(values > 0, 255, 0).astype(np.uint8)
    return stretch(values, low=0.0)


def fit_mask(mask: NDArray[np.bool_], height: int, width: int) -> NDArray[np.bool_]:
    """The mask at another size, each pixel that of its nearest place."""
    return np.asarray(cv2.resize(mask.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST) > 0)


def same_shape(mask: NDArray[np.bool_], height: int, width: int) -> bool:
    """Whether the mask has the shape of an image of this size: equal sides, or sides in the same proportion within ASPECT_TOLERANCE."""
    return bool(abs(mask.shape[1] * height / (mask.shape[0] * width) - 1) <= ASPECT_TOLERANCE)


def true_mask(sample: LabelledImage, *, image_shape: tuple[int, ...] | None = None) -> NDArray[np.bool_] | None:
    """MAP_SIDE x MAP_SIDE, all False for a normal image only; None for an anomalous one without a mask: it says nothing about pixels.

    Raises ImageError where the file cannot be a mask or, with ``image_shape`` (height, width), not that of this anomalous image.
    """
    if sample.mask is None:
        return np.zeros((MAP_SIDE, MAP_SIDE), dtype=bool) if sample.label == NORMAL else None
    mask = read_mask(sample.mask)
    if image_shape is not None:
        _check_belongs(mask, sample.mask, *image_shape)
    share = cv2.resize(mask.astype(np.float32), (MAP_SIDE, MAP_SIDE), interpolation=cv2.INTER_AREA)
    return _marked(np.asarray(share, np.float32))


def _marked(share: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Cells of which a mask covers a quarter, and all that it touches with parts too thin to cover so much of any: scratches count, too."""
    touched, covered = share > 0, share >= 0.25
    parts, count = ndimage.label(touched, structure=np.ones((3, 3), int))
    kept = np.zeros(count + 1, bool)
    kept[np.unique(parts[covered])] = True
    return np.asarray(covered | (touched & ~kept[parts]))


def _check_belongs(mask: NDArray[np.bool_], path: Path, height: int, width: int) -> None:
    if not same_shape(mask, height, width):
        sizes = f"{mask.shape[1]} x {mask.shape[0]} pixels for an image of {width} x {height}"
        raise ImageError(path, f"has another shape than its image ({sizes}) and does not count in the pixel measures")
    if not mask.any():
        raise ImageError(path, "marks nothing in an anomalous image and does not count in the pixel measures")
