"""The grid of a new search: which fields take which values, what is wrong with a row of it, how many trainings it asks for, how long."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from panda_core.config import Config
from panda_core.errors import ConfigError, PandaError
from panda_core.sweep import Value, check_grid, count_combinations, parse_values
from panda_core.ui.train_form import configuration
from panda_core.ui.uploads import field

MOST_ROWS = 3
"""Fields that may vary at once; four lines of axes cannot be read any more, and the trainings multiply."""


def rows_of(form: Any) -> list[tuple[str, str]]:
    """(field, values as typed) of the rows that name a field; ``form`` may be anything."""
    rows = field(form, "grid")
    named = [(str(field(row, "field") or ""), str(field(row, "values") or "")) for row in rows] if isinstance(rows, list) else []
    return [(name, values) for name, values in named if name]


def read_grid(form: Any) -> dict[str, list[Value]]:
    """Field -> values to try. Raises ConfigError with the first problem of a row; the combinations are not looked at."""
    rows = rows_of(form)
    if len(rows) > MOST_ROWS:
        raise ConfigError(f"At most {MOST_ROWS} fields can vary at once. Leave out {len(rows) - MOST_ROWS}.")
    base, _ = configuration(form)
    wrong = [problem for at in range(len(rows)) if (problem := _row_problem(base, rows, at))]
    if wrong:
        raise ConfigError(wrong[0])
    return {name: parse_values(values) for name, values in rows}


def look_at_grid(form: Any) -> dict[str, Any]:
    """``problems``: a row's field -> what is wrong with it, "" for what no single row explains; ``count``: trainings, 0 where unknown."""
    rows = rows_of(form)
    try:
        base, _ = configuration(form)
        problems = {name: problem for at, (name, _) in enumerate(rows) if (problem := _row_problem(base, rows, at))}
        if problems:
            return {"problems": problems, "count": 0}
        grid = read_grid(form)
        check_grid(base, grid)
        return {"problems": {}, "count": count_combinations(grid)}
    except PandaError as error:
        return {"problems": {"": str(error)}, "count": 0}


def whole_time(estimate: Mapping[str, Any], form: Any) -> float:
    """Seconds of all trainings of a form's grid, from what `estimate.Estimate` measured of its base.

    Steps are counted as each combination has them, and their cost taken as proportional to pixels and batch; depth and width are not
    accounted for. Raises PandaError.
    """
    base, _ = configuration(form)
    steps = base.train.warmup_steps * estimate["warmup_step"] + base.train.adversarial_steps * estimate["game_step"]
    rest = max(0.0, estimate["seconds"] - steps)
    total = 0.0
    for config in check_grid(base, read_grid(form)):
        pixels = (config.data.size / base.data.size) ** 2
        train = config.train
        learning = train.warmup_steps * estimate["warmup_step"] + train.adversarial_steps * estimate["game_step"]
        total += learning * pixels * train.batch / base.train.batch + rest * pixels
    return total


def _row_problem(base: Config, rows: Sequence[tuple[str, str]], at: int) -> str:
    """What is wrong with one row beside the others, in a sentence; "" where nothing is."""
    name, text = rows[at]
    values = parse_values(text)
    if name in [other for other, _ in rows[:at]]:
        return f"{name} stands in two rows. Put all its values into one."
    if not values:
        return f"Write the values of {name} to try, separated by commas."
    if len({repr(value) for value in values}) < len(values):
        return f"{name} has the same value twice."
    for value in values:
        try:
            base.override(**{name: value})
        except ConfigError as error:
            return str(error)
    return ""
