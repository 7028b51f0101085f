"""``panda check``: what is in a folder, before anything is trained on it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from panda_core.cli.console import OUT, PATH, json_option, print_json, progress
from panda_core.cli.training import preset_option
from panda_core.presets import preset as find_preset

if TYPE_CHECKING:
    from panda_core.data.survey import Survey


@click.command()
@click.argument("data", type=PATH)
@preset_option
@json_option
def check(data: Path, preset: str, as_json: bool) -> None:
    """Look through DATA as `panda train` would, and say what to look at first.

    Counts, sizes, files that cannot be read, duplicates, near-duplicates, and the normal images that are least like the rest:
    what does not belong there is better left out (`panda train --exclude`). The exit code is 1 where a training could not start.
    """
    from panda_core.data.survey import survey

    with progress("Reading") as update:
        found = survey(data, data=find_preset(preset).data, on_progress=update)
    if as_json:
        print_json(found.to_dict())
    else:
        _print(found)
    if not found.usable:
        raise click.exceptions.Exit(1)


def _print(found: Survey) -> None:
    OUT.print(f"{found.normal} normal images: {found.train} to train on, {found.validation} held out. {found.anomalous} known anomalies.")
    OUT.print(
        f"Sizes: {', '.join(f'{size} ({count})' for size, count in found.sizes)}. Kinds: {', '.join(kind for kind, _ in found.kinds)}."
    )
    for sentence in found.advice:
        OUT.print(f"- {sentence}")
    for suspect in found.suspects:
        OUT.print(f"  {suspect.path}: {suspect.reason}")
    for path, reason in found.unreadable:
        OUT.print(f"  {path}: {reason}")
