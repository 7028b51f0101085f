"""The report of an evaluation as one HTML file: models measured on the same folder, side by side. No script, nothing from elsewhere."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from string import Template

from panda_core.comparison import Difference, auroc_difference
from panda_core.evaluation import Report
from panda_core.printable import printable
from panda_core.report.charts import Curve, histogram, unit_chart
from panda_core.report.files import whole_file
from panda_core.report.hardest import MOST
from panda_core.report.markup import KINDS, Subject, definitions, interval, model_facts, number, share, table
from panda_core.scoring.metrics import Points

HERE = Path(__file__).parent
MOST_LEFT_OUT = 200
"""Files named as left out; of more it is said how many."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One model's part of a report."""

    report: Report
    subject: Subject
    pictures: Mapping[Path, bytes] = field(default_factory=dict)
    """Image file -> JPEG, of the images that `HardestPictures` chose."""

    @property
    def title(self) -> str:
        """The model's name for people."""
        return self.subject.title or self.subject.name


def write_evaluation(path: Path, source: str, measured: Sequence[Measured]) -> None:
    """Write the report of one or more models on the folder that ``source`` names. Raises PandaError; no file stays then."""
    with whole_file(path) as file:
        file.write(printable(_page(source, measured)).encode())


def write_evaluation_json(path: Path, source: str, measured: Sequence[Measured]) -> None:
    """The same as one JSON document; ``models``: what `Report.to_dict` says of each. Raises PandaError."""
    written = datetime.now(UTC).isoformat(timespec="seconds")
    document = {"source": source, "written": written, "models": [one.report.to_dict() for one in measured]}
    with whole_file(path) as file:
        file.write(printable(json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)).encode())


def _page(source: str, measured: Sequence[Measured]) -> str:
    first = measured[0].report
    return Template((HERE / "evaluation.html").read_text(encoding="utf-8")).substitute(
        title=f"Evaluation report: {escape(source)}",
        style=(HERE / "page.css").read_text(encoding="utf-8"),
        source=f"{escape(source)} · {first.normal} normal, {first.anomalous} anomalous images",
        date=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
        summary=_warnings(measured) + _summary(measured),
        intervals=_intervals(measured),
        charts=_charts(measured),
        models="\n".join(map(_model, measured)),
        left_out=_left_out(measured),
        prevalence=number(first.prevalence),
        boundaries=_boundaries(measured),
    )


def _warnings(measured: Sequence[Measured]) -> str:
    return "".join(f'<p class="warning">{escape(one.title)}: {escape(one.report.warning)}</p>' for one in measured if one.report.warning)


def _summary(measured: Sequence[Measured]) -> str:
    heads = ["Model", "AUROC", "AUPRC", "Pixel AUROC", "AUPRO", "False alarms", "Misses", "Time an image"]
    if len(measured) > 1:
        heads.insert(2, "AUROC beside the first")
    return table(heads, [_line(one, measured[0]) if len(measured) > 1 else _line(one) for one in measured])


def _line(one: Measured, first: Measured | None = None) -> list[str]:
    found = one.report
    beside = [] if first is None else ["" if one is first else _apart(auroc_difference(found, first.report))]
    return [
        escape(one.title),
        interval(found.auroc, found.auroc_ci),
        *beside,
        interval(found.auprc, found.auprc_ci),
        number(found.pixel_auroc),
        number(found.aupro),
        share(found.false_alarm_rate),
        share(found.miss_rate),
        f"{found.milliseconds:.0f} ms, {escape(found.device)}",
    ]


def _apart(difference: Difference) -> str:
    low, high = difference.ci
    return f"{number(difference.auroc, sign=True)} ({number(low, sign=True)} to {number(high, sign=True)})"


def _intervals(measured: Sequence[Measured]) -> str:
    trivial = measured[0].report.trivial_auroc
    text = "" if trivial is None else f"Colour statistics alone reach an AUROC of {number(trivial)} on these images. "
    if masks := measured[0].report.masks:
        text += f"Pixel AUROC and AUPRO are over the normal images and {masks} true masks. "
    text += (
        "In brackets: 95 % intervals. They take each image for a case of its own: with several pictures of one object they are too narrow, "
        "and those of AUPRC with few images of a class, too. False alarms and misses are those at the boundary each model has in use."
    )
    if len(measured) > 1:
        text += " Where an interval beside the first model holds 0, these images cannot tell the two apart."
    return text


def _boundaries(measured: Sequence[Measured]) -> str:
    flatters = "choosing a boundary on test images flatters the model, and the rates do not hold for the next ones"
    by_hand = [escape(one.title) for one in measured if one.report.boundary_kind == "manual"]
    if by_hand:
        return (
            f"The boundary of {', '.join(by_hand)} was set by a person. If these images were looked at for that, its rates are too good: "
            f"{flatters}. Any other boundary is the model’s own and came with it."
        )
    return f"Each boundary is the model’s own and came with the model. None was chosen on these images: {flatters}."


def _charts(measured: Sequence[Measured]) -> str:
    guess = measured[0].report.prevalence
    diagonal: Points = ((0.0, 0.0), (1.0, 1.0))
    roc = [Curve(one.title, one.report.roc) for one in measured]
    pr = [Curve(one.title, one.report.pr, stepped=True) for one in measured]
    return unit_chart(roc, x="false alarms among normal images", y="found among anomalous images", guess=diagonal) + unit_chart(
        pr, x="found among anomalous images (recall)", y="anomalous among those called so (precision)", guess=((0.0, guess), (1.0, guess))
    )


def _model(one: Measured) -> str:
    found, title = one.report, escape(one.title)
    scores = histogram(found.scores(anomalous=False), found.scores(anomalous=True), found.boundary)
    key = '<p class="note">Blue: normal images; red, on top: anomalous ones.</p>'
    return (
        f"<section><h2>{title}: scores and boundary</h2>{scores}{key}{_boundary(found)}{_confusion(found)}</section>"
        f'<section><h2>{title}: each defect, each error alone</h2><div class="tables">{_defects(found)}{_errors(found)}</div></section>'
        f"{_hardest(one)}<section><h2>{title}: the model</h2>{model_facts(one.subject)}</section>"
    )


def _boundary(found: Report) -> str:
    return definitions([("Boundary", f"{number(found.boundary)}, {KINDS[found.boundary_kind]}. {escape(found.boundary_reason)}")])


def _confusion(found: Report) -> str:
    missed, alarms = round(found.miss_rate * found.anomalous), round(found.false_alarm_rate * found.normal)
    return table(
        ["", "called anomalous", "called normal", "in error"],
        [
            ["anomalous", f"{found.anomalous - missed}", f"{missed}", share(found.miss_rate)],
            ["normal", f"{alarms}", f"{found.normal - alarms}", share(found.false_alarm_rate)],
        ],
    )


def _defects(found: Report) -> str:
    areas = {name: interval(area, found.defect_auroc_ci[name]) for name, area in found.defect_auroc.items()}
    rows = [[escape(name), str(found.defect_count[name]), area, _of(found, name)] for name, area in areas.items()]
    return table(["Defect", "Images", "AUROC", "Found at the boundary"], rows)


def _of(found: Report, defect: str) -> str:
    hits = found.found(defect)
    return f"{hits} ({share(hits / found.defect_count[defect])})"


def _errors(found: Report) -> str:
    rows = [[escape(name), interval(area, found.error_auroc_ci[name])] for name, area in found.error_auroc.items()]
    return table(["Error alone", "AUROC"], rows)


def _hardest(one: Measured) -> str:
    parts = []
    for anomalous, text in ((False, "Normal images with the highest scores"), (True, "Anomalous images with the lowest scores")):
        places = one.report.hardest(MOST, anomalous=anomalous)
        figures = "".join(_figure(one, place) for place in places)
        parts.append(f'<section><h2>{escape(one.title)}: {text.lower()}</h2><div class="pictures">{figures}</div></section>')
    return "".join(parts)


def _figure(one: Measured, place: int) -> str:
    image = one.report.images[place]
    called = "anomalous" if image.score > one.report.boundary else "normal"
    wrong = image.anomalous != (called == "anomalous")
    picture = one.pictures.get(image.path)
    data = f'<img alt="" src="data:image/jpeg;base64,{base64.b64encode(picture).decode()}">' if picture else ""
    said = f"{'wrong: ' if wrong else ''}called {called}, score {number(image.score)}"
    return f'<figure class="{"anomalous" if wrong else ""}">{data}<figcaption><b>{escape(image.name)}</b>{said}</figcaption></figure>\n'


def _left_out(measured: Sequence[Measured]) -> str:
    problems = list(dict.fromkeys(_all_problems(measured)))
    if not problems:
        return ""
    items = "".join(f"<li>{escape(text)}</li>" for text in problems[:MOST_LEFT_OUT])
    more = f"<p>… and {len(problems) - MOST_LEFT_OUT} more.</p>" if len(problems) > MOST_LEFT_OUT else ""
    said = f"{len(problems)} files do not count, or not in the pixel measures."
    return f'<section><h2>Left out</h2><p class="warning">{said}</p><ul>{items}</ul>{more}</section>'


def _all_problems(measured: Sequence[Measured]) -> Iterable[str]:
    return (problem for one in measured for problem in one.report.problems)
