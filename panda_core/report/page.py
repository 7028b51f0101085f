"""The report of a batch as one HTML file: pictures inside, no script, nothing from elsewhere; it opens and prints anywhere."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import datetime
from html import escape
from pathlib import Path
from string import Template

import numpy as np

from panda_core.batch.rows import Results, Row
from panda_core.errors import ImageError
from panda_core.inspection import Boundary
from panda_core.printable import printable
from panda_core.report import charts
from panda_core.report.files import whole_file
from panda_core.report.markup import ANOMALIES, KINDS, Subject, definitions, model_facts, number, region_note, share
from panda_core.report.pictures import Inspect, inspect_again, small_overlay

HERE = Path(__file__).parent
MOST_PICTURES = 200
"""Pictures in a report: at some 40 kB each more would make a file that no program likes to open."""


def write_report(
    path: Path,
    results: Results,
    subject: Subject,
    inspect: Inspect,
    *,
    on_step: Callable[[], None] = lambda: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> None:
    """Write the report; the images of `pictured` are inspected again, one by one, for their overlays.

    ``on_step`` is called after each of them. Raises StoppedError where ``should_stop``, and PandaError; no file stays then.
    """
    head, tail = _frame(results, subject).split("<!--pictures-->")
    with whole_file(path) as file:
        file.write(printable(head).encode())
        for row, result in inspect_again(pictured(results), inspect, should_stop=should_stop):
            picture = None if isinstance(result, ImageError) else small_overlay(result, pixel_threshold=results.pixel_threshold)
            file.write(printable(_figure(row, picture)).encode())
            on_step()
        file.write(printable(tail).encode())


def pictured(results: Results) -> list[Row]:
    """The rows that get a picture: the MOST_PICTURES with the largest margins, largest first."""
    read = [row for row in results.rows if row.margin is not None]
    return sorted(read, key=lambda row: -(row.margin or 0.0))[:MOST_PICTURES]


def histogram(results: Results) -> str:
    """Scores of the batch as inline SVG, anomalous on normal ones, with the boundary."""
    scores = np.array([row.score for row in results.rows if row.score is not None])
    if not scores.size or results.boundary is None:
        return '<p class="note">No image could be read, so there are no scores.</p>'
    at = results.boundary.value
    return charts.histogram(scores[scores <= at], scores[scores > at], at)


def _frame(results: Results, subject: Subject) -> str:
    template = Template((HERE / "page.html").read_text(encoding="utf-8"))
    return template.substitute(
        title=f"Inspection report: {escape(results.title)}",
        style=(HERE / "page.css").read_text(encoding="utf-8"),
        source=escape(results.title),
        model=escape(subject.title or subject.name),
        date=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
        counts=_counts(results),
        warnings=_warnings(results),
        histogram=histogram(results),
        thresholds=_thresholds(results),
        pictures_note=_pictures_note(results),
        table=_table(results),
        model_facts=model_facts(subject),
    )


def _counts(results: Results) -> str:
    cells = [(results.count("anomalous"), "anomalous"), (results.count("normal"), "normal"), (results.count("unreadable"), "unreadable")]
    return "".join(f'<div class="{name}"><b>{count}</b>{name}</div>' for count, name in cells)


def _warnings(results: Results) -> str:
    left = results.total - len(results.rows)
    stopped = f"The inspection was stopped: {left} of {results.total} images were not inspected and are not in this report."
    texts = [stopped if left else "", region_note(results.ignored)]
    return "".join(f'<p class="warning">{text}</p>' for text in texts if text)


def _thresholds(results: Results) -> str:
    used, calibration = results.boundary, results.calibration
    if used is None or calibration is None:
        return '<p class="note">No image could be read.</p>'
    anomalies = ANOMALIES[calibration.source]
    facts = [
        ("Image boundary", f"{number(used.value)}, {KINDS[used.kind]}. {escape(used.reason)}"),
        ("False alarms", _alarms(used)),
        ("Misses", f"{share(used.miss_rate)} of the {anomalies} of the calibration" if used.miss_rate is not None else "not known"),
        ("Pixel threshold", f"{number(results.pixel_threshold)} standard deviations of normal images"),
        ("Calibrated with", f"{calibration.count} normal images, {calibration.anomalous_scores.size} {anomalies}"),
    ]
    if used.kind == "manual" and calibration.boundary.kind != "manual":
        own = calibration.boundary
        facts.insert(1, ("The model’s own", f"{number(own.value)}, {KINDS[own.kind]}"))
    return definitions(facts)


def _alarms(used: Boundary) -> str:
    if used.false_alarm_rate is None:
        return "not known"
    if used.kind == "tail":
        return f"about {share(used.false_alarm_rate)} of normal images like those of the calibration"
    return f"{share(used.false_alarm_rate)} of the normal calibration images"


def _pictures_note(results: Results) -> str:
    shown, read = len(pictured(results)), sum(row.score is not None for row in results.rows)
    if not shown:
        return "None."
    which = "All images that were read" if shown == read else f"The {shown} of {read} images with the largest margin"
    return f"{which}, the strangest first. Red is where the map is above the pixel threshold."


def _figure(row: Row, picture: bytes | None) -> str:
    data = f'<img alt="" src="data:image/jpeg;base64,{base64.b64encode(picture).decode()}">' if picture else ""
    regions = f"{row.regions} region{'' if row.regions == 1 else 's'}"
    numbers = f"{row.outcome}, score {number(row.score)}, {regions}" if picture else "The file can no longer be read."
    return f'<figure class="{row.outcome}">{data}<figcaption><b>{escape(row.name)}</b>{numbers}</figcaption></figure>\n'


def _table(results: Results) -> str:
    marks = bool(results.marks)
    names = ["Image", "Verdict", "Score", "Margin", "Regions", "Peak SD", *(["Your mark"] if marks else [])]
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    body = "\n".join(_line(row, results.marks.get(row.id, "") if marks else None) for row in results.rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table>"


def _line(row: Row, mark: str | None) -> str:
    verdict = f'<td class="verdict {row.outcome}">{row.outcome}</td>'
    marked = f"<td>{mark}</td>" if mark is not None else ""
    if row.score is None:
        return f'<tr><td>{escape(row.name)}</td>{verdict}<td colspan="4">{escape(row.problem)}</td>{marked}</tr>'
    numbers = (number(row.score), number(row.margin, sign=True), str(row.regions), number(row.peak))
    return f"<tr><td>{escape(row.name)}</td>{verdict}{''.join(f'<td>{text}</td>' for text in numbers)}{marked}</tr>"
