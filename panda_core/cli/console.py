"""What the commands share: progress on stderr, one JSON document on stdout."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource
from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.segment import Segment

from panda_core.printable import printable

if TYPE_CHECKING:
    from panda_core.roi import RegionOfInterest


class _Printer(Console):
    """Prints file names of any bytes."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        for segment in super().render(renderable, options):
            yield segment._replace(text=printable(segment.text))

    def print(self, *objects: Any, **options: Any) -> None:
        """Sentences are left in one line, which a terminal folds by itself: paths and commands in them can be copied."""
        super().print(*objects, **{"soft_wrap": all(isinstance(one, str) for one in objects), **options})


# Without markup: a path may contain [brackets], which rich would take for styles.
ERR = _Printer(stderr=True, markup=False, highlight=False)
OUT = _Printer(markup=False, highlight=False)


class GivenPath(click.Path):
    """A path that somebody has given. The empty text, which an unset variable of the shell gives, would mean the folder one is in."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """As click.Path's; raises BadParameter for the empty text."""
        if value == "":
            self.fail("it is empty. Give a path; '.' is this folder.", param, ctx)
        return super().convert(value, param, ctx)


class FiniteFloat(click.types.FloatParamType):
    """Neither nan nor inf: a threshold that no score can meet, or that every one does, is a mistake."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """As click's FLOAT; raises BadParameter for what is not finite."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"it is {number}; it must be a finite number.", param, ctx)
        return number


PATH = GivenPath()
FINITE = FiniteFloat()

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout, and nothing else there.")
device_option = click.option(
    "--device", default="auto", show_default=True, help="auto (a GPU where there is one), cpu, cuda, cuda:1 or mps."
)
roi_option = click.option("--roi", is_flag=True, help="Look only into the region that was drawn for the model in the app, as the app does.")
model_option = click.option(
    "--model", required=True, help="Name of a shipped model or of your own (see `panda models`), or a model folder."
)


def by_default(option: str) -> bool:
    """Whether the person did not name this option of the command that runs."""
    return click.get_current_context().get_parameter_source(option) is ParameterSource.DEFAULT


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr; yields ``update(done, total)``."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=ERR, transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def region(model: str, wanted: bool) -> RegionOfInterest | None:
    """The region of interest drawn for the model, if ``wanted``; says so where there is one that is not. Raises PandaError."""
    # Not at the top: they load OpenCV, which --help does without.
    from panda_core.card import find_model, known_as
    from panda_core.roi import RoiError, has_roi, load_roi

    name = known_as(find_model(model))
    if wanted:
        roi = load_roi(name)
        if roi is None:
            raise RoiError(f"No region of interest was drawn for '{name}'. Draw one in the app, or leave --roi out.")
        return roi
    if has_roi(name):
        ERR.print(f"The app looks only into the region drawn for '{name}'; this looks at whole images. Add --roi to do as the app.")
    return None


def print_json(document: Any) -> None:
    """The whole of stdout."""
    click.echo(printable(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)))
