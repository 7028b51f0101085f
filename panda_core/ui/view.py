"""What one browser session keeps: the inspection as its browser has it, and the pictures on file.

The network saw a few hundred pixels a side; a map of 50 megapixels holds no more than its reduction, but costs a slider its life.
The browser gives sizes and places in pixels of the original image all the same.
"""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from panda_core.data.folders import mask_of
from panda_core.data.masks import fit_mask, read_mask, same_shape
from panda_core.errors import ImageError
from panda_core.inspection import Inspection
from panda_core.ui.payload import reduce_inspection, to_levels, write_payload, write_truth


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
    truths: Mapping[str, Path] = field(default_factory=dict)
    """True masks that the person has chosen in this session: source of an image -> file. Handed on from view to view."""
    shown: bool = True
    """False where a notice has taken its place; its pictures are gone then."""

    def hidden(self) -> View:
        """The same, when a notice has taken its place."""
        return dataclasses.replace(self, shown=False)


def open_view(inspection: Inspection, *, device: str = "", truths: Mapping[str, Path] | None = None) -> View:
    """Reduce an inspection to what the browser needs and write its pictures into a folder of their own.

    ``truths``: those of the session so far.
    """
    chosen = truths or {}
    height, width = inspection.image.shape[:2]
    small = reduce_inspection(inspection)
    folder = Path(tempfile.mkdtemp(prefix="panda-view-"))
    truth = _truth(inspection.source, chosen, *small.image.shape[:2])
    payload = write_payload(small, folder, truth=truth, device=device, size=(width, height))
    seen = dataclasses.replace(small, anomaly_map=to_levels(small.anomaly_map).values())
    return View(seen, width, height, folder, {**payload, "truth_chosen": inspection.source in chosen}, chosen)


def with_truth(view: View, file: Path | None) -> View:
    """The view with a true mask that the person has chosen; None takes it away, and a data set's own mask shows again.

    Raises ImageError, whose reason is a sentence for the person, where the file cannot be a mask of this image.
    """
    source = view.inspection.source
    truths = {image: mask for image, mask in view.truths.items() if image != source}
    if file is not None:
        mask = read_mask(file)
        if not same_shape(mask, view.height, view.width):
            sizes = f"{mask.shape[1]} × {mask.shape[0]} pixels, the image {view.width} × {view.height}"
            raise ImageError(file, f"has {sizes}: another shape, so it is not the mask of this image")
        truths[source] = file
    truth = _truth(source, truths, *view.inspection.image.shape[:2])
    files = {name: reference for name, reference in view.payload["files"].items() if name != "truth"}
    if truth is not None:
        files["truth"] = write_truth(truth, view.folder)
    payload = {**view.payload, "files": files, "truth_chosen": source in truths}
    return dataclasses.replace(view, payload=payload, truths=truths)


def _truth(source: str, chosen: Mapping[str, Path], height: int, width: int) -> NDArray[np.bool_] | None:
    """The true mask, chosen or beside an image of a data set, height x width; None where there is none or it cannot be read."""
    file = chosen.get(source) or mask_of(Path(source))
    if file is None:
        return None
    try:
        return fit_mask(read_mask(file), height, width)
    except ImageError:
        return None


def discard(view: View | None) -> None:
    """Delete a view's pictures; called when its session ends."""
    if view is not None:
        shutil.rmtree(view.folder, ignore_errors=True)
