"""The small pieces of HTML that every report is made of. What comes from files and people is escaped here or by the caller."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from panda_core.inspection import Boundary

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


def share(share: float) -> str:
    """A share of 1 as per cent."""
    return f"{100 * share:.1f} %"


def known_rates(boundary: Boundary) -> list[str]:
    """What a boundary did on the calibration images, as far as it is known: ["5 % false alarms", "20 % misses"]."""
    rates = ((boundary.false_alarm_rate, "false alarms"), (boundary.miss_rate, "misses"))
    return [f"{share(rate)} {what}" for rate, what in rates if rate is not None]


def number(value: float | None, *, sign: bool = False) -> str:
    """Three decimals and a true minus; a dash for what is not there."""
    return "–" if value is None else f"{value:{'+' if sign else ''}.3f}".replace("-", "−")


def interval(value: float, ci: tuple[float, float]) -> str:
    """A value with its interval."""
    return f"{number(value)} ({number(ci[0])}–{number(ci[1])})"


def measured(data: str, auroc: float, ci: tuple[float, float] | None, trivial: float | None) -> str:
    """A result of the card in a sentence, with the trivial baseline on the same images where it is known."""
    within = "" if ci is None else f" (95 % interval {number(ci[0])}–{number(ci[1])})"
    return f"{data}: AUROC {number(auroc)}{within}{'' if trivial is None else f'; a trivial baseline reaches {number(trivial)}'}"


def definitions(facts: Sequence[tuple[str, str]]) -> str:
    """A list of (name, HTML)."""
    return f"<dl>{''.join(f'<dt>{name}</dt><dd>{text}</dd>' for name, text in facts)}</dl>"


def table(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table of HTML cells."""
    head = "".join(f'<th scope="col">{name}</th>' for name in heads)
    body = "\n".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in line)}</tr>" for line in lines)
    return f"<table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table>"


def model_facts(subject: Subject) -> str:
    """What the card says of the model."""
    facts = [("Name", subject.name), ("Made from", subject.data), ("Licence", subject.licence)]
    facts += [("Measured", text) for text in subject.measurements] + [("Limit", text) for text in subject.limits]
    return definitions([(name, escape(text)) for name, text in facts if text])


def encoded(text: str) -> bytes:
    """For a file; a name may hold bytes that are no text."""
    return text.encode("utf-8", "replace")
