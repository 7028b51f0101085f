"""What the commands share: progress on stderr, one JSON document on stdout."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

# Without markup: a path may contain [brackets], which rich would take for styles.
ERR = Console(stderr=True, markup=False, highlight=False)
OUT = Console(markup=False, highlight=False)

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of a table.")
device_option = click.option(
    "--device", default="auto", show_default=True, help="auto (a GPU where there is one), cpu, cuda, cuda:1 or mps."
)
model_option = click.option("--model", required=True, help="Name of a shipped or own model (see `panda models`), or a model folder.")


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr; yields ``update(done, total)``."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=ERR, transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def print_json(document: Any) -> None:
    """The whole of stdout."""
    click.echo(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False))
