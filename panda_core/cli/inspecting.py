"""``panda inspect``: files in, verdicts out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.table import Column, Table

from panda_core.cli.console import (
    ERR,
    FINITE,
    OUT,
    PATH,
    device_option,
    json_option,
    model_option,
    print_json,
    progress,
    region,
    roi_option,
)
from panda_core.errors import ImageError

ANOMALOUS, UNREAD = 3, 4
"""Exit codes of ``--exit-code`` where an image is anomalous, and where none is, but one could not be read; 1 and 2 are errors."""


@click.command()
@click.argument("path", type=PATH)
@model_option
@json_option
@click.option(
    "--out",
    type=PATH,
    help="Write results.csv, overlays/ and masks/ into this folder; an earlier run's are replaced.",
)
@click.option("--boundary", type=FINITE, help="Call images above this score anomalous, instead of the model's own boundary.")
@click.option("--pixel-threshold", type=FINITE, help="Threshold of the map, in standard deviations of normal images.")
@click.option("--batch", type=click.IntRange(1, 256), default=8, show_default=True, help="Images the network sees at once.")
@click.option(
    "--exit-code",
    is_flag=True,
    help="For scripts: exit with 3 if an image is anomalous, with 4 if none is but one in the folder could not be read, with 0 if all are "
    "normal. 1 and 2 say nothing about the images: stopped, a defect, bad usage, a single file that cannot be read.",
)
@roi_option
@device_option
def inspect(
    path: Path,
    model: str,
    as_json: bool,
    out: Path | None,
    boundary: float | None,
    pixel_threshold: float | None,
    batch: int,
    exit_code: bool,
    roi: bool,
    device: str,
) -> None:
    """Inspect PATH, an image or a folder of images.

    Prints score, verdict and the regions that look strange. A file that cannot be read is an error; inside a folder it is
    listed with its reason and the others go on. True masks of a data set (ground_truth) and results of earlier inspections
    inside the folder are left out.

    With --out, results.csv names the overlay and the mask of each image. What the results.csv of an earlier run in that folder
    names is deleted first; other files stay. Ctrl-C, or SIGTERM, keeps the results of the images inspected so far.

    \b
    Example:  panda inspect photos/ --model leaf --out results/
    """
    from panda_core.cli.inputs import find_inputs
    from panda_core.inspector import Inspector
    from panda_core.report.results_folder import ResultsFolder
    from panda_core.scoring.decision import decide, record
    from panda_core.stopping import stop_signals

    folder = path.is_dir()
    paths = find_inputs(path, out)
    within = region(model, roi)
    inspector = Inspector.load(model, device=device)
    kept: ResultsFolder | None = None
    records: list[dict[str, Any]] = []
    try:
        # SIGTERM, too: whoever runs it in a container stops it so.
        with progress("Inspecting") as update, stop_signals(_stopping) as stopped:
            for source, result in zip(paths, inspector.inspect_many(paths, batch=batch, roi=within), strict=True):
                if isinstance(result, ImageError) and not folder:
                    raise result
                if out and not kept:  # not before: a mistyped name clears no earlier results away
                    kept = ResultsFolder(out)
                if isinstance(result, ImageError):
                    records.append({"path": str(source), "error": result.reason})
                else:
                    decision = decide(result, boundary=boundary, pixel_threshold=pixel_threshold)
                    places = kept.add(source, result, decision) if kept else {}
                    records.append(record(result, decision) | places)
                update(len(records), len(paths))
                if stopped() and len(records) < len(paths):
                    raise click.Abort
    finally:
        if kept:
            kept.write(records)
            if len(records) < len(paths):
                ERR.print(f"{len(records)} of {len(paths)} images were inspected; their results are kept in {out}.")
    if as_json:
        print_json(records if folder else records[0])
    else:
        OUT.print(_table(records))
    unread = ["error" in entry for entry in records]
    if exit_code and any(entry.get("verdict") == "anomalous" for entry in records):
        raise click.exceptions.Exit(ANOMALOUS)
    if exit_code and any(unread):
        raise click.exceptions.Exit(UNREAD)
    if all(unread):
        raise click.exceptions.Exit(1)


def _stopping() -> None:
    ERR.print("Stopping after the images that the network is looking at…")


def _table(records: list[dict[str, Any]]) -> Table:
    table = Table(Column("image", overflow="fold"), "verdict", Column("score", overflow="fold"), "boundary", "regions")
    for entry in records:
        if "error" in entry:
            table.add_row(entry["path"], "not read", entry["error"], "", "")
        else:
            boundary = f"{entry['boundary']:.3f} ({entry['boundary_kind']})"
            table.add_row(entry["path"], entry["verdict"], f"{entry['score']:.3f}", boundary, str(len(entry["regions"])))
    return table
