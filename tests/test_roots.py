"""The page opens only what lies in the folders it was given."""

from __future__ import annotations

from pathlib import Path

import pytest

from panda_core.errors import FolderError
from panda_core.roots import existing_place, open_place


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


def test_what_is_not_there_is_said_before_anything_is_opened(tmp_path: Path) -> None:
    (tmp_path / "file.png").touch()
    wanted = {"wanted": "a folder with images", "error": FolderError}
    assert existing_place(str(tmp_path), [tmp_path], **wanted) == tmp_path  # type: ignore[arg-type]
    assert existing_place(f"{tmp_path}/file.png", [tmp_path], folder=False, **wanted).name == "file.png"  # type: ignore[arg-type]
    for name, reason in (("absent", "There is no"), ("file.png", "is not a folder"), ("a" * 300, "cannot be opened|There is no")):
        with pytest.raises(FolderError, match=f"({reason}).*Type the path of a folder with images"):
            existing_place(f"{tmp_path}/{name}", [tmp_path], **wanted)  # type: ignore[arg-type]
