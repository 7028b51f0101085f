"""Copies of inspected images, named by their content, and their thumbnails. Every file appears whole or not at all."""

from __future__ import annotations

import hashlib
import os
import re
import time
import uuid
from collections.abc import Container, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

from panda_core.history.database import HistoryError
from panda_core.inspection import Picture

THUMBNAIL = 96
"""Pixels on the longer side."""
SUFFIXES = frozenset({".jpg", ".jpeg", ".jfif", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".dcm", ".dicom"})
"""Kept on copies, because DICOM files are known by it; any other suffix (.html!) becomes .image, which no browser opens."""
ABANDONED = 86_400.0
"""Seconds after which a file that no entry names was left by a crash."""
_DIGEST = re.compile(r"[0-9a-f]{64}")
_BLOCK = 1 << 20


class Copies:
    """The folder of copies. Which entries use a copy is the store's business."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def keep(self, path: Path) -> tuple[str, str]:
        """Copy a file if its content is new; returns its SHA-256 and the copy's name.

        Raises OSError if the file cannot be read, HistoryError if the copy cannot be written.
        """
        digest = digest_of(path)
        name = _name(digest, path.suffix)
        if self.holds(name):
            return digest, name
        # Hashed again on the way: the file may be changing, and a copy's name must be true.
        found = hashlib.sha256()
        with self._writing(digest) as temporary:
            with path.open("rb") as source, temporary.open("xb") as target:
                while block := source.read(_BLOCK):
                    found.update(block)
                    target.write(block)
            digest = found.hexdigest()
            name = _name(digest, path.suffix)
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            os.replace(temporary, self.folder / name)
        return digest, name

    def holds(self, name: str) -> bool:
        """Whether there is a file of this name in the folder."""
        return (self.folder / name).is_file()

    def keep_bytes(self, content: bytes, name: str) -> None:
        """Write a file of the folder, unless it is there."""
        if self.holds(name):
            return
        with self._writing(name) as temporary:
            temporary.write_bytes(content)
            os.replace(temporary, self.folder / name)

    def thumbnail(self, digest: str) -> Path | None:
        """The thumbnail of an image; None if there is none, or ``digest`` is none of ours (it may come from a stranger)."""
        path = self.folder / thumbnail_name(digest) if _DIGEST.fullmatch(digest) else None
        return path if path is not None and path.is_file() else None

    def remove(self, name: str) -> None:
        """Delete a file of the folder; it may be gone already."""
        (self.folder / name).unlink(missing_ok=True)

    def sweep(self, used: Container[str], *, now: float | None = None) -> int:
        """Delete files that a crash has left: older than ABANDONED and not ``used`` (names as `keep` gives them). Returns their number."""
        before = (time.time() if now is None else now) - ABANDONED
        left = [path for path in self._files() if _older(path, before) and path.relative_to(self.folder).as_posix() not in used]
        for path in left:
            path.unlink(missing_ok=True)
        return len(left)

    def _files(self) -> Iterator[Path]:
        return (path for path in self.folder.glob("[0-9a-f][0-9a-f]/*") if path.is_file())

    @contextmanager
    def _writing(self, digest: str) -> Iterator[Path]:
        """A temporary file beside the one to come; gone afterwards, whatever happens."""
        folder = self.folder / digest[:2]
        temporary = folder / f".{uuid.uuid4().hex}.partial"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            yield temporary
        except OSError as error:
            raise HistoryError(
                f"A copy of the image cannot be written to {folder} ({error.strerror}). Free some space, or switch copies off."
            ) from error
        finally:
            temporary.unlink(missing_ok=True)


def _older(path: Path, moment: float) -> bool:
    try:
        return path.stat().st_mtime < moment
    except FileNotFoundError:  # deleted by another program while we looked
        return False


def _name(digest: str, suffix: str) -> str:
    suffix = suffix.lower()
    return f"{digest[:2]}/{digest}{suffix if suffix in SUFFIXES else '.image'}"


def png_name(digest: str) -> str:
    """Name of the copy of a bare array."""
    return _name(digest, ".png")


def thumbnail_name(digest: str) -> str:
    """Name of a thumbnail."""
    return f"{digest[:2]}/{digest}.thumb.jpg"


def digest_of(path: Path) -> str:
    """SHA-256 of a file's bytes, 64 hex digits. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def draw_thumbnail(image: Picture) -> bytes:
    """H x W x 3 uint8 RGB -> JPEG, at most THUMBNAIL pixels on the longer side."""
    height, width = image.shape[:2]
    scale = min(1.0, THUMBNAIL / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return _encode(np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8), ".jpg", [cv2.IMWRITE_JPEG_QUALITY, 82])


def draw_png(image: Picture) -> bytes:
    """H x W x 3 uint8 RGB -> PNG, the same bytes for the same pixels; quick rather than small."""
    return _encode(image, ".png", [cv2.IMWRITE_PNG_COMPRESSION, 1])


def _encode(image: Picture, suffix: str, options: list[int]) -> bytes:
    ok, data = cv2.imencode(suffix, np.ascontiguousarray(image[..., ::-1]), options)
    if not ok:
        raise RuntimeError(f"A picture of {image.shape} could not be encoded as {suffix}.")
    return data.tobytes()
