"""Plots for print: the bars of Fig. 3, AUROC with intervals, distributions of scores. With matplotlib, which only they need.

The same records give the same bytes: no dates and no random names are written.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from panda_core.durable import written_aside
from panda_core.errors import PandaError
from panda_core.reproduction.further_tables import auprc_of
from panda_core.reproduction.record import Record
from panda_core.reproduction.systems import TRIVIAL
from panda_core.reproduction.tables import Results, compared_systems, title_of

NORMAL_COLOUR, ANOMALOUS_COLOUR = "#3b82c4", "#d9622b"


class PlotError(PandaError):
    """A plot cannot be drawn."""


def check_matplotlib() -> None:
    """Raises PlotError, with what to install, where it is not there."""
    if importlib.util.find_spec("matplotlib") is None:
        raise PlotError("No plots: matplotlib is not installed. Tables are not touched by that. pip install -r requirements-reproduce.txt")


@contextmanager
def _figure(path: Path, rows: int, *, width: float = 8.0, height: float = 3.0) -> Iterator[Any]:
    """Axes below each other; saved as SVG, whole, when the block ends. Raises PlotError without matplotlib."""
    check_matplotlib()
    import matplotlib

    style = {"svg.hashsalt": "panda", "svg.fonttype": "none", "font.size": 8, "axes.spines.top": False, "axes.spines.right": False}
    with matplotlib.rc_context(style):
        # Not pyplot: it keeps every figure alive and asks for a screen.
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure

        figure = Figure(figsize=(width, height * rows), layout="constrained")
        FigureCanvasSVG(figure)
        yield figure.subplots(rows, 1, squeeze=False)[:, 0]
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_aside(path, durable=False) as temporary:
            figure.savefig(temporary, format="svg", metadata={"Date": None})


def leave_one_out_bars(path: Path, results: Results, dataset: str) -> None:
    """Fig. 3: AUPRC of every system with each class left out; above with the anomalous, below with the normal class as positive.

    The lines on the bars are 95 % intervals over test images.
    """
    records = [record for record in results.records if record.dataset == dataset]
    classes = sorted({record.category for record in records})
    systems = [system for system in dict.fromkeys(record.system for record in records) if system != TRIVIAL] + [TRIVIAL]
    with _figure(path, 2) as axes:
        for axis, positive in zip(axes, ("anomalous", "normal"), strict=True):
            for number, system in enumerate(systems):
                found = [results.of(system, dataset, category) for category in classes]
                bars = np.array([_bar(one, positive) for one in found])
                places = np.arange(len(classes)) + (number - (len(systems) - 1) / 2) * 0.8 / len(systems)
                axis.bar(places, bars[:, 0], 0.8 / len(systems), label=title_of(system), color=_colour(number))
                axis.errorbar(places, bars[:, 0], bars[:, 1:].T, fmt="none", ecolor="black", elinewidth=0.5)
            share = [next(r.prevalence for r in records if r.category == category) for category in classes]
            chance = share if positive == "anomalous" else [1 - value for value in share]
            axis.step(
                np.arange(len(classes) + 1) - 0.5, [*chance, chance[-1]], where="post", color="black", lw=0.8, ls=":", label="guessing"
            )
            axis.set_xticks(range(len(classes)), classes)
            axis.set(ylabel="AUPRC", ylim=(0, 1), title=f"{dataset}: {positive} class positive")
        axes[0].set_ylim(0, 1.25)  # room for the legend above the bars
        axes[0].legend(ncols=4, fontsize=6, frameon=False, loc="upper left")


def _bar(found: Sequence[Record], positive: str) -> tuple[float, float, float]:
    """Height, and how far the interval reaches below and above it."""
    value, interval = auprc_of(found[0], positive) if found else (None, None)
    if value is None or interval is None:
        return (float("nan") if value is None else value, 0.0, 0.0)
    return (value, max(0.0, value - interval[0]), max(0.0, interval[1] - value))


def _colour(number: int) -> str:
    return f"C{number % 10}"


def areas(path: Path, results: Results, dataset: str, category: str) -> None:
    """AUROC of all systems on one set with the 95 % interval over test images; further seeds as dots."""
    found = {system: results.of(system, dataset, category) for system in compared_systems(results, dataset, category)}
    shown = {system: records for system, records in found.items() if records}
    with _figure(path, 1, height=0.6 + 0.25 * len(shown)) as (axis,):
        for place, records in enumerate(reversed(shown.values())):
            first = records[0]
            low, high = first.auroc_ci
            axis.plot([low, high], [place, place], color="0.6", lw=3, solid_capstyle="butt")
            axis.plot([record.auroc for record in records[1:]], [place] * len(records[1:]), "|", color="black")
            axis.plot(first.auroc, place, "o", color=NORMAL_COLOUR, ms=4)
        axis.axvline(0.5, color="black", lw=0.8, ls=":")
        axis.set_yticks(range(len(shown)), [title_of(system) for system in reversed(shown)])
        axis.set(xlabel="AUROC", xlim=(0, 1.01), title=f"{dataset}/{category}")


def score_distributions(path: Path, kept: Mapping[str, Mapping[str, NDArray[Any]]], title: str) -> None:
    """Histograms of the test scores of normal and anomalous images with the boundary; system -> what `running` keeps of it."""
    with _figure(path, len(kept), height=2.2) as axes:
        for axis, (system, found) in zip(axes, kept.items(), strict=True):
            labels, scores = found["labels"].astype(bool), found["scores"]
            # A few far anomalies would squeeze the rest into one bar; they are counted in the last one.
            top = float(np.quantile(scores, 0.98))
            bins = np.linspace(float(scores.min()), max(top, float(scores.min()) + 1e-9), 40)
            for name, colour, members in (("normal", NORMAL_COLOUR, ~labels), ("anomalous", ANOMALOUS_COLOUR, labels)):
                axis.hist(np.minimum(scores[members], bins[-1]), bins, color=colour, alpha=0.6, label=f"{name} ({members.sum()})")
            for boundary in found["boundary"]:
                axis.axvline(boundary, color="black", ls="--", lw=1, label="boundary")
            axis.set(xlabel="score", ylabel="test images", title=f"{title}, {title_of(system)}")
            axis.legend(frameon=False, loc="upper right")
