"""``panda inspect`` on folders as people have them: broken links, data sets, earlier results, an end in the middle."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from command_line import Captured, call_json


@pytest.fixture
def photos(toy_folder: Path, tmp_path: Path) -> Path:
    """Six normal images, free to be changed."""
    return Path(shutil.copytree(toy_folder / "test" / "good", tmp_path / "photos"))


def test_a_broken_link_and_a_pipe_are_listed_with_their_reasons(capsys: Captured, photos: Path, tiny_model: Path) -> None:
    (photos / "a.png").symlink_to("/nope")
    os.mkfifo(photos / "b.png")
    found = call_json(capsys, "inspect", photos, "--model", tiny_model)
    reasons = {Path(entry["path"]).name: entry["error"] for entry in found if "error" in entry}
    assert reasons.keys() == {"a.png", "b.png"} and len(found) == 8
    assert "link to a file that is not there" in reasons["a.png"] and "regular" in reasons["b.png"]
