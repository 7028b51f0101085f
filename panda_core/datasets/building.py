"""Entries -> a folder in MVTec layout: written aside and renamed when whole, used again while its source is unchanged.

Files are hard links where the disk allows it, else copies: a link costs no room, outlives the download, and is an ordinary file
to whoever asks where it lies.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from panda_core.data.images import read_image
from panda_core.datasets.layout import Entry, Source, cap, fingerprint, require_files
from panda_core.errors import FolderError

MANIFEST = "prepared.json"
"""Beside train/ and test/ of a folder that was built: what it was built from, and its fingerprint."""

_FORMAT = 1
"""Counts up when an adapter makes other folders of the same files."""


def build(source: Source, folder: Path, *, limit: int | None) -> str:
    """Make ``folder`` hold the (capped) entries of ``source``, unless it does already; returns its fingerprint.

    Raises FolderError where ``folder`` holds something that was not built here, or cannot be written.
    """
    wanted = _stamp(source.files, limit)
    known = _built_from(folder, wanted)
    if known is not None:
        return known
    if folder.exists() and not (folder / MANIFEST).is_file() and (folder.is_file() or any(folder.iterdir())):
        raise FolderError(f"{folder} exists and was not made by this program; nothing was written. Choose another folder to build in.")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as aside:
            whole = Path(aside) / "whole"
            whole.mkdir()
            _write_all(cap(source.plan(), limit), whole)
            found = fingerprint(whole)
            (whole / MANIFEST).write_text(json.dumps({"source": wanted, "fingerprint": found}), encoding="utf-8")
            return _install(whole, folder, wanted, found)
    except OSError as error:
        raise FolderError(f"{folder} cannot be built: {error.strerror or error}. Check the room and the rights there.") from error


def _stamp(files: Sequence[Path], limit: int | None) -> str:
    lines = [f"{_FORMAT} {limit}"]
    for path in require_files(files):
        status = path.stat()
        lines.append(f"{path.absolute()} {status.st_size} {status.st_mtime_ns}")
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _built_from(folder: Path, wanted: str) -> str | None:
    """The fingerprint of a folder that was built from just this source; None where it is another, or damaged, or not there."""
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        return str(manifest["fingerprint"]) if manifest["source"] == wanted else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _install(whole: Path, folder: Path, wanted: str, found: str) -> str:
    """Rename the new folder into its place. Another process may have been as fast: what it built from the same source is as good."""
    if _built_from(folder, wanted) == found:
        return found
    if folder.exists():
        os.replace(folder, whole.with_name("stale"))
    try:
        os.replace(whole, folder)
    except OSError:
        if _built_from(folder, wanted) != found:
            raise
    return found


def _write_all(entries: Sequence[Entry], folder: Path) -> None:
    made: set[Path] = set()
    for entry in entries:
        target = folder / entry.name
        if target.parent not in made:
            target.parent.mkdir(parents=True, exist_ok=True)
            made.add(target.parent)
        if target.exists():
            raise FolderError(f"Two images of the data set would both become {entry.name}. Remove one of them, e.g. of two copies.")
        if isinstance(entry.content, Path):
            _link(entry.content, target)
        else:
            _save(entry.content, target)
        if entry.mask is not None:
            _save(binary(read_image(entry.mask).max(axis=2)), folder / mask_name(entry.name), compressed=True)


def mask_name(name: str) -> str:
    """``test/crack/7.jpg`` -> ``ground_truth/crack/7_mask.png``."""
    path = PurePosixPath(name)
    return f"ground_truth/{path.parent.name}/{path.stem}_mask.png"


def binary(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """0 and 255: whatever is brighter than half of the brightest pixel, because sets write 1, 255 or soft edges."""
    return np.asarray(np.where(mask > mask.max() / 2, 255, 0), np.uint8)


def _link(file: Path, target: Path) -> None:
    with suppress(OSError):  # another disk, a file system without links, a file of somebody else
        os.link(file.resolve(), target)
        return
    shutil.copyfile(file, target)


def _save(pixels: NDArray[Any], target: Path, *, compressed: bool = False) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    # Digits are smaller than a block of the disk; stored as they are, their bytes do not depend on a version of zlib.
    Image.fromarray(pixels).save(target, compress_level=6 if compressed else 0)
