"""What one browser session keeps: the inspection as its browser has it, and the pictures on file.

The network saw a few hundred pixels a side; a map of 50 megapixels holds no more than its reduction, but costs a slider its life.
The browser gives sizes and places in pixels of the original image all the same.
"""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from panda_core.data.folders import mask_of
from panda_core.data.images import read_image
from panda_core.errors import ImageError
from panda_core.inspection import Inspection
from panda_core.ui.payload import reduce_inspection, to_levels, write_payload


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """One inspected image as the page holds it."""

    inspection: Inspection
    """Reduced, with the map at the 16-bit levels that the browser has, so that both decide on the same numbers."""
    width: int
    """Of the original image, in pixels."""
    height: int
    folder: Path
    """Holds the pictures; deleted by `discard`."""
    payload: Mapping[str, Any]
    """Value of the component "viewer"."""


def open_view(inspection: Inspection, *, device: str = "") -> View:
    """Reduce an inspection to what the browser needs and write its pictures into a folder of their own."""
    height, width = inspection.image.shape[:2]
    small = reduce_inspection(inspection)
    folder = Path(tempfile.mkdtemp(prefix="panda-view-"))
    payload = write_payload(
        small, folder, truth=_truth(Path(inspection.source), *small.image.shape[:2]), device=device, size=(width, height)
    )
    seen = dataclasses.replace(small, anomaly_map=to_levels(small.anomaly_map).values())
    return View(seen, width, height, folder, payload)


def _truth(image: Path, height: int, width: int) -> NDArray[np.bool_] | None:
    """The true mask beside an image of a data set, height x width; None where there is none or it cannot be read."""
    file = mask_of(image)
    if file is None:
        return None
    try:
        marked = read_image(file)[:, :, 0] > 127
    except ImageError:
        return None
    return np.asarray(cv2.resize(marked.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST) > 0, dtype=bool)


def discard(view: View | None) -> None:
    """Delete a view's pictures; called when its session ends."""
    if view is not None:
        shutil.rmtree(view.folder, ignore_errors=True)
