"""Operating points of models that are left as they are: of those that come with the program, or lie in a folder shared with others.

They lie in ``points`` of `places.home`, named after the model and the digest of its tensors: a model of the same name that was trained
anew does not inherit the thresholds of its predecessor.
"""

from __future__ import annotations

import dataclasses
import glob
import json
from pathlib import Path

from panda_core.durable import read_object, replace_text
from panda_core.errors import ConfigError, ModelError, TrainingError
from panda_core.inspection import OperatingPoint
from panda_core.places import home
from panda_core.strict import build


@dataclasses.dataclass(frozen=True, slots=True)
class Decided:
    """What a person decided for a model; None: its own thresholds, though its card has a point."""

    operating_point: OperatingPoint | None


def load_point(name: str, sha256: str) -> Decided | None:
    """What was decided for the model of this name and these tensors; None: nothing. Raises ModelError where it cannot be read."""
    path = _place(name, sha256)
    try:
        found = read_object(path)
        point = None if found is None else found["operating_point"]
        known = None if point is None else build(OperatingPoint, point, "operating_point")
    except (TrainingError, ConfigError, KeyError, TypeError) as error:
        raise ModelError(f"The operating point of “{name}” cannot be read. Delete {path}, then save it again.") from error
    return None if found is None else Decided(known)


def save_point(name: str, sha256: str, point: OperatingPoint | None) -> None:
    """Keep what was decided for the model of this name and these tensors. Raises OSError."""
    path = _place(name, sha256)
    path.parent.mkdir(parents=True, exist_ok=True)
    decided = {"operating_point": None if point is None else dataclasses.asdict(point)}
    replace_text(path, json.dumps(decided, indent=1, allow_nan=False), durable=True)


def point_files(name: str) -> list[Path]:
    """Where something was decided for a model of this name, whatever its tensors."""
    return sorted((home() / "points").glob(f"{glob.escape(name)}-*.json"))


def _place(name: str, sha256: str) -> Path:
    return home() / "points" / f"{name}-{sha256[:12]}.json"
