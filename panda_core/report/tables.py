"""Results as CSV for a spreadsheet and as JSON for a program."""

from __future__ import annotations

import codecs
import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from panda_core.batch.rows import Results, Row
from panda_core.printable import printable
from panda_core.report.files import whole_file
from panda_core.spreadsheet import guard

COLUMNS = ("path", "score", "gauge", "verdict", "boundary", "boundary_kind", "regions", "p_value", "error")
"""Of the table of `panda inspect`, in this order; the model's errors follow."""
BATCH_COLUMNS = ("name", *COLUMNS[:-2], "margin", "peak", "pixel_threshold", "ignored", "milliseconds", "mark", "error")


def write_csv(path: Path, records: Sequence[Mapping[str, Any]], *, columns: Sequence[str] = COLUMNS) -> None:
    """One line a record: ``columns``, then one column for each name in the records' ``errors``. Raises PandaError.

    ``regions`` may be a count or a list, of which the length is written. Missing values stay empty.
    """
    with whole_file(path) as file:
        file.write(printable(_csv_text(records, columns)).encode())


def _csv_text(records: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    text = io.StringIO()
    errors = sorted({name for entry in records for name in entry.get("errors", {})})
    writer = csv.writer(text)
    # Systems whose one error is their score call it so, which a column is called already.
    writer.writerow([*columns, *(f"error {name}" if name in columns else name for name in errors)])
    for entry in records:
        raw = entry.get("errors", {})
        writer.writerow([*(_cell(entry.get(name)) for name in columns), *(_cell(raw.get(name)) for name in errors)])
    return text.getvalue()


def batch_records(results: Results) -> Iterator[dict[str, Any]]:
    """One JSON-ready record a row; without the fields that do not apply to an unreadable image."""
    for row in results.rows:
        record = _read_record(row, results) if row.score is not None else {"error": row.problem}
        marked = {"mark": results.marks[row.id]} if row.id in results.marks else {}
        yield {"name": row.name, "path": str(row.path), **record, **marked}


def batch_csv(results: Results) -> bytes:
    """The batch as CSV, one line an image, marked as UTF-8 for spreadsheets."""
    text = _csv_text(list(batch_records(results)), BATCH_COLUMNS)
    return codecs.BOM_UTF8 + printable(text).encode()


def write_batch_csv(path: Path, results: Results) -> None:
    """Write `batch_csv` to a file. Raises PandaError."""
    with whole_file(path) as file:
        file.write(batch_csv(results))


def write_batch_json(path: Path, results: Results) -> None:
    """The batch as one JSON document: model, thresholds and where they come from, counts, images. Raises PandaError."""
    document = {
        "model": results.model,
        "source": results.title,
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "boundary": _boundary(results),
        "pixel_threshold": results.pixel_threshold,
        "ignored": results.ignored,
        "counts": {outcome: results.count(outcome) for outcome in ("anomalous", "normal", "unreadable")},
        "not_inspected": results.total - len(results.rows),
        "images": list(batch_records(results)),
    }
    with whole_file(path) as file:
        file.write(printable(json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)).encode())


def _read_record(row: Row, results: Results) -> dict[str, Any]:
    boundary = results.boundary
    return {
        "score": row.score,
        "gauge": row.gauge,
        "verdict": row.outcome,
        "boundary": boundary.value if boundary else None,
        "boundary_kind": boundary.kind if boundary else None,
        "margin": row.margin,
        "regions": row.regions,
        "peak": row.peak,
        "pixel_threshold": results.pixel_threshold,
        "ignored": results.ignored,
        "milliseconds": row.milliseconds,
        "errors": dict(row.errors),
    }


def _boundary(results: Results) -> dict[str, Any] | None:
    used = results.boundary
    if used is None:
        return None
    rates = {"false_alarm_rate": used.false_alarm_rate, "miss_rate": used.miss_rate}
    return {"value": used.value, "kind": used.kind, "reason": used.reason, **rates}


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        return len(value)
    return guard(value) if isinstance(value, str) else value
