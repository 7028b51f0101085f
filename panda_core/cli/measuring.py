"""``panda models`` and ``panda examples``."""

from __future__ import annotations

from pathlib import Path

import click
from rich.table import Table

from panda_core.card import list_models, read_card
from panda_core.cli.console import ERR, OUT, json_option, print_json, progress
from panda_core.errors import ModelError


@click.command()
@json_option
def models(as_json: bool) -> None:
    """List shipped models and your own (folders in ~/.panda/models or $PANDA_MODELS)."""
    rows = []
    for folder in list_models():
        try:
            card = read_card(folder)
            measured = [{"data": m.data, "auroc": m.auroc, "auroc_ci": list(m.auroc_ci)} for m in card.metrics]
            rows.append(
                {"name": folder.name, "title": card.title, "folder": str(folder), "licence": card.data.licence, "metrics": measured}
            )
        except ModelError as error:
            rows.append({"name": folder.name, "folder": str(folder), "error": str(error)})
    if as_json:
        print_json(rows)
        return
    table = Table("name", "what", "licence", "measured AUROC")
    for row in rows:
        best = "\n".join(f"{m['data']}: {m['auroc']:.2f}" for m in row.get("metrics", ()))  # type: ignore[index]
        table.add_row(str(row["name"]), str(row.get("title", row.get("error"))), str(row.get("licence", "")), best)
    OUT.print(table if rows else "No models yet. Train one: panda train FOLDER --run runs/first")


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
