"""Which paths from a browser are to be trusted."""

from __future__ import annotations

from pathlib import Path

from gradio.utils import get_upload_folder, is_in_or_equal

from panda_core.errors import ImageError


def uploaded_file(path: str) -> Path:
    """A path that came from a browser, if it is an upload. Raises ImageError: events may carry any path a stranger writes into them."""
    if not is_in_or_equal(path, get_upload_folder()):
        raise ImageError(Path(path).name, "it was not uploaded here; open the file with the button, drop it or paste it")
    return Path(path)
