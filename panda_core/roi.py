"""The part of the image that counts: drawn shapes, their mask, and an inspection that looks at nothing else. Kept per model."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from panda_core.durable import written_aside
from panda_core.errors import PandaError
from panda_core.inspection import Inspection, Picture
from panda_core.places import home

Kind = Literal["rectangle", "polygon"]
Mode = Literal["include", "exclude"]
Point = tuple[float, float]
Mask = NDArray[np.bool_]
Look = Callable[[Picture, Mask], Inspection]
"""(H x W x 3 uint8 RGB, H x W True where it counts) -> its inspection. A look that cannot leave pixels out may ignore the mask."""

MOST_SHAPES = 64
MOST_POINTS = 2000
"""Of one freehand shape; the drawing tool thins its lines far below that."""
VERSION = 1
FILL_SIDE = 1024
"""The filled image is made at this size, in pixels of the longer side: the networks see a few hundred."""


class RoiError(PandaError):
    """A region of interest is malformed, leaves nothing to look at, or cannot be read."""


@dataclass(frozen=True, slots=True)
class Shape:
    """One drawn shape in shares of the image: x from left 0 to right 1, y from top 0 to bottom 1. Raises RoiError."""

    kind: Kind
    mode: Mode
    points: tuple[Point, ...]
    """``rectangle``: two opposite corners; ``polygon``: 3 corners or more, closed without repeating the first."""

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind) or self.mode not in get_args(Mode):
            raise RoiError(
                f"A shape is of kind {self.kind!r}, mode {self.mode!r}; known are {_listed(Kind)} and {_listed(Mode)}. Draw it again."
            )
        least, most = (2, 2) if self.kind == "rectangle" else (3, MOST_POINTS)
        if not least <= len(self.points) <= most:
            wanted = "2" if least == most else f"{least} to {most}"
            raise RoiError(f"A {self.kind} has {len(self.points)} points; it needs {wanted}. Draw it again.")
        if not all(math.isfinite(value) and 0 <= value <= 1 for point in self.points for value in point):
            raise RoiError(f"A {self.kind} leaves the image: its coordinates must be from 0 to 1. Draw it again.")
        if self.kind == "rectangle" and any(a == b for a, b in zip(*self.points, strict=True)):
            raise RoiError("A rectangle has no area. Draw it again, larger.")

    def mask(self, height: int, width: int) -> Mask:
        """True in the pixels of the shape, height x width. A shape thinner than a pixel may have none."""
        if self.kind == "rectangle":
            (x0, x1), (y0, y1) = (sorted(values) for values in zip(*self.points, strict=True))
            columns, rows = (np.arange(width) + 0.5) / width, (np.arange(height) + 0.5) / height
            return np.asarray(((rows >= y0) & (rows < y1))[:, None] & ((columns >= x0) & (columns < x1)))
        return _inside(np.array(self.points) * (width, height), height, width)


@dataclass(frozen=True, slots=True)
class RegionOfInterest:
    """Shapes that say where to look. With ``include`` shapes: in their union, else everywhere; never in an ``exclude`` shape."""

    shapes: tuple[Shape, ...] = ()

    def __post_init__(self) -> None:
        if len(self.shapes) > MOST_SHAPES:
            raise RoiError(f"The region of interest has {len(self.shapes)} shapes; at most {MOST_SHAPES} are kept. Delete some.")

    def mask(self, height: int, width: int) -> Mask:
        """True where the image is looked at, height x width. Raises RoiError where that is nowhere."""
        included = [shape.mask(height, width) for shape in self.shapes if shape.mode == "include"]
        seen = np.logical_or.reduce(included) if included else np.ones((height, width), bool)
        for shape in self.shapes:
            if shape.mode == "exclude":
                seen &= ~shape.mask(height, width)
        if not seen.any():
            raise RoiError("The region of interest leaves nothing to look at. Delete a shape, or draw one to include.")
        return np.asarray(seen)

    def outside_share(self, height: int, width: int) -> float:
        """Share of the pixels that are ignored, 0 to below 1. Raises RoiError."""
        return 1.0 - float(self.mask(height, width).mean())

    def to_json(self) -> dict[str, Any]:
        """What `from_json` reads: ``{"version": 1, "shapes": [{"kind", "mode", "points": [[x, y], ...]}, ...]}``."""
        return {
            "version": VERSION,
            "shapes": [{**dataclasses.asdict(shape), "points": [list(p) for p in shape.points]} for shape in self.shapes],
        }

    @classmethod
    def from_json(cls, value: Any) -> RegionOfInterest:
        """Read what `to_json` or the drawing tool wrote. Raises RoiError that says what is wrong."""
        if not isinstance(value, dict) or value.get("version") != VERSION or not isinstance(value.get("shapes"), list):
            raise RoiError(f"This is no region of interest of version {VERSION}. Draw it again.")
        return cls(tuple(_read_shape(entry) for entry in value["shapes"]))


def load_roi(model: str) -> RegionOfInterest | None:
    """The model's region of interest; None where none was saved. Raises RoiError where the file is damaged."""
    path = _place(model)
    try:
        return RegionOfInterest.from_json(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RoiError) as error:
        raise RoiError(
            f"The region of interest of '{model}' cannot be read ({path}: {error}). Delete that file, or draw the region again."
        ) from error


def has_roi(model: str) -> bool:
    """Whether a region of interest was saved for the model, legible or not."""
    return _place(model).exists()


def save_roi(model: str, roi: RegionOfInterest) -> None:
    """Keep the region for the model, below `places.home()`; without shapes the same as `clear_roi`. Raises RoiError."""
    if not roi.shapes:
        clear_roi(model)
        return
    path = _place(model)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_aside(path, durable=False) as temporary:
            temporary.touch(mode=0o600, exist_ok=False)  # for the person's eyes only
            temporary.write_text(json.dumps(roi.to_json()), encoding="utf-8")
    except OSError as error:
        raise RoiError(
            f"The region of interest cannot be kept in {path.parent} ({error.strerror}). Check its free space and permissions."
        ) from error


def move_roi(model: str, other: str) -> None:
    """The region of a model, legible or not, is that of another one from now on; without a region nothing happens. Raises RoiError."""
    path = _place(model)
    try:
        os.replace(path, _place(other))
    except FileNotFoundError:
        return
    except OSError as error:
        raise RoiError(f"{path} cannot be renamed ({error.strerror}). Check its permissions.") from error


def clear_roi(model: str) -> None:
    """Forget the model's region, if there is one. Raises RoiError."""
    try:
        _place(model).unlink(missing_ok=True)
    except OSError as error:
        raise RoiError(f"{_place(model)} cannot be deleted ({error.strerror}). Check its permissions.") from error


def inspect_within(look: Look, image: Picture, roi: RegionOfInterest) -> Inspection:
    """Inspect an image so that what lies outside the region raises no alarm. Costs a second look. Raises RoiError, and what ``look`` does.

    The model is asked twice: about the image, and about the image in which the ignored part is replaced by a mirror image of what
    lies inside (`fill_outside`). The lower score counts, and the lower value of each pixel of the map; outside, the map is 0.

    What that guarantees without calibration images:
    - whatever lies outside cannot raise the score above that of the filled image, which holds none of it;
    - the score is never higher than that of ``look`` at the image itself, so on images that are normal as a whole the false-alarm
      rate of the model's boundary is not exceeded.
    What it does not: a filled image looks unusual to a model, the more the larger the ignored part and the more of the object it
    takes away. With a ``look`` that ignores the mask, something strange outside may therefore still reach the boundary; one that
    leaves the ignored places out of its errors closes that gap. A defect inside may score a little lower than without a region.
    Nobody has calibrated the region: `p_value` and the boundary remain statements about whole images.
    """
    height, width = image.shape[:2]
    seen = roi.mask(height, width)
    first = look(image, seen)
    if seen.all():
        return first
    small, counted = _reduced(image, seen)
    second = look(fill_outside(small, counted), counted)
    other = np.asarray(cv2.resize(second.anomaly_map, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
    lower = min(first, second, key=lambda inspection: inspection.score)
    return dataclasses.replace(
        first,
        anomaly_map=np.where(seen, np.minimum(first.anomaly_map, other), np.float32(0)),
        errors=lower.errors,
        contributions=lower.contributions,
        score=lower.score,
        milliseconds=first.milliseconds + second.milliseconds,
    )


def ignored_share(model: str) -> float:
    """Share of an image that the model's region leaves out, in [0, 1); 0 where none is kept. Raises RoiError."""
    roi = load_roi(model)
    return 0.0 if roi is None else roi.outside_share(1000, 1000)  # shapes are shares of the image, of whatever size


def fill_outside(image: Picture, seen: Mask) -> Picture:
    """The image, H x W x 3 uint8, with each pixel outside ``seen`` taken from inside, mirrored at the nearest edge of the region.

    Depends on nothing outside. ``seen``, H x W, has at least one True pixel. Mirrored texture is what the models found least
    strange: less than a smooth continuation, one colour or their own reconstruction.
    """
    height, width = seen.shape
    _, labels = cv2.distanceTransformWithLabels((~seen).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    edges = np.zeros((int(labels.max()) + 1, 2), np.int32)
    edges[labels[seen]] = np.argwhere(seen)
    outside = np.argwhere(~seen)
    nearest = edges[labels[~seen]]
    mirrored = np.clip(2 * nearest - outside, 0, (height - 1, width - 1))
    beyond = ~seen[mirrored[:, 0], mirrored[:, 1]]  # the region is narrower than the gap: repeat its edge
    mirrored[beyond] = nearest[beyond]
    filled = image.copy()
    filled[~seen] = image[mirrored[:, 0], mirrored[:, 1]]
    return filled


def _reduced(image: Picture, seen: Mask) -> tuple[Picture, Mask]:
    """Image and mask at FILL_SIDE pixels. A pixel counts only where all it was made from does, or the outside would seep in."""
    scale = FILL_SIDE / max(seen.shape)
    size = (max(1, round(seen.shape[1] * scale)), max(1, round(seen.shape[0] * scale)))
    counted = cv2.resize(seen.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 1 - 1e-4
    if scale >= 1 or not counted.any():
        return image, seen
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8), np.asarray(counted)


def _inside(corners: NDArray[np.float64], height: int, width: int) -> Mask:
    """Pixels whose middle a closed line winds around; corners: n x 2 (x, y) in pixels. A loop crossed twice has no hole."""
    turns = np.zeros((height, width + 1), np.int32)
    for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        upper, lower = sorted((y0, y1))
        rows = np.arange(max(math.ceil(upper - 0.5), 0), min(math.ceil(lower - 0.5), height))
        if rows.size:
            crossings = x0 + (rows + 0.5 - y0) * (x1 - x0) / (y1 - y0)
            np.add.at(turns, (rows, np.clip(np.ceil(crossings - 0.5), 0, width).astype(int)), 1 if y1 > y0 else -1)
    return np.asarray(turns.cumsum(axis=1)[:, :width] != 0)


def _read_shape(entry: Any) -> Shape:
    try:
        points = tuple((float(x), float(y)) for x, y in entry["points"])
        return Shape(entry["kind"], entry["mode"], points)
    except (KeyError, TypeError, ValueError) as error:
        raise RoiError("A shape of the region of interest is incomplete or its points are no pairs of numbers. Draw it again.") from error


def _place(model: str) -> Path:
    """Where the model's region is kept. Names that are no plain file name (own models are given as paths) get a digest."""
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", model).strip("-")[-60:]
    name = plain if plain == model else f"{plain}-{hashlib.sha256(model.encode()).hexdigest()[:12]}"
    return home() / "roi" / f"{name}.json"


def _listed(names: Any) -> str:
    known: Iterable[str] = get_args(names)
    return ", ".join(known)
