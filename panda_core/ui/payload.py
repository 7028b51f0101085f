"""What the browser gets of one inspection: pictures and maps as files, numbers as values. Everything else it works out itself.

A map travels as a PNG whose red is the high and whose green the low byte of a 16-bit level: a browser's canvas has 8 bits a channel.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from panda_core.inspection import Boundary, Calibration, FloatMap, Inspection, Picture
from panda_core.scoring.decision import boundary_in_use, threshold_in_use

LONGEST_SIDE = 2048
"""Pictures and the map are reduced to this many pixels on their longer side."""
RESIDUAL_SIDE = 1024
"""The same for the residual: only looked at, and made by a network of a few hundred pixels."""
MOST_SCORES = 2000
"""Calibration scores sent of each class; of more, evenly spaced quantiles."""
LEVELS = 65535
JPEG_QUALITY = 92
PNG_FAST = 1


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Levels:
    """A float map as 16-bit levels on a linear scale: value = low + level * (high - low) / 65535."""

    levels: NDArray[np.uint16]
    low: float
    high: float

    def values(self) -> FloatMap:
        """The map as the browser has it, H x W float32."""
        return (self.low + self.levels * ((self.high - self.low) / LEVELS)).astype(np.float32)


def write_payload(
    inspection: Inspection,
    folder: Path,
    *,
    truth: NDArray[np.bool_] | None = None,
    device: str = "",
    size: tuple[int, int] | None = None,
) -> dict[str, Any]:
    """Write an inspection's pictures into ``folder`` (which exists) and return the value of the component "viewer".

    truth: H x W mask of the image, drawn in the contour view. device: where the network ran, for people. size: width and height of
    the original where the inspection is reduced already. Files are JPEG (input, reconstruction) and PNG (map, residual, truth); the
    folder's name is the payload's ``id``. Raises OSError where the folder cannot be written.
    """
    height, width = inspection.image.shape[:2]
    small = reduce_inspection(inspection)
    anomaly_map, residual = to_levels(small.anomaly_map), to_levels(_reduced(small.residual, RESIDUAL_SIDE))
    written = {
        "input": _write(folder / "input.jpg", small.image),
        "reconstruction": _write(folder / "reconstruction.jpg", small.reconstruction),
        "map": _write(folder / "map.png", _split(anomaly_map.levels)),
        "residual": _write(folder / "residual.png", _split(residual.levels)),
    }
    files = {name: file_reference(path) for name, path in written.items()}
    if truth is not None:
        files["truth"] = write_truth(truth, folder)
    return {
        "id": folder.name,
        "name": Path(inspection.source).name,
        "width": size[0] if size else width,
        "height": size[1] if size else height,
        "reduced": small is not inspection or (size is not None and size != (width, height)),
        "files": files,
        "map": {"low": anomaly_map.low, "high": anomaly_map.high},
        "residual": {"low": residual.low, "high": residual.high},
        "device": device,
        **_numbers(inspection),
    }


def write_truth(truth: NDArray[np.bool_], folder: Path) -> dict[str, Any]:
    """Write a true mask, H x W, into a view's folder; the reference for its payload. Raises OSError."""
    return file_reference(_write(folder / "truth.png", _reduced(truth.astype(np.uint8) * 255, LONGEST_SIDE)))


def reduce_inspection(inspection: Inspection, *, side: int = LONGEST_SIDE) -> Inspection:
    """The same inspection with pictures and maps at most ``side`` pixels long; itself if it is small enough."""
    if max(inspection.image.shape[:2]) <= side:
        return inspection
    names = ("image", "reconstruction", "residual", "anomaly_map")
    return dataclasses.replace(inspection, **{name: _reduced(getattr(inspection, name), side) for name in names})


def to_levels(values: FloatMap) -> Levels:
    """A finite map, H x W, from its own minimum to its own maximum in 65,536 steps."""
    low, high = float(values.min()), float(values.max())
    if high <= low:
        return Levels(np.zeros(values.shape, np.uint16), low, low + 1.0)
    return Levels(np.round((values.astype(np.float64) - low) * (LEVELS / (high - low))).astype(np.uint16), low, high)


def _numbers(inspection: Inspection) -> dict[str, Any]:
    calibration = inspection.calibration
    point = calibration.operating_point
    return {
        "model": inspection.model,
        "ms": inspection.milliseconds,
        "score": inspection.score,
        "gauge": {"lo": calibration.lo, "hi": calibration.hi},
        "p_value": inspection.p_value,
        "boundary": _boundary(boundary_in_use(calibration)),
        "pixel_threshold": threshold_in_use(calibration),
        "own": {"boundary": _boundary(calibration.boundary), "pixel_threshold": calibration.pixel_threshold},
        "operating_point": None if point is None else dataclasses.asdict(point),
        "errors": dict(inspection.errors),
        "contributions": dict(inspection.contributions),
        "source": calibration.source,
        **_calibration_scores(calibration),
    }


def _boundary(boundary: Boundary) -> dict[str, Any]:
    return dataclasses.asdict(boundary)


def _calibration_scores(calibration: Calibration) -> Mapping[str, Any]:
    """``normal`` and ``anomalous``: count, mean and standard deviation (0 without images), and the scores, ascending."""
    classes = {"normal": calibration.normal_scores, "anomalous": calibration.anomalous_scores}
    return {
        name: {
            "count": int(scores.size),
            "mean": float(scores.mean()) if scores.size else 0.0,
            "sd": float(scores.std()) if scores.size else 0.0,
            "scores": _thinned(scores).tolist(),
        }
        for name, scores in classes.items()
    }


def _thinned(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    if scores.size <= MOST_SCORES:
        return scores
    return scores[np.round(np.linspace(0, scores.size - 1, MOST_SCORES)).astype(np.intp)]


def _reduced(array: Any, side: int) -> Any:
    height, width = array.shape[:2]
    scale = side / max(height, width)
    if scale >= 1.0:
        return array
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(array, size, interpolation=cv2.INTER_AREA)


def _split(levels: NDArray[np.uint16]) -> Picture:
    """H x W levels to H x W x 3 RGB: high byte, low byte, nothing."""
    return np.dstack([levels >> 8, levels & 255, np.zeros_like(levels)]).astype(np.uint8)


def _write(path: Path, picture: Picture) -> Path:
    turned = np.ascontiguousarray(picture[..., ::-1]) if picture.ndim == 3 else picture
    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY] if path.suffix == ".jpg" else [cv2.IMWRITE_PNG_COMPRESSION, PNG_FAST]
    ok, data = cv2.imencode(path.suffix, turned, options)
    if not ok:
        raise RuntimeError(f"{path.name} of {picture.shape} could not be encoded.")
    path.write_bytes(data.tobytes())
    return path


def file_reference(path: Path) -> dict[str, Any]:
    """What Gradio copies into its cache and gives a ``url``, as part of a component's value."""
    return {"path": str(path), "meta": {"_type": "gradio.FileData"}}
