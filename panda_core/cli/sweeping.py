"""``panda sweep``: a grid search over a few fields."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from panda_core.cli.console import ERR, OUT, device_option, print_json, progress
from panda_core.cli.training import parse_change
from panda_core.presets import PRESETS
from panda_core.presets import preset as find_preset
from panda_core.sweep import Sweep, Trial


@click.command()
@click.argument("data", type=click.Path(path_type=Path), required=False)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of this search: its grid and its results.")
@click.option(
    "--grid", "rows", multiple=True, metavar="FIELD=V1,V2", help="Values to try for one field, e.g. train.seed=0,1,2 (repeatable)."
)
@click.option("--preset", default="balanced", show_default=True, help=f"What the grid starts from: {', '.join(PRESETS)}.")
@click.option("--set", "changes", multiple=True, metavar="FIELD=VALUE", help="Change one field for all trials (repeatable).")
@click.option("--resume", is_flag=True, help="Go on with the search of --out.")
@click.option("--show", is_flag=True, help="Print what the search of --out has found so far, and train nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the trials as JSON.")
@device_option
def sweep(
    data: Path | None,
    out: Path,
    rows: tuple[str, ...],
    preset: str,
    changes: tuple[str, ...],
    resume: bool,
    show: bool,
    as_json: bool,
    device: str,
) -> None:
    """Train every combination of a few fields' values on DATA and name the best.

    Each combination is a run like any other (see: panda jobs). They are compared by the AUROC on images held out from training,
    against known anomalies or synthetic ones; test images are not looked at. Ctrl-C stops the search and keeps what it has.

    \b
    Example:  panda sweep parts/ --out searches/parts --grid loss.adversarial_weight=0.01,0.05 --grid train.critic_lr=1e-4,3e-4
              panda sweep --out searches/parts --resume
    """
    from panda_core.jobs import Jobs

    if resume or show:
        if data or rows or changes:
            raise click.UsageError("--resume and --show take data and grid from --out; leave out DATA, --grid and --set.")
        search = Sweep.open(out)
    elif data is None:
        raise click.UsageError("Name the folder of normal images: panda sweep FOLDER --out DIR --grid FIELD=V1,V2.")
    else:
        base = find_preset(preset).override(**dict(map(parse_change, changes)))
        search = Sweep.create(out, data, base, dict(map(parse_row, rows)), device=device)
    if not show:
        with progress("Searching") as update:
            total = len(search.combinations)
            update(0, total)
            with _stop_on_signal() as stop:
                search.run(
                    Jobs(), on_trial=lambda _: update(sum(t.state in ("done", "failed") for t in search.trials()), total), should_stop=stop
                )
    trials, best = search.trials(), search.best()
    if as_json:
        print_json({"trials": [asdict(trial) for trial in trials], "best": best.number if best else None})
        return
    OUT.print(_table(search, trials, best))
    if best is not None:
        ERR.print(f"Best on held-out images: run {best.run}. Its model is in the run's folder; say so when you report it: it was chosen.")


@contextmanager
def _stop_on_signal() -> Iterator[Callable[[], bool]]:
    """SIGINT and SIGTERM ask the search to end its present run with a checkpoint, instead of leaving it behind."""
    asked = threading.Event()
    before = {number: signal.signal(number, lambda *_: asked.set()) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield asked.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def parse_row(text: str) -> tuple[str, list[Any]]:
    """ "train.seed=0,1" -> ("train.seed", [0, 1]); values are JSON where they parse, words otherwise. Raises click.UsageError."""
    field, sign, values = text.partition("=")
    if not sign or not field or not values:
        raise click.UsageError(f"--grid {text}: write FIELD=VALUE,VALUE, e.g. --grid train.seed=0,1,2.")
    return field, [_value(value.strip()) for value in values.split(",")]


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _table(search: Sweep, trials: tuple[Trial, ...], best: Trial | None) -> Table:
    table = Table(*search.grid, "AUROC (held out)", "separation", "run", "")
    for trial in trials:
        area = "" if trial.auroc is None else f"{trial.auroc:.3f}"
        apart = "" if trial.separation is None else f"{trial.separation:.1f}"
        note = "best" if trial == best else trial.detail or trial.state
        table.add_row(*(str(trial.values[field]) for field in search.grid), area, apart, trial.run, note)
    return table
