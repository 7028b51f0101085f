"""What is kept of each image of a batch: its numbers, a thumbnail, and a small map from which regions are counted again.

Thousands of inspections do not fit into memory, their rows do; the small maps lie in one file beside the thumbnails.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from panda_core.batch.sources import Source
from panda_core.errors import ImageError
from panda_core.inspection import Boundary, Calibration, FloatMap, Inspection, Picture
from panda_core.scoring.decision import boundary_in_use, threshold_in_use
from panda_core.scoring.maps import count_regions, least_area

MAP_SIDE = 128
"""Longest side of a kept map, in pixels."""
COUNT_SIDE = 512
"""Regions at the model's pixel threshold in use are counted on a map of at most this side: the networks see no more than that."""
THUMBNAIL_SIDE = 96
_QUALITY = 78
_LARGEST = 60_000.0  # of float16
Outcome = Literal["normal", "anomalous", "unreadable"]
Result = Inspection | ImageError


@dataclass(frozen=True, slots=True)
class Row:
    """One image of a batch at given thresholds. The numbers of an unreadable image are None and ``problem`` says why."""

    id: int
    """Place in the batch, from 0."""
    path: Path
    name: str
    """As shown: relative to the folder or archive."""
    outcome: Outcome
    score: float | None = None
    gauge: float | None = None
    """0 to 1 on the calibration's scale."""
    margin: float | None = None
    """score - boundary; > 0 is anomalous."""
    regions: int | None = None
    peak: float | None = None
    """Largest value of the anomaly map, in standard deviations of normal images."""
    milliseconds: float | None = None
    errors: Mapping[str, float] = field(default_factory=dict)
    thumbnail: Path | None = None
    """JPEG of at most THUMBNAIL_SIDE pixels."""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Results:
    """A batch at given thresholds, as far as it has come: what is shown, exported and reported."""

    model: str
    title: str
    rows: tuple[Row, ...]
    total: int
    """Images of the source; more than the rows while running, or when it was stopped."""
    calibration: Calibration | None
    """None as long as no image could be read."""
    boundary: Boundary | None
    pixel_threshold: float | None
    marks: Mapping[int, str]
    """What the person says of an image, by row id: "normal" or "anomalous"."""
    ignored: float = 0.0
    """Share of each image that the model's region of interest leaves out, in [0, 1)."""

    def count(self, outcome: Outcome) -> int:
        """Rows of this outcome."""
        return sum(row.outcome == outcome for row in self.rows)


@dataclass(frozen=True, slots=True)
class _KeptMap:
    offset: int
    shape: tuple[int, int]
    least: int
    """Smallest area of a region, in pixels of the kept map."""

    def count(self, values: NDArray[np.float16], threshold: float) -> int:
        """Regions above the threshold; ``values``: the whole file."""
        first = self.offset // values.itemsize
        kept = values[first : first + self.shape[0] * self.shape[1]].reshape(self.shape)
        return count_regions(kept, float(np.float16(threshold)), minimum_area=self.least)


class Batch:
    """The rows of one source and model as they come. One thread adds, others may read at any time."""

    def __init__(self, model: str, source: Source, folder: Path, *, ignored: float = 0.0) -> None:
        """``folder`` exists, belongs to this batch alone and takes its thumbnails and maps; whoever made it deletes it.

        ``ignored``: see `Results`.
        """
        self.id = secrets.token_hex(8)
        self.ignored = ignored
        self.model, self.source, self.folder = model, source, folder
        self.rows: list[Row] = []
        """At the thresholds in use for the model."""
        self.marks: dict[int, str] = {}
        self.calibration: Calibration | None = None
        self._maps: dict[int, _KeptMap] = {}
        self._file = folder / "maps.float16"
        self._size = 0
        self._lock = threading.Lock()

    def add(self, result: Result) -> Row:
        """The row of the source's next image."""
        number = len(self.rows)
        path, name = self.source.paths[number], self.source.names[number]
        if isinstance(result, ImageError):
            row = Row(number, path, name, "unreadable", problem=result.reason)
        else:
            row = self._read(number, path, name, result)
        self.rows.append(row)
        return row

    def mark(self, number: int, mark: str | None) -> None:
        """Keep what the person says of a row: "normal", "anomalous", or None to take it back. Raises IndexError, ValueError."""
        if not 0 <= number < len(self.rows):
            raise IndexError(f"row {number} of {len(self.rows)}")
        if mark not in (None, "normal", "anomalous"):
            raise ValueError(f"mark {mark!r}")
        if mark is None:
            self.marks.pop(number, None)
        else:
            self.marks[number] = mark

    def _read(self, number: int, path: Path, name: str, seen: Inspection) -> Row:
        self.calibration = self.calibration or seen.calibration
        counted = _reduced(seen.anomaly_map, COUNT_SIDE)
        self._keep(number, counted)
        thumbnail = self.folder / f"{number:06}.jpg"
        thumbnail.write_bytes(encode_jpeg(reduce_picture(seen.image, THUMBNAIL_SIDE), quality=_QUALITY))
        margin = seen.score - boundary_in_use(seen.calibration).value
        return Row(
            id=number,
            path=path,
            name=name,
            outcome="anomalous" if margin > 0 else "normal",
            score=seen.score,
            gauge=seen.gauge,
            margin=margin,
            regions=count_regions(counted, threshold_in_use(seen.calibration)),
            peak=float(seen.anomaly_map.max()),
            milliseconds=seen.milliseconds,
            errors=dict(seen.errors),
            thumbnail=thumbnail,
        )

    def _keep(self, number: int, anomaly_map: FloatMap) -> None:
        small = np.clip(_reduced(anomaly_map, MAP_SIDE), -_LARGEST, _LARGEST).astype(np.float16)
        least = max(1, round(least_area(anomaly_map.size) * small.size / anomaly_map.size))
        with self._lock, self._file.open("ab") as file:
            file.write(small.tobytes())
            self._maps[number] = _KeptMap(self._size, (small.shape[0], small.shape[1]), least)
            self._size += small.nbytes

    def count_regions(self, numbers: Sequence[int], threshold: float) -> dict[int, int]:
        """Regions of these rows on the kept maps, by row id; rows that were not read are left out."""
        with self._lock:
            kept = {number: self._maps[number] for number in numbers if number in self._maps}
        if not kept:
            return {}
        values = np.memmap(self._file, dtype=np.float16, mode="r")
        return {number: one.count(values, threshold) for number, one in kept.items()}


def collect(batch: Batch, results: Iterable[Result], *, should_stop: Callable[[], bool] = lambda: False) -> None:
    """Add results, in the order of the batch's source, until they end or ``should_stop``; what has come stays."""
    for result in results:
        batch.add(result)
        if should_stop():
            return


def rethreshold(batch: Batch, *, boundary: float | None = None, pixel_threshold: float | None = None, start: int = 0) -> Results:
    """The batch at other thresholds (None: those in use for the model), from row ``start`` on. No network runs.

    boundary: in units of the raw score; pixel_threshold: in standard deviations of the map. At another pixel threshold,
    regions are counted on the kept maps of MAP_SIDE pixels: near ones may join and the smallest vanish.
    """
    rows = tuple(batch.rows[start:])
    own = batch.calibration  # after the rows: the first that was read has set it
    title, total, ignored = batch.source.title, len(batch.source.paths), batch.ignored
    if own is None:
        return Results(batch.model, title, rows, total, None, None, None, dict(batch.marks), ignored)
    used = boundary_in_use(own, boundary)
    usual = threshold_in_use(own)
    threshold = usual if pixel_threshold is None else float(pixel_threshold)
    counts = _recount(batch, rows, threshold) if threshold != usual else {}
    shown = tuple(_at(row, used.value, counts.get(row.id)) for row in rows)
    return Results(batch.model, title, shown, total, own, used, threshold, dict(batch.marks), ignored)


def reduce_picture(picture: Picture, side: int) -> Picture:
    """H x W x 3 uint8 with at most ``side`` pixels on its longer side; itself if it is small enough."""
    height, width = picture.shape[:2]
    if max(height, width) <= side:
        return picture
    step = max(1, max(height, width) // (4 * side))  # every n-th pixel first: the mean over millions for a thumbnail is slow
    size = (max(1, round(width * side / max(height, width))), max(1, round(height * side / max(height, width))))
    return np.asarray(cv2.resize(picture[::step, ::step], size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def encode_jpeg(picture: Picture, *, quality: int) -> bytes:
    """An RGB picture as JPEG; ``quality`` 1 to 100."""
    ok, data = cv2.imencode(".jpg", np.ascontiguousarray(picture[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not ok:
        raise RuntimeError(f"A picture of {picture.shape} could not be encoded as JPEG.")
    return bytes(data.tobytes())


def _at(row: Row, boundary: float, count: int | None) -> Row:
    if row.score is None:
        return row
    margin = row.score - boundary
    return replace(row, margin=margin, outcome="anomalous" if margin > 0 else "normal", regions=row.regions if count is None else count)


def _recount(batch: Batch, rows: Sequence[Row], threshold: float) -> dict[int, int]:
    """Regions by row id; where the map stays below the threshold, none without a look at it."""
    peaks = {row.id: row.peak for row in rows if row.peak is not None}
    high = [number for number, peak in peaks.items() if peak > threshold]
    return dict.fromkeys(peaks, 0) | batch.count_regions(high, threshold)


def _reduced(anomaly_map: FloatMap, side: int) -> FloatMap:
    height, width = anomaly_map.shape
    scale = side / max(height, width)
    if scale >= 1:
        return anomaly_map
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(anomaly_map, size, interpolation=cv2.INTER_AREA), dtype=np.float32)
