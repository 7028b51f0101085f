"""Writes docs/configuration.md from the configuration itself: ``python docs/make_configuration.py``.

Names, types, defaults and meanings are read from `panda_core.config` and `panda_core.presets`, so the page cannot
say something else than the code; a test compares the two.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterator
from pathlib import Path

from panda_core.config import Config
from panda_core.fields import choices, meanings
from panda_core.presets import PRESETS

PAGE = Path(__file__).parent / "configuration.md"
INTRODUCTION = """\
# Configuration

Written by `python docs/make_configuration.py` from `panda_core/config/`; change it there.

A configuration is a preset and the fields you change: `panda train FOLDER --run RUN --preset best --set data.size=96`, in Python
`preset("best").override(**{"data.size": 96})` after `from panda_core.presets import preset`. An unknown field or a value out of range is
refused with the nearest name or the range (`ConfigError`). The whole configuration is kept in the run's `config.json` and in the model's
`card.json`.

*(open)* marks what the paper leaves open: the value is our choice. A preset is listed where it differs from the default; `--preset` is
`best` if you say nothing (`balanced` in `panda sweep`). Why the presets are what they are: [method](method.md).
"""


def differing(section: str, name: str, default: typing.Any) -> str:
    """The presets whose value is not the default."""
    values = {preset: getattr(getattr(config, section) if section else config, name) for preset, config in PRESETS.items()}
    return "; ".join(f"{preset}: `{value}`" for preset, value in values.items() if value != default)


def cell(text: str) -> str:
    """Text for one cell of a table: one line, Markdown code marks, no column separators."""
    return " ".join(text.replace("``", "`").replace("|", "/").split())


def write_section(section: str, part: typing.Any) -> Iterator[str]:
    """Heading and table of one part; ``section`` is "" for the fields of Config itself."""
    yield f"\n## `{section}`" if section else "\n## Top level"
    if section and part.__doc__:
        yield f"\n{cell(part.__doc__)}"
    yield "\n| field | default | in presets | meaning |\n|---|---|---|---|"
    texts = meanings(type(part))
    for field in dataclasses.fields(part):
        default = getattr(part, field.name)
        if not dataclasses.is_dataclass(default):
            dotted = f"{section}.{field.name}" if section else field.name
            presets = "" if field.name == "preset" else differing(section, field.name, default)
            words = ", ".join(f"`{word}`" for word in choices(type(part), field.name))
            choice = f" One of {words}." if words else ""
            yield f"| `{dotted}` | `{default}` | {presets} | {cell(texts[field.name])}{choice} |"


def page() -> str:
    """The whole page."""
    config = Config()
    lines = [INTRODUCTION, *write_section("", config)]
    for field in dataclasses.fields(config):
        if dataclasses.is_dataclass(getattr(config, field.name)):
            lines += write_section(field.name, getattr(config, field.name))
    return "\n".join(lines).replace("\n\n\n", "\n\n") + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
