"""What one browser session keeps: the inspection reduced to screen size, and its pictures as files.

The network saw a few hundred pixels a side; a map of 50 megapixels holds no more than its reduction, but costs a slider its life.
Sizes and places given to a person are always in pixels of the original image.
"""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from panda_core.inspection import Decision, Inspection, Picture, Region
from panda_core.rendering import map_heatmap, overlay, residual_heatmap

LONGEST_SIDE = 1024
"""Pictures and maps on the page are reduced to this many pixels on their longer side."""
JPEG_QUALITY = 92
VIEWS = {
    "input": "Input",
    "reconstruction": "Reconstruction",
    "residual": "Residual",
    "overlay": "Mask",
    "map": "Anomaly map",
}
"""Picture name -> label, in the order of the page."""


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """One inspected image as the page holds it."""

    inspection: Inspection
    """Reduced: image, reconstruction and maps are at most LONGEST_SIDE pixels long. Score and errors are untouched."""
    width: int
    """Of the original image, in pixels."""
    height: int
    folder: Path
    """Holds the pictures; deleted by `discard`."""

    @property
    def reduced(self) -> bool:
        """Whether the maps are smaller than the original image."""
        return self.inspection.image.shape[:2] != (self.height, self.width)

    @property
    def pictures(self) -> dict[str, Path]:
        """Picture name -> JPEG file, for the names in VIEWS."""
        return {name: self.folder / f"{name}.jpg" for name in VIEWS}


def open_view(inspection: Inspection) -> View:
    """Reduce an inspection to screen size and write the pictures that no threshold changes; `draw_overlay` writes the mask."""
    height, width = inspection.image.shape[:2]
    small = reduce_inspection(inspection)
    view = View(small, width, height, Path(tempfile.mkdtemp(prefix="panda-view-")))
    _write(view.pictures["input"], small.image)
    _write(view.pictures["reconstruction"], small.reconstruction)
    _write(view.pictures["residual"], residual_heatmap(small))
    _write(view.pictures["map"], map_heatmap(small))
    return view


def draw_overlay(view: View, decision: Decision) -> None:
    """Write the mask over the image, replacing the picture of the threshold before. ``decision`` is of the reduced inspection."""
    _write(view.pictures["overlay"], overlay(view.inspection, decision))


def original_regions(view: View, decision: Decision) -> tuple[Region, ...]:
    """The decision's regions in pixels of the original image; areas grow with the square of the scale, values stay."""
    rows, columns = view.inspection.image.shape[:2]
    x_scale, y_scale = view.width / columns, view.height / rows
    return tuple(_scaled(region, x_scale, y_scale) for region in decision.regions)


def discard(view: View | None) -> None:
    """Delete a view's pictures; called when its session ends."""
    if view is not None:
        shutil.rmtree(view.folder, ignore_errors=True)


def reduce_inspection(inspection: Inspection, *, side: int = LONGEST_SIDE) -> Inspection:
    """The same inspection with pictures and maps at most ``side`` pixels long; itself if it is small enough."""
    height, width = inspection.image.shape[:2]
    scale = side / max(height, width)
    if scale >= 1.0:
        return inspection
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    names = ("image", "reconstruction", "residual", "anomaly_map")
    return dataclasses.replace(
        inspection, **{name: cv2.resize(getattr(inspection, name), size, interpolation=cv2.INTER_AREA) for name in names}
    )


def _scaled(region: Region, x_scale: float, y_scale: float) -> Region:
    x0, y0, x1, y1 = region.box
    x, y = region.peak_at
    return dataclasses.replace(
        region,
        area=round(region.area * x_scale * y_scale),
        box=(round(x0 * x_scale), round(y0 * y_scale), round(x1 * x_scale), round(y1 * y_scale)),
        peak_at=(round(x * x_scale), round(y * y_scale)),
    )


def _write(path: Path, picture: Picture) -> None:
    ok, data = cv2.imencode(".jpg", np.ascontiguousarray(picture[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not ok:
        raise RuntimeError(f"{path.name} of {picture.shape} could not be encoded as JPEG.")
    path.write_bytes(data.tobytes())
