"""``panda estimate``: how long would it take?"""

from __future__ import annotations

from pathlib import Path

import click

from panda_core.cli.console import OUT, PATH, device_option, json_option, print_json
from panda_core.cli.training import exclude_option, from_option, hashes, parse_change, preset_option, set_option, starting_point


@click.command()
@click.argument("data", type=PATH)
@preset_option
@from_option
@set_option
@exclude_option
@json_option
@device_option
def estimate(
    data: Path, preset: str, parent: str | None, changes: tuple[str, ...], exclude: tuple[Path, ...], as_json: bool, device: str
) -> None:
    """Say how long `panda train` would take with the same options, from a few real steps on DATA that are then thrown away.

    It is a measurement of this moment: another training beside it, or another machine, makes it wrong.
    """
    from panda_core.estimate import estimate as measure

    base, model = starting_point(preset, parent)
    config = base.override(**dict(map(parse_change, changes)))
    found = measure(config, data, exclude=hashes(exclude), device=device, parent=model)
    if as_json:
        print_json(found.to_dict())
        return
    steps = config.train.warmup_steps + config.train.adversarial_steps
    OUT.print(f"About {duration(found.seconds)} on {found.device}: {steps} steps on {found.images} images, {found.held_out} held out.")
    if found.pretext_step:
        OUT.print(f"Before them {config.train.pretext_steps} steps of the self-supervised VGG19, {found.pretext_step:.2f} s each.")
    OUT.print(f"A warm-up step took {found.warmup_step:.2f} s, a step of the game {found.game_step:.2f} s.")


def duration(seconds: float) -> str:
    """ "40 s", "12 min", "3 h 5 min"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
