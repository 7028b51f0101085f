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


ANOMALIES = {"": "anomalous images", "labelled": "known anomalies", "synthetic": "synthetic anomalies"}
"""What the anomalous calibration images of a source are called."""


def known_rates(boundary: Boundary, images: str, source: str = "") -> str:
    """What a boundary does, as far as it is known: "On IMAGES: 5.0 % false alarms, 20.0 % misses."; "" where nothing is.

    ``source``: of the calibration's anomalous images, which are then called what they are.
    The false-alarm rate of a tail boundary is expected of new images, not a count of those at hand, and is called so.
    """
    alarms, misses = boundary.false_alarm_rate, boundary.miss_rate
    expected = boundary.kind == "tail" and alarms is not None
    rates = ((None if expected else alarms, "false alarms"), (misses, f"of the {ANOMALIES[source]} missed" if source else "misses"))
    counted = ", ".join(f"{share(rate)} {what}" for rate, what in rates if rate is not None)
    said = [f"About {share(alarms)} of new normal images should be called anomalous."] if expected and alarms is not None else []
    return " ".join([*said, f"On {images}: {counted}."] if counted else said)


def region_note(ignored: float) -> str:
    """That the model looks at a part of each image only; "" where it looks at all of it. ``ignored``: a share of 1."""
    return f"The model looks at its region of interest only: {share(ignored)} of each image is ignored." if ignored else ""


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
