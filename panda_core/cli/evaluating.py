"""``panda evaluate``: one or more models on a labelled folder, as a table, as JSON, as a report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.table import Table

from panda_core.card import find_model, read_card
from panda_core.cli.console import ERR, OUT, PATH, device_option, json_option, print_json, progress, region, roi_option
from panda_core.errors import PandaError

if TYPE_CHECKING:
    from panda_core.evaluation import Report
    from panda_core.report.evaluation import Measured
    from panda_core.roi import RegionOfInterest

MOST_PROBLEMS = 20
"""Named in the terminal; of more it is said how many."""


@click.command()
@click.argument("data", type=PATH)
@click.option("--model", "models", multiple=True, required=True, help="Name (see `panda models`) or folder of a model; several compare.")
@json_option
@click.option("--out", type=PATH, help="Write a report to this HTML file, with charts and the worst mistakes.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of the bootstrap.")
@roi_option
@device_option
def evaluate(data: Path, models: tuple[str, ...], as_json: bool, out: Path | None, seed: int, roi: bool, device: str) -> None:
    """Measure models on DATA, a labelled folder: test/good beside test/<defect>, or normal/ beside anomalous/.

    Prints AUROC with its 95 % interval, each error alone, each defect, and the error rates at the model's own boundary.
    """
    if out is not None and (out.suffix.lower() not in (".html", ".htm") or not out.absolute().parent.is_dir()):
        raise PandaError(f"{out} is no place for a report. Give an .html file in a folder that exists.")
    within = [region(name, roi) for name in models]
    measured = [_measure(name, data, seed, device, inside) for name, inside in zip(models, within, strict=True)]
    if out is not None:
        from panda_core.report.evaluation import write_evaluation

        write_evaluation(out, str(data), measured)
        ERR.print(f"Wrote {out}.")
    if as_json:
        documents = [one.report.to_dict() for one in measured]
        print_json(documents[0] if len(documents) == 1 else documents)
        return
    for one in measured:
        _print(one.report)
    _print_differences(measured)


def _measure(name: str, data: Path, seed: int, device: str, roi: RegionOfInterest | None) -> Measured:
    from panda_core.evaluation import evaluate as measure
    from panda_core.inspector import Inspector
    from panda_core.report.evaluation import Measured
    from panda_core.report.hardest import HardestPictures
    from panda_core.report.markup import Subject
    from panda_core.report.markup import measured as sentence

    inspector, pictures = Inspector.load(name, device=device), HardestPictures()
    with progress(f"Evaluating {inspector.model.name}") as update:
        report = measure(inspector, data, roi=roi, seed=seed, on_progress=update, on_image=pictures.see)
    card = read_card(find_model(name))
    known = tuple(sentence(one.data, one.auroc, one.auroc_ci, one.trivial_auroc) for one in card.metrics)
    subject = Subject(report.model, card.title, card.data.description, card.data.licence, card.limits, known)
    return Measured(report, subject, pictures.pictures)


def _print(report: Report) -> None:
    table = Table("what", "value", title=f"{report.model} on {report.folder}: {report.normal} normal, {report.anomalous} anomalous")
    table.add_row("AUROC (95 % interval)", _within(report.auroc, report.auroc_ci))
    low, high = report.auprc_ci
    table.add_row("AUPRC (95 % interval; guessing)", f"{report.auprc:.3f} ({low:.3f} to {high:.3f}; {report.prevalence:.3f})")
    if report.trivial_auroc is not None:
        table.add_row("AUROC of colour statistics alone", f"{report.trivial_auroc:.3f}")
    for name, value in report.error_auroc.items():
        table.add_row(f"AUROC of {name} alone", _within(value, report.error_auroc_ci[name]))
    for name, value in report.defect_auroc.items():
        table.add_row(f"AUROC of {name} ({report.defect_count[name]})", _within(value, report.defect_auroc_ci[name]))
    if report.pixel_auroc is not None:
        table.add_row(f"pixel AUROC, AUPRO ({report.masks} masks)", f"{report.pixel_auroc:.3f}, {report.aupro:.3f}")
    table.add_row(f"false alarms, misses at the {report.boundary_kind} boundary", f"{report.false_alarm_rate:.1%}, {report.miss_rate:.1%}")
    table.add_row("time an image", f"{report.milliseconds:.0f} ms on {report.device}")
    OUT.print(table)
    if report.warning:
        ERR.print(report.warning)
    for problem in report.problems[:MOST_PROBLEMS]:
        ERR.print(problem)
    if (more := len(report.problems) - MOST_PROBLEMS) > 0:
        ERR.print(f"… and {more} more problems; --json names them all.")


def _within(value: float, ci: tuple[float, float]) -> str:
    return f"{value:.3f} ({ci[0]:.3f} to {ci[1]:.3f})"


def _print_differences(measured: list[Measured]) -> None:
    from panda_core.comparison import auroc_difference

    first = measured[0].report
    for one in measured[1:]:
        apart = auroc_difference(one.report, first)
        OUT.print(f"{one.report.model} − {first.model}: AUROC {apart.auroc:+.3f} (95 % interval {apart.ci[0]:+.3f} to {apart.ci[1]:+.3f})")
