"""Which test images are not independent of each other, read off their names: bags seen from several sides, frames of one clip.

An interval that resamples images instead of groups is too narrow for these sets.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from panda_core.data.images import list_images


def _bag(stem: str) -> str:
    """SIXray shows each bag without an item in about three consecutive views, from N0000002 on; other names stand alone."""
    found = re.match(r"N(\d{7})", stem)
    return f"bag {(int(found[1]) - 2) // 3}" if found else stem


def _clip(stem: str) -> str:
    return stem.partition("_")[0]


_GROUP: dict[str, Callable[[str], str]] = {"sixray": _bag, "sixray_tip": _bag, "ucsd_ped1": _clip}


def groups_of(name: str, folder: Path) -> dict[str, str]:
    """Test image (path relative to ``folder``, with /) -> its group; empty where the images of a set count as independent."""
    if name not in _GROUP:
        return {}
    return {path.relative_to(folder).as_posix(): _GROUP[name](path.stem) for path in list_images(folder / "test")}
