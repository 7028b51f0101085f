"""One sentence for every value that is out of range."""

from __future__ import annotations

from panda_core.errors import ConfigError


def check(name: str, value: object, fits: bool, must: str) -> None:
    """Raises ConfigError that says what ``name`` must do, unless ``fits``."""
    if not fits:
        raise ConfigError(f"{name} is {value}; it must {must}.")
