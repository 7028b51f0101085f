"""The report of a batch as one HTML file: pictures inside, no script, nothing from elsewhere; it opens and prints anywhere."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from pathlib import Path
from string import Template

import numpy as np

from panda_core.batch.rows import Results, Row
from panda_core.errors import ImageError
from panda_core.inspection import Boundary
from panda_core.report.files import whole_file
from panda_core.report.pictures import Inspect, inspect_again, small_overlay

HERE = Path(__file__).parent
MOST_PICTURES = 200
"""Pictures in a report: at some 40 kB each more would make a file that no program likes to open."""
BINS = 48
KINDS = {
    "labelled": "from labelled anomalies",
    "synthetic": "from synthetic anomalies",
    "tail": "from normal images only",
    "manual": "set by hand",
}
"""Where a boundary comes from, in words."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What the report says of the model, in its card's words."""

    name: str
    title: str = ""
    data: str = ""
    licence: str = ""
    limits: tuple[str, ...] = ()
    measurements: tuple[str, ...] = ()
    """One sentence a measured result."""


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
        file.write(_encoded(head))
        for row, result in inspect_again(pictured(results), inspect, should_stop=should_stop):
            picture = None if isinstance(result, ImageError) else small_overlay(result, pixel_threshold=results.pixel_threshold)
            file.write(_encoded(_figure(row, picture)))
            on_step()
        file.write(_encoded(tail))


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
    low, high = float(min(scores.min(), at)), float(max(scores.max(), at))
    span = (high - low) or 1.0
    edges = np.linspace(low, low + span, BINS + 1)
    normal, _ = np.histogram(scores[scores <= at], edges)
    odd, _ = np.histogram(scores[scores > at], edges)
    x = 30 + 940 * (at - low) / span
    label = f"{scores.size} scores from {_number(low)} to {_number(high)}; the boundary is {_number(at)}"
    return (
        f'<svg viewBox="0 0 1000 190" role="img" aria-label="{label}"><path class="axis" d="M30 160h940"/>{_bars(normal, odd)}'
        f'<path class="boundary" d="M{x:.1f} 8V166"/><text x="{min(max(x, 70), 930):.1f}" y="184" text-anchor="middle">'
        f'boundary {_number(at)}</text><text x="30" y="176">{_number(low)}</text>'
        f'<text x="970" y="176" text-anchor="end">{_number(high)}</text><text x="4" y="18">{int((normal + odd).max())}</text></svg>'
    )


def share(share: float) -> str:
    """A share of 1 as per cent."""
    return f"{100 * share:.1f} %"


def _frame(results: Results, subject: Subject) -> str:
    template = Template((HERE / "page.html").read_text(encoding="utf-8"))
    return template.substitute(
        title=f"Inspection report: {escape(results.title)}",
        style=(HERE / "page.css").read_text(encoding="utf-8"),
        source=escape(results.title),
        model=escape(subject.title or subject.name),
        date=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
        counts=_counts(results),
        shortfall=_shortfall(results),
        histogram=histogram(results),
        thresholds=_thresholds(results),
        pictures_note=_pictures_note(results),
        table=_table(results),
        model_facts=_facts(subject),
    )


def _counts(results: Results) -> str:
    cells = [(results.count("anomalous"), "anomalous"), (results.count("normal"), "normal"), (results.count("unreadable"), "unreadable")]
    return "".join(f'<div class="{name}"><b>{count}</b>{name}</div>' for count, name in cells)


def _shortfall(results: Results) -> str:
    left = results.total - len(results.rows)
    text = f"The inspection was stopped: {left} of {results.total} images were not inspected and are not in this report."
    return f'<p class="warning">{text}</p>' if left else ""


def _thresholds(results: Results) -> str:
    used, calibration = results.boundary, results.calibration
    if used is None or calibration is None:
        return '<p class="note">No image could be read.</p>'
    facts = [
        ("Image boundary", f"{_number(used.value)}, {KINDS[used.kind]}. {escape(used.reason)}"),
        ("False alarms", _alarms(used)),
        ("Misses", f"{share(used.miss_rate)} of the anomalous calibration images" if used.miss_rate is not None else "not known"),
        ("Pixel threshold", f"{_number(results.pixel_threshold)} standard deviations of normal images"),
        ("Calibrated with", f"{calibration.count} normal images, {calibration.anomalous_scores.size} anomalous"),
    ]
    if used.kind == "manual" and calibration.boundary.kind != "manual":
        own = calibration.boundary
        facts.insert(1, ("The model’s own", f"{_number(own.value)}, {KINDS[own.kind]}"))
    return _list(facts)


def _alarms(used: Boundary) -> str:
    if used.false_alarm_rate is None:
        return "not known"
    if used.kind == "tail":
        return f"at most {share(used.false_alarm_rate)} of normal images like those of the calibration"
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
    numbers = f"{row.outcome}, score {_number(row.score)}, {regions}" if picture else "The file can no longer be read."
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
    numbers = (_number(row.score), _number(row.margin, sign=True), str(row.regions), _number(row.peak))
    return f"<tr><td>{escape(row.name)}</td>{verdict}{''.join(f'<td>{text}</td>' for text in numbers)}{marked}</tr>"


def _facts(subject: Subject) -> str:
    facts = [("Name", subject.name), ("Made from", subject.data), ("Licence", subject.licence)]
    facts += [("Measured", text) for text in subject.measurements] + [("Limit", text) for text in subject.limits]
    return _list([(name, escape(text)) for name, text in facts if text])


def _list(facts: Sequence[tuple[str, str]]) -> str:
    return f"<dl>{''.join(f'<dt>{name}</dt><dd>{text}</dd>' for name, text in facts)}</dl>"


def _bars(normal: np.ndarray, odd: np.ndarray) -> str:
    width, scale = 940 / BINS, 150 / max(1, int((normal + odd).max()))
    parts = []
    for index, (below, above) in enumerate(zip(normal, odd, strict=True)):
        x, foot = 30 + index * width, 160.0
        for count, name in ((below, "normal"), (above, "anomalous")):
            if count:
                foot -= count * scale
                parts.append(f'<rect class="bar {name}" x="{x:.1f}" y="{foot:.1f}" width="{width - 1:.1f}" height="{count * scale:.1f}"/>')
    return "".join(parts)


def _number(value: float | None, *, sign: bool = False) -> str:
    return "–" if value is None else f"{value:{'+' if sign else ''}.3f}".replace("-", "−")


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "replace")
