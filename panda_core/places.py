"""Where a person's own things live on this machine."""

from __future__ import annotations

import os
from pathlib import Path

NO_MODELS = (
    "No models here yet. The shipped ones come with the source folder (pip install -e .). Elsewhere name a model's folder, put it into "
    "~/.panda/models, or set $PANDA_HOME or $PANDA_MODELS; or train one and put it into the list: panda train FOLDER --run runs/first, "
    "then panda models copy runs/first/model NAME"
)
"""Said where a list of models is empty."""


def home() -> Path:
    """The folder of own models, history and settings: ``$PANDA_HOME``, else ``~/.panda``. It may not exist yet."""
    place = os.environ.get("PANDA_HOME")
    return Path(place).expanduser() if place else Path.home() / ".panda"
