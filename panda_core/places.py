"""Where a person's own things live on this machine."""

from __future__ import annotations

import os
from pathlib import Path


def home() -> Path:
    """The folder of own models, history and settings: ``$PANDA_HOME``, else ``~/.panda``. It may not exist yet."""
    place = os.environ.get("PANDA_HOME")
    return Path(place).expanduser() if place else Path.home() / ".panda"
