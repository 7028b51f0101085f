"""The page opens only what lies in the folders it was given."""

from __future__ import annotations

from pathlib import Path

import pytest

from panda_core.errors import FolderError
from panda_core.roots import open_place


def test_only_paths_within_the_roots_are_opened(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    inside.mkdir()
    outside.mkdir()
    (inside / "link").symlink_to(outside)
    assert open_place(f' "{inside}" ', [inside], wanted="a folder", error=FolderError) == inside
    for text, reason in (
        ("", "Nothing is given"),
        (str(outside), "not in a folder that may be opened"),
        (f"{inside}/../out", "not in a folder that may be opened"),
        (str(inside / "link"), "not in a folder that may be opened"),
        ("a\0b", "no usable path|not in a folder"),
    ):
        with pytest.raises(FolderError, match=reason):
            open_place(text, [inside], wanted="a folder", error=FolderError)
