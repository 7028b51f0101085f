"""What one browser tab's batch is on the server: its rows, the thread that works on it, and what of it the browser has. No Gradio."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

from panda_core.batch.job import Job
from panda_core.batch.rows import Batch, Result, Results, Row, collect, rethreshold
from panda_core.batch.sources import Source
from panda_core.errors import PandaError
from panda_core.inspection import Inspection
from panda_core.report.markup import KINDS, Subject, known_rates, measured, region_note
from panda_core.report.page import pictured, write_report
from panda_core.report.pictures import write_pictures_zip
from panda_core.report.tables import write_batch_csv, write_batch_json
from panda_core.roi import ignored_share
from panda_core.scoring.decision import boundary_in_use, threshold_in_use
from panda_core.ui.engine import NO_MODEL, Engine, ModelEntry
from panda_core.ui.work import Work, file_name, job_value

MOST_ROWS = 400
"""Rows in one message; the next follow when asked for."""
EXPORTS = {
    "csv": ("Writing the table", "csv"),
    "json": ("Writing the JSON file", "json"),
    "zip": ("Drawing overlays and masks", "zip"),
    "html": ("Writing the report", "html"),
}
"""Kind -> what is said meanwhile, suffix of the file."""
Opens = Callable[[Path, Callable[[], bool]], Source]
"""(folder for what has to be unpacked, should_stop) -> the images."""
Publish = Callable[[Path], str | None]
"""Makes a file one that the page may fetch; returns its path there."""
OnInspection = Callable[[Inspection, Row], None]
"""(inspection, its row at the thresholds in use); the row knows the file and the name that is shown."""

OnMark = Callable[[str, Row, Literal["normal", "anomalous", ""]], str]
"""(model, row, mark) -> why the mark teaches no model; "" if it does. The mark "" takes one back."""


class BatchSession(Work):
    """One batch at a time, and one job at a time on it: inspecting or exporting."""

    def __init__(
        self, engine: Engine, *, publish: Publish, on_inspection: OnInspection | None = None, on_mark: OnMark | None = None
    ) -> None:
        """``on_inspection`` is called in the job's thread with each image that was read; what it raises ends the job."""
        super().__init__("batch")
        self.batch: Batch | None = None
        self._engine, self._publish, self._on_inspection, self._on_mark = engine, publish, on_inspection, on_mark
        self._download: dict[str, Any] | None = None
        self._boundary: float | None = None
        self._pixel: float | None = None

    @property
    def thresholds(self) -> tuple[float | None, float | None]:
        """Boundary and pixel threshold as moved by the person; None: those in use for the model."""
        return self._boundary, self._pixel

    def inspect(self, model: str | None, opens: Opens) -> None:
        """Begin: open the source, then inspect it. Raises PandaError without a model. For a fresh session only."""
        if not model:
            raise PandaError(NO_MODEL)
        self.job = Job("Looking for images", partial(self._inspect, model, opens))

    def set_thresholds(self, boundary: float | None, pixel_threshold: float | None, *, known: int) -> dict[str, Any]:
        """Move the thresholds; a message with the regions of the ``known`` rows the browser has."""
        self._boundary, self._pixel = boundary, pixel_threshold
        message = self.message(known, rows=False)
        if self.batch is not None:
            message["regions"] = [row.regions for row in self._at_thresholds(0).rows[:known]]
        return message

    def mark(self, number: Any, mark: Any) -> str:
        """Keep what the person says of a row: "normal", "anomalous", or None to take it back. Anything else changes nothing.

        Returns why the mark is kept with this batch only; "" if it is not.
        """
        batch = self.batch
        if batch is None or not isinstance(number, int) or not 0 <= number < len(batch.rows) or mark not in (None, "normal", "anomalous"):
            return ""
        batch.mark(number, mark)
        return "" if self._on_mark is None else self._on_mark(batch.model, batch.rows[number], mark or "")

    def marks(self) -> dict[str, str]:
        """Number of a row, as JSON wants names -> what the person says of it."""
        return {} if self.batch is None else {str(number): mark for number, mark in self.batch.marks.items()}

    def marked_elsewhere(self, model: str, path: Path, mark: str) -> None:
        """What the person has said of one of these images outside of the batch: as `mark`, which is not told again."""
        batch = self.batch
        if batch is not None and batch.model == model:
            for row in [row for row in batch.rows if row.path == path]:
                batch.mark(row.id, mark or None)

    def results(self) -> Results:
        """The batch at the person's thresholds. Raises PandaError without a batch."""
        if self.batch is None or not self.batch.rows:
            raise PandaError("Nothing has been inspected yet. Choose a folder or upload images first.")
        return self._at_thresholds(0)

    def export(self, kind: str) -> None:
        """Begin to write one of EXPORTS; the file is offered by a later message. Does nothing while a job runs. Raises PandaError."""
        what, suffix = EXPORTS[kind]
        results = self.results()
        if self.running:
            return
        path = self.place / f"{file_name('inspection', results.title, otherwise='batch')}.{suffix}"
        self.job = Job(what, partial(self._export, kind, path, results))

    def message(self, known: int, *, rows: bool = True) -> dict[str, Any]:
        """How things stand, with the next rows for a browser that has the first ``known``. Asked with the same, it says the same."""
        running, job = self.running, self.job  # before the rows: what comes in between is told the next time
        message: dict[str, Any] = {"id": self.id, "job": job_value(job), "download": self._download, "working": running}
        batch = self.batch
        if batch is None:
            return message
        chunk = self._at_thresholds(known)
        sent = chunk.rows[:MOST_ROWS] if rows else ()
        head = {"title": batch.source.title, "note": batch.source.note, "model": batch.model, "total": chunk.total}
        values = {"from": known, "rows": [_row_value(row, batch.marks.get(row.id)) for row in sent]}
        return {**message, **head, **values, "thresholds": _threshold_value(chunk), "working": running or len(sent) < len(chunk.rows)}

    def _at_thresholds(self, start: int) -> Results:
        assert self.batch is not None
        return rethreshold(self.batch, boundary=self._boundary, pixel_threshold=self._pixel, start=start)

    def _inspect(self, model: str, opens: Opens, job: Job) -> None:
        place = self.place
        source = opens(place / "sources", job.stopping)
        (place / "rows").mkdir()
        job.total, job.what = len(source.paths), "Inspecting"
        self.batch = batch = Batch(model, source, place / "rows", ignored=ignored_share(model))
        collect(batch, self._watched(self._engine.inspect_many(model, source.paths), batch, job), should_stop=job.stopping)

    def _watched(self, results: Iterable[Result], batch: Batch, job: Job) -> Iterator[Result]:
        for result in results:
            yield result
            job.step()  # its row has been added
            if self._on_inspection is not None and isinstance(result, Inspection):
                self._on_inspection(result, batch.rows[-1])

    def _export(self, kind: str, path: Path, results: Results, job: Job) -> None:
        inspect = partial(self._engine.inspect_many, results.model)
        if kind == "csv":
            write_batch_csv(path, results)
        elif kind == "json":
            write_batch_json(path, results)
        elif kind == "zip":
            job.total = sum(row.score is not None for row in results.rows)
            write_pictures_zip(path, results, inspect, on_step=job.step, should_stop=job.stopping)
        else:
            job.total = len(pictured(results))
            subject = subject_of(results.model, self._engine.models())
            write_report(path, results, subject, inspect, on_step=job.step, should_stop=job.stopping)
        serial = 1 if self._download is None else self._download["serial"] + 1
        self._download = {"serial": serial, "name": path.name, "path": self._publish(path)}
        path.unlink(missing_ok=True)


def subject_of(name: str, models: Sequence[ModelEntry]) -> Subject:
    """What a report says of the model, from its entry."""
    entry = next((entry for entry in models if entry.name == name), None)
    if entry is None:
        return Subject(name)
    found = [
        measured(one.data, one.auroc, None if one.low is None or one.high is None else (one.low, one.high), one.trivial)
        for one in entry.measurements
    ]
    return Subject(name, entry.title, entry.data, entry.licence, entry.limits, tuple(found))


def _row_value(row: Row, mark: str | None) -> dict[str, Any]:
    picture = base64.b64encode(row.thumbnail.read_bytes()).decode() if row.thumbnail else ""
    return {
        "id": row.id,
        "name": row.name,
        "score": row.score,
        "regions": row.regions,
        "peak": row.peak,
        "ms": row.milliseconds,
        "problem": row.problem,
        # In the message and not at an address of its own: Gradio's copies of files vanish after a while, a long review must not lose them
        "picture": f"data:image/jpeg;base64,{picture}" if picture else None,
        "mark": mark,
    }


def _threshold_value(results: Results) -> dict[str, Any] | None:
    """``own`` and ``ownPixel``: those in use for the model, where the sliders go back to; ``boundary``, ``pixel``: those that count now."""
    calibration, used = results.calibration, results.boundary
    if calibration is None or used is None:
        return None
    usual = boundary_in_use(calibration)
    moved = f"Moved for this batch only: an image opened from it is judged at the model’s {usual.value:.3g}."
    said = (
        f"Judged by “{results.model}”. Boundary {KINDS[used.kind]}.",
        known_rates(used, "the calibration images", calibration.source),
        moved if used.value != usual.value else "",
        region_note(results.ignored),
    )
    return {
        "own": usual.value,
        "boundary": used.value,
        "ownPixel": threshold_in_use(calibration),
        "pixel": results.pixel_threshold,
        "low": calibration.lo,
        "high": calibration.hi,
        "said": " ".join(filter(None, said)),
    }
