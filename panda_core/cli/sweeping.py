"""``panda sweep``: a grid search over a few fields."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import click
from rich.table import Table

from panda_core.cli.console import ERR, OUT, PATH, by_default, device_option, print_json, progress
from panda_core.cli.training import exclude_option, from_option, hashes, parse_change, set_option, starting_point
from panda_core.presets import PRESETS
from panda_core.sweep import SearchStatus, Sweep, Value, parse_values


@click.command()
@click.argument("data", type=PATH, required=False)
@click.option("--out", type=PATH, required=True, help="Folder of this search: its grid and its results.")
@click.option(
    "--grid", "rows", multiple=True, metavar="FIELD=V1,V2", help="Values to try for one field, e.g. train.seed=0,1,2 (repeatable)."
)
@click.option("--preset", default="balanced", show_default=True, help=f"What the grid starts from: {', '.join(PRESETS)}.")
@from_option
@set_option
@exclude_option
@click.option("--resume", is_flag=True, help="Go on with the search of --out.")
@click.option("--show", is_flag=True, help="Print what the search of --out has found so far, and train nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the trials as JSON.")
@device_option
def sweep(
    data: Path | None,
    out: Path,
    rows: tuple[str, ...],
    preset: str,
    parent: str | None,
    changes: tuple[str, ...],
    exclude: tuple[Path, ...],
    resume: bool,
    show: bool,
    as_json: bool,
    device: str,
) -> int:
    """Train every combination of a few fields' values on DATA and name the best.

    Each combination is a run like any other (see: panda jobs). They are compared by the AUROC on images held out from training,
    against known anomalies or synthetic ones; test images are not looked at. Ctrl-C stops the search and keeps what it has. The exit code
    is 1 where every training failed.

    \b
    Example:  panda sweep parts/ --out searches/parts --grid loss.adversarial_weight=0.01,0.05 --grid train.critic_lr=1e-4,3e-4
              panda sweep --out searches/parts --resume
    """
    if resume or show:
        if data or rows or changes or parent or exclude or not by_default("preset"):
            raise click.UsageError(
                "--resume and --show take data and grid from --out; leave out DATA, --grid, --preset, --from, --set and --exclude."
            )
        if resume and not by_default("device"):
            raise click.UsageError("A search goes on where it began; leave out --device.")
        search = Sweep.open(out)
        if resume and not search.alive() and search.status().state != "created":
            search.clear_cancel()  # left behind by a kill; before it began, a request to stop is meant
    elif data is None:
        raise click.UsageError("Name the folder of normal images: panda sweep FOLDER --out DIR --grid FIELD=V1,V2.")
    else:
        start, model = starting_point(preset, parent)
        base = start.override(**dict(map(parse_change, changes)))
        search = Sweep.create(out, data, base, _grid(rows), parent=model, exclude=hashes(exclude), device=device)
    if not show:
        _lead(search)
    status = search.status()
    if as_json:
        best = status.best
        print_json({"state": status.state, "trials": [asdict(trial) for trial in status.trials], "best": best.number if best else None})
        return _code(status)
    OUT.print(_table(search, status))
    if status.best is not None:
        ERR.print(
            f"Best on held-out images: run {status.best.run}, whose folder holds the model. Its figure chose it and so flatters it: say so "
            "when you report it, and measure it on other images."
        )
    return _code(status)


def _code(status: SearchStatus) -> int:
    """1 where every training failed."""
    return int(bool(status.trials) and all(trial.state == "failed" for trial in status.trials))


def _lead(search: Sweep) -> None:
    from panda_core.jobs import Jobs
    from panda_core.sweeper import lead

    total = len(search.combinations)
    with progress("Searching") as update, _stop_on_signal() as stop:
        update(search.status().tried, total)
        lead(search, Jobs(), on_trial=lambda trial: update(search.status().tried, total), should_stop=stop)


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


def parse_row(text: str) -> tuple[str, list[Value]]:
    """ "train.seed=0,1" -> ("train.seed", [0, 1]); values are JSON where they parse, words otherwise. Raises click.UsageError."""
    field, sign, values = text.partition("=")
    if not sign or not field or not values:
        raise click.UsageError(f"--grid {text}: write FIELD=VALUE,VALUE, e.g. --grid train.seed=0,1,2.")
    return field, parse_values(values)


def _grid(rows: tuple[str, ...]) -> dict[str, list[Value]]:
    grid = dict(map(parse_row, rows))
    if len(grid) < len(rows):
        raise click.UsageError("--grid names a field twice. Write its values into one: --grid train.seed=0,1,2.")
    return grid


def _table(search: Sweep, status: SearchStatus) -> Table:
    table = Table(*search.grid, "AUROC (held out)", "separation", "run", "")
    for trial in status.trials:
        area = "" if trial.auroc is None else f"{trial.auroc:.3f}"
        apart = "" if trial.separation is None else f"{trial.separation:.1f}"
        note = "best" if trial == status.best else trial.detail or trial.state
        table.add_row(*(str(trial.values[field]) for field in search.grid), area, apart, trial.run, note)
    return table
