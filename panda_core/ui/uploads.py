"""What comes from a browser may be anything: which paths are to be trusted, and how values are read."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

from gradio.utils import get_upload_folder, is_in_or_equal

from panda_core.data.images import IMAGE_SUFFIXES
from panda_core.errors import ImageError, PandaError

log = logging.getLogger(__name__)
KINDS = " ".join(sorted(IMAGE_SUFFIXES))
"""Suffixes of images for the page's scripts, which refuse other files before they are sent."""
KINDS_OR_ZIP = f"{KINDS} .zip"


def uploaded_file(path: str) -> Path:
    """A path that came from a browser, if it is an upload. Raises ImageError: events may carry any path a stranger writes into them."""
    if not is_in_or_equal(path, get_upload_folder()):
        raise ImageError(Path(path).name, "it was not uploaded here; open the file with the button, drop it or paste it")
    return Path(path)


def dropped_files(data: Any) -> tuple[list[Path], list[str]]:
    """What was dropped or pasted, from the event's ``paths`` and ``names``: the uploads, and what each is called.

    A name is the file's path in the folder that was dropped, without ways out of it; the file's own where the browser gives none.
    Raises ImageError where a path is no upload.
    """
    listed, names = field(data, "paths"), field(data, "names")
    files = [uploaded_file(str(path)) for path in listed] if isinstance(listed, list) else []
    given = names if isinstance(names, list) and len(names) == len(files) else [""] * len(files)
    return files, [_inner(str(name)) or file.name for file, name in zip(files, given, strict=True)]


def _inner(name: str) -> str:
    return "/".join(part for part in name.replace("\\", "/").split("/") if part not in ("", ".", ".."))


def field(data: Any, name: str) -> Any:
    """What the browser wrote there; None if nothing. It may be anything."""
    return data.get(name) if isinstance(data, dict) else None


def number(data: Any, name: str) -> float | None:
    """The finite number that the browser wrote there; None if there is none."""
    found = field(data, name)
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) and math.isfinite(found) else None


def said(function: Callable[[Any], dict[str, Any]]) -> Callable[[Any], dict[str, Any]]:
    """The same function for the page to call; what went wrong becomes ``{"error": sentence}`` in place of an answer."""

    @wraps(function)
    def answer(data: Any) -> dict[str, Any]:
        try:
            return function(data)
        except PandaError as error:
            return {"error": str(error)}
        except Exception:
            log.exception("%s failed", function.__qualname__)
            return {"error": "Something is wrong in the program. Its terminal shows the details."}

    return answer
