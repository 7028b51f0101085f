"""``panda examples``."""

from __future__ import annotations

from pathlib import Path

import click

from panda_core.cli.console import ERR, PATH, progress


@click.command()
@click.option("--kind", type=click.Choice(["leaf", "xray"]), required=True, help="Leaves on a table, or X-rays of laptop-like devices.")
@click.option("--out", type=PATH, required=True, help="New folder for the data set (MVTec layout).")
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
