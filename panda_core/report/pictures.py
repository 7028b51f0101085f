"""Overlays and masks of inspections: into a zip archive, or small for a report. One image at a time."""

from __future__ import annotations

import dataclasses
import io
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath

import cv2
import numpy as np
from PIL import Image

from panda_core.batch.job import StoppedError
from panda_core.batch.rows import Result, Results, Row, encode_jpeg, reduce_picture
from panda_core.errors import ImageError
from panda_core.inspection import Inspection
from panda_core.rendering import mask_picture, overlay
from panda_core.report.files import Names, whole_file
from panda_core.report.tables import batch_csv
from panda_core.scoring.decision import decide

Inspect = Callable[[Sequence[Path]], Iterable[Result]]
"""Files -> their inspections, in order."""
REPORT_SIDE = 480
_QUALITY, _JPEG_SIDE = 90, 65_500
"""Of JPEG, and the longest side it can have, in pixels."""


def write_pictures_zip(
    path: Path,
    results: Results,
    inspect: Inspect,
    *,
    on_step: Callable[[], None] = lambda: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> None:
    """results.csv, overlays/*.jpg and masks/*.png of all images that were read, inspected again one by one.

    What can no longer be read is listed in not-read.txt. ``on_step`` is called after each image. Raises StoppedError where
    ``should_stop``, and PandaError; no file stays then.
    """
    rows = [row for row in results.rows if row.score is not None]
    names, lost = Names(), list[str]()
    with whole_file(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:  # pictures are packed already
        archive.writestr("results.csv", batch_csv(results))
        for row, result in inspect_again(rows, inspect, should_stop=should_stop):
            if isinstance(result, ImageError):
                lost.append(f"{row.name}: {result.reason}")
            else:
                _add(archive, names.take(PurePosixPath(row.name).stem), result, results)
            on_step()
        if lost:
            archive.writestr("not-read.txt", "\n".join(lost) + "\n")


def inspect_again(rows: Sequence[Row], inspect: Inspect, *, should_stop: Callable[[], bool]) -> Iterator[tuple[Row, Result]]:
    """The rows with fresh inspections. Raises StoppedError where ``should_stop``."""
    for row, result in zip(rows, inspect([row.path for row in rows]), strict=True):
        if should_stop():
            raise StoppedError
        yield row, result


def small_overlay(inspection: Inspection, *, pixel_threshold: float | None, side: int = REPORT_SIDE) -> bytes:
    """The image with its mask as JPEG of at most ``side`` pixels; the mask is made at that size."""
    height, width = inspection.image.shape[:2]
    image = reduce_picture(inspection.image, side)
    if image.shape[:2] != (height, width):
        rows, columns = image.shape[:2]
        small = np.asarray(cv2.resize(inspection.anomaly_map, (columns, rows), interpolation=cv2.INTER_AREA), dtype=np.float32)
        inspection = dataclasses.replace(inspection, image=image, anomaly_map=small)
    decision = decide(inspection, pixel_threshold=pixel_threshold)
    return encode_jpeg(overlay(inspection, decision), quality=80)


def encode_png(picture: np.ndarray, *, level: int = 6) -> bytes:
    """H x W or H x W x 3 uint8 as PNG; ``level`` of compression, 0 to 9: 1 is some three times as fast as 6, for larger files."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG", compress_level=level)
    return buffer.getvalue()


def _add(archive: zipfile.ZipFile, name: str, inspection: Inspection, results: Results) -> None:
    decision = decide(inspection, pixel_threshold=results.pixel_threshold)
    drawn = overlay(inspection, decision)
    if max(drawn.shape) > _JPEG_SIDE:
        archive.writestr(f"overlays/{name}.png", encode_png(drawn))
    else:
        archive.writestr(f"overlays/{name}.jpg", encode_jpeg(drawn, quality=_QUALITY))
    archive.writestr(f"masks/{name}.png", encode_png(mask_picture(decision)))
