"""The words and numbers of the page as HTML fragments. Pure: records in, text out; everything a file or card says is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from panda_core.inspection import Boundary, Calibration, Decision, Inspection, Region
from panda_core.scoring.boundary import false_alarm_rate, miss_rate
from panda_core.ui.engine import Measurement, ModelEntry

ERROR_LABELS = {
    "recon": "Reconstruction",
    "adv_x": "Critic, image",
    "adv_rec": "Critic, reconstruction",
    "percept": "Perceptual distance",
}
SOURCES = {
    "labelled": "from labelled anomalies",
    "synthetic": "from synthetic anomalies",
    "tail": "from normal images only",
    "manual": "set by you",
}
TABLE_ROWS = 50
"""Regions listed; the rest are counted."""
STRIP_BINS = 48
TRAIN_COMMAND = "panda train FOLDER --preset best --run runs/first\npython app.py --model runs/first/model"


def number(value: float, *, sign: bool = False) -> str:
    """A value in about four figures, with a true minus sign; ``sign`` also writes a plus."""
    digits = 3 if abs(value) < 10 else 2 if abs(value) < 100 else 0
    rounded = round(value, digits) or 0.0  # never -0
    return f"{rounded:{'+' if sign and rounded else ''}.{digits}f}".replace("-", "−")


def percent(share: float) -> str:
    """A share of 1 as per cent, to one decimal below ten."""
    return f"{100 * share:.{1 if share < 0.0995 else 0}f} %"


def explanation_panel() -> str:
    """What stands in the verdict's place before the first image."""
    return (
        '<section class="explanation"><h2>How it judges</h2>'
        "<p>The model has seen normal images only. It redraws yours from what it knows; "
        "what it cannot redraw or finds unusual adds to the score.</p>"
        "<p>Above the boundary the image is called anomalous. Where the map is above the pixel threshold it is marked. "
        "Both can be moved afterwards; the network does not run again.</p></section>"
    )


def verdict_panel(inspection: Inspection, decision: Decision) -> str:
    """Verdict, score against boundary, the needle, how rare the score is and where the boundary comes from."""
    cells = (
        ("Score", number(inspection.score)),
        ("Boundary", number(decision.boundary.value)),
        ("Margin", number(decision.margin, sign=True)),
    )
    numbers = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in cells)
    return (
        f'<section class="verdict {decision.verdict}" data-verdict="{decision.verdict}" aria-label="Verdict">'
        f'<h2 role="status">{decision.verdict.capitalize()}</h2><dl>{numbers}</dl>'
        f"{score_strip(inspection, decision.boundary)}"
        f"<p>{rarity(inspection)}</p><p>{origin(inspection.calibration.boundary, decision.boundary)}</p>"
        f"<p>{rates(inspection.calibration, decision.boundary.value)}</p></section>"
    )


def rarity(inspection: Inspection) -> str:
    """How many normal images score this high, from the conformal p-value."""
    count = inspection.calibration.normal_scores.size
    one_in = 1.0 / inspection.p_value
    if inspection.p_value * (1 + count) < 1.5:
        return f"<b>At most 1 in {one_in:.0f} normal images scores this high</b>: none of the {count} that calibrated the model did."
    text = f"1 in {one_in:.0f} normal images scores" if one_in >= 1.95 else f"{percent(inspection.p_value)} of normal images score"
    return f"<b>{text} this high</b>, judged by the {count} that calibrated the model."


def origin(own: Boundary, used: Boundary) -> str:
    """Where the boundary in use comes from; for one set by hand, the model's own beside it."""
    if used.kind == "manual":
        return f"<b>Boundary set by you.</b> The model’s own is {number(own.value)}, {SOURCES[own.kind]}."
    return f"<b>Boundary {SOURCES[used.kind]}.</b> {escape(used.reason)}"


def rates(calibration: Calibration, boundary: float) -> str:
    """What the boundary in use does to the calibration images."""
    alarms = false_alarm_rate(calibration.normal_scores, boundary)
    misses = miss_rate(calibration.anomalous_scores, boundary)
    parts = [f"{percent(alarms)} of the normal calibration images are called anomalous"] if alarms is not None else []
    parts += [f"{percent(misses)} of the anomalous ones are missed"] if misses is not None else []
    return f"With it, {' and '.join(parts)}." if parts else ""


def score_strip(inspection: Inspection, boundary: Boundary) -> str:
    """Needle over the calibration scores, on the frozen scale of Eq. 3 from lo to hi; beyond them the needle stays at the end."""
    calibration = inspection.calibration
    span = calibration.hi - calibration.lo
    bars = _bars(calibration.normal_scores, calibration, "normal") + _bars(calibration.anomalous_scores, calibration, "odd")
    at = 300 * min(max((boundary.value - calibration.lo) / span, 0.0), 1.0)
    needle = 300 * inspection.gauge
    label = (
        f"Score {number(inspection.score)}, boundary {number(boundary.value)}, scale {number(calibration.lo)} to {number(calibration.hi)}"
    )
    legend = '<i class="key normal"></i>normal' + ('<i class="key odd"></i>anomalous' if calibration.anomalous_scores.size else "")
    return (
        f'<figure class="strip"><svg viewBox="-6 0 312 62" role="img" aria-label="{label}">{bars}'
        f'<rect class="track" x="0" y="50" width="{at:.1f}" height="5" rx="2.5"/>'
        f'<rect class="alarm" x="{at:.1f}" y="50" width="{300 - at:.1f}" height="5" rx="2.5"/>'
        f'<line class="boundary" x1="{at:.1f}" x2="{at:.1f}" y1="4" y2="58"/>'
        f'<path class="needle" d="M{needle:.1f} 48 l-5 -9 h10 z M{needle:.1f} 48 v12"/></svg>'
        f"<figcaption><span>{number(calibration.lo)}</span><span>{legend}</span><span>{number(calibration.hi)}</span></figcaption></figure>"
    )


def contributions_panel(inspection: Inspection) -> str:
    """What each error added to the score, as signed bars."""
    largest = max((abs(value) for value in inspection.contributions.values()), default=0.0) or 1.0
    rows = []
    for name, raw in inspection.errors.items():
        added = inspection.contributions.get(name, 0.0)
        width = 50 * abs(added) / largest
        left = 50 - (width if added < 0 else 0)
        rows.append(
            f'<tr><th scope="row">{escape(ERROR_LABELS.get(name, name))}</th><td>{raw:.4g}</td>'
            f'<td class="bar"><i class="{"less" if added < 0 else "more"}" style="left:{left:.1f}%;width:{width:.1f}%"></i></td>'
            f"<td>{number(added, sign=True)}</td></tr>"
        )
    head = '<th scope="col">Part of the score</th><th scope="col">Error</th><th scope="col"></th><th scope="col">Adds</th>'
    return f'<table class="data contributions"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'


def regions_panel(regions: Sequence[Region], *, share: float, threshold: float, reduced: bool) -> str:
    """One row per region, strongest first. ``share``: of the image above ``threshold`` (SDs); ``reduced``: measured on a smaller map."""
    count = f"{len(regions)} region{'' if len(regions) == 1 else 's'}" if regions else "No region"
    title = f"<b>{count}</b> · {percent(share)} of the image above {number(threshold)} SD"
    body = "".join(_region_row(index, region) for index, region in enumerate(regions[:TABLE_ROWS], 1))
    if len(regions) > TABLE_ROWS:
        body += f'<tr><td colspan="5">and {len(regions) - TABLE_ROWS} weaker ones</td></tr>'
    names = ("#", "Area px", "Box x, y – x, y", "Peak", "Mean")
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    table = f'<table class="data regions"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>' if regions else ""
    note = '<p class="note">Measured on a map of 1024 px, given in pixels of the original.</p>' if reduced and regions else ""
    return f'<section aria-label="Regions" data-regions="{len(regions)}"><p class="caption">{title}</p>{table}{note}</section>'


def model_panel(entry: ModelEntry | None) -> str:
    """The model card in brief: data, licence, limits, measured AUROC beside the trivial baseline."""
    if entry is None:
        return ""
    if entry.problem:
        return f'<section class="card"><p class="problem" role="alert">{escape(entry.problem)}</p></section>'
    facts = "".join(f"<dt>{name}</dt><dd>{escape(text)}</dd>" for name, text in (("Data", entry.data), ("Licence", entry.licence)) if text)
    limits = "".join(f"<li>{escape(limit)}</li>" for limit in entry.limits)
    return (
        f'<section class="card" aria-label="Model card">{_measurements(entry.measurements)}<dl>{facts}</dl>'
        f"{f'<h3>Limits</h3><ul>{limits}</ul>' if limits else ''}</section>"
    )


def status_line(text: str, *, busy: bool = False) -> str:
    """The line at the foot of the page; ``busy`` adds the moving dot."""
    return f'<p class="status" role="status" data-busy="{"yes" if busy else "no"}">{escape(text)}</p>'


def _bars(scores: np.ndarray, calibration: Calibration, kind: str) -> str:
    if not scores.size:
        return ""
    counts, _ = np.histogram(np.clip(scores, calibration.lo, calibration.hi), bins=STRIP_BINS, range=(calibration.lo, calibration.hi))
    width = 300 / STRIP_BINS
    heights = 38 * counts / counts.max()
    path = "".join(f"M{i * width:.1f} 48v-{h:.1f}h{width - 1:.1f}v{h:.1f}z" for i, h in enumerate(heights) if h > 0)
    return f'<path class="{kind}" d="{path}"/>'


def _region_row(index: int, region: Region) -> str:
    x0, y0, x1, y1 = region.box
    cells = (f"{index}", f"{region.area:,}".replace(",", "\u202f"), f"{x0}, {y0} – {x1}, {y1}", number(region.peak), number(region.mean))
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _measurements(measurements: Sequence[Measurement]) -> str:
    if not measurements:
        return '<p class="note">Nothing measured: this card holds no test result.</p>'
    rows = "".join(_measurement_row(measurement) for measurement in measurements)
    head = '<th scope="col">Test</th><th scope="col">AUROC, 95 % CI</th><th scope="col">Trivial</th>'
    return f'<table class="data"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'


def _measurement_row(measurement: Measurement) -> str:
    trivial = "–" if measurement.trivial is None else f"{measurement.trivial:.3f}"
    cells = f"<td><b>{measurement.auroc:.3f}</b>{_interval(measurement)}</td><td>{trivial}</td>"
    return f'<tr><th scope="row">{escape(measurement.data).replace("/", "/<wbr>")}</th>{cells}</tr>'


def _interval(measurement: Measurement) -> str:
    return "" if measurement.low is None or measurement.high is None else f"<br>{measurement.low:.3f}–{measurement.high:.3f}"
