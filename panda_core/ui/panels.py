"""The words and numbers of the page as HTML fragments. Pure: records in, text out; everything a file or card says is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from panda_core.ui.engine import Measurement, ModelEntry

MEASURED = "1: every anomalous image scores above every normal one; 0.5: chance. Trivial: colour and shape alone."
TRAIN_COMMAND = "panda train FOLDER --preset best --run runs/first\npython app.py --model runs/first/model"


def number(value: float, *, sign: bool = False) -> str:
    """A value in about four figures, with a true minus sign; ``sign`` also writes a plus."""
    digits = 3 if abs(value) < 10 else 2 if abs(value) < 100 else 0
    rounded = round(value, digits) or 0.0  # never -0
    return f"{rounded:{'+' if sign and rounded else ''}.{digits}f}".replace("-", "−")


def percent(share: float) -> str:
    """A share of 1 as per cent, to one decimal below ten."""
    return f"{100 * share:.{1 if share < 0.0995 else 0}f} %"


def model_panel(entry: ModelEntry | None) -> str:
    """The model card in brief: data, licence, limits, measured AUROC beside the trivial baseline."""
    if entry is None:
        return ""
    if entry.problem:
        return f'<section class="card"><p class="problem" role="alert">{escape(entry.problem)}</p></section>'
    facts = "".join(f"<dt>{name}</dt><dd>{escape(text)}</dd>" for name, text in (("Data", entry.data), ("Licence", entry.licence)) if text)
    limits = "".join(f"<li>{escape(limit)}</li>" for limit in entry.limits)
    return (
        f'<section class="card" aria-label="Model card"><h2>{escape(entry.title)}</h2>{_measurements(entry.measurements)}<dl>{facts}</dl>'
        f"{f'<h3>Limits</h3><ul>{limits}</ul>' if limits else ''}</section>"
    )


def status_line(text: str, *, busy: bool = False) -> str:
    """The line at the foot of the page; ``busy`` adds the moving dot."""
    return f'<p class="status" role="status" data-busy="{"yes" if busy else "no"}">{escape(text)}</p>'


def _measurements(measurements: Sequence[Measurement]) -> str:
    if not measurements:
        return '<p class="note">Nothing measured: this card holds no test result.</p>'
    rows = "".join(_measurement_row(measurement) for measurement in measurements)
    head = '<th scope="col">Test</th><th scope="col">AUROC, 95 % CI</th><th scope="col">Trivial</th>'
    return f'<table class="data"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table><p class="note">{MEASURED}</p>'


def _measurement_row(measurement: Measurement) -> str:
    trivial = "–" if measurement.trivial is None else f"{measurement.trivial:.3f}"
    cells = f"<td><b>{measurement.auroc:.3f}</b>{_interval(measurement)}</td><td>{trivial}</td>"
    return f'<tr><th scope="row">{escape(measurement.data).replace("/", "/<wbr>")}</th>{cells}</tr>'


def _interval(measurement: Measurement) -> str:
    return "" if measurement.low is None or measurement.high is None else f"<br>{measurement.low:.3f}–{measurement.high:.3f}"
