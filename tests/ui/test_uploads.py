"""What a browser says of dropped files is taken for what it is: something a stranger may have written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from gradio.utils import get_upload_folder

from panda_core.errors import ImageError
from panda_core.ui.uploads import dropped_files

UPLOADS = Path(get_upload_folder()) / "drop-test"


def call(*names: Any, **data: Any) -> tuple[list[Path], list[str]]:
    paths = [str(UPLOADS / f"{number}.png") for number in range(2)]
    return dropped_files({"paths": paths, "names": list(names), **data})


def test_names_are_those_in_the_dropped_folder() -> None:
    files, names = call("photos/a.png", "photos/deeper/b.png")
    assert [file.name for file in files] == ["0.png", "1.png"]
    assert names == ["photos/a.png", "photos/deeper/b.png"]


def test_names_lead_nowhere_else() -> None:
    assert call("../../etc/a.png", "/b.png")[1] == ["etc/a.png", "b.png"]
    assert call("..\\..\\c.png", "..")[1] == ["c.png", "1.png"]


@pytest.mark.parametrize("names", [(), ("only one",), (1, None, [])])
def test_without_a_name_for_each_the_files_own_are_used(names: tuple[Any, ...]) -> None:
    assert call(*names)[1] == ["0.png", "1.png"]


def test_what_was_not_uploaded_is_refused() -> None:
    with pytest.raises(ImageError, match="not uploaded here"):
        call("a", "b", paths=["/etc/passwd", "/etc/hosts"])
    for nonsense in (None, "x", {"paths": "x"}, {}):
        assert dropped_files(nonsense) == ([], [])
