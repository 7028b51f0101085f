"""``panda evaluate`` and ``panda examples``."""

from __future__ import annotations

from pathlib import Path

import click
from rich.table import Table

from panda_core.cli.console import ERR, OUT, device_option, json_option, model_option, print_json, progress


@click.command()
@click.argument("data", type=click.Path(path_type=Path))
@model_option
@json_option
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of the bootstrap.")
@device_option
def evaluate(data: Path, model: str, as_json: bool, seed: int, device: str) -> None:
    """Measure a model on DATA, a labelled folder: test/good beside test/<defect>, or normal/ beside anomalous/.

    Prints AUROC with its 95 % interval, each error alone, each defect, and the error rates at the model's own boundary.
    """
    from panda_core.evaluation import evaluate as measure
    from panda_core.inspector import Inspector

    inspector = Inspector.load(model, device=device)
    with progress("Evaluating") as update:
        report = measure(inspector, data, seed=seed, on_progress=update)
    if as_json:
        print_json(report.to_dict())
        return
    low, high = report.auroc_ci
    table = Table("what", "value", title=f"{report.model} on {report.folder}: {report.normal} normal, {report.anomalous} anomalous")
    table.add_row("AUROC (95 % interval)", f"{report.auroc:.3f} ({low:.3f} to {high:.3f})")
    table.add_row("AUPRC (guessing)", f"{report.auprc:.3f} ({report.prevalence:.3f})")
    for name, value in report.error_auroc.items():
        table.add_row(f"AUROC of {name} alone", f"{value:.3f}")
    for name, value in report.defect_auroc.items():
        table.add_row(f"AUROC of {name} ({report.defect_count[name]})", f"{value:.3f}")
    if report.pixel_auroc is not None:
        table.add_row("pixel AUROC, AUPRO", f"{report.pixel_auroc:.3f}, {report.aupro:.3f}")
    table.add_row(f"false alarms, misses at the {report.boundary_kind} boundary", f"{report.false_alarm_rate:.1%}, {report.miss_rate:.1%}")
    table.add_row("time an image", f"{report.milliseconds:.0f} ms on {report.device}")
    OUT.print(table)


@click.command()
@click.option("--kind", type=click.Choice(["leaf", "xray"]), required=True, help="Leaves on a table, or X-rays of laptop-like devices.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="New folder for the data set (MVTec layout).")
@click.option("--count", type=click.IntRange(1), default=40, show_default=True, help="Normal training images; test images come on top.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--size", type=click.IntRange(32, 4096), default=256, show_default=True, help="Side of the images in pixels.")
def examples(kind: str, out: Path, count: int, seed: int, size: int) -> None:
    """Draw a data set of procedural images with exact masks: something to try training with, today.

    \b
    Example:  panda examples --kind leaf --out leaves --count 100
              panda train leaves --run runs/leaves
    """
    from panda_core.procedural.dataset import write_dataset

    with progress("Drawing") as update:
        write_dataset(out, kind="leaf" if kind == "leaf" else "xray", count=count, seed=seed, size=size, on_image=update)
    ERR.print(f"Wrote {out}.")
