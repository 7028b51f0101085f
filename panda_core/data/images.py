"""Any image file -> H x W x 3 uint8 RGB, or an ImageError that says why not. Never another exception, never half an image."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from panda_core.data.decoding import DICOM_SUFFIXES, MAGIC, MAX_BYTES, MAX_PIXELS, decode, flatten
from panda_core.data.depth import Picture, RefusedError, Stretch, stretch
from panda_core.errors import FolderError, ImageError

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".jfif", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif"}) | DICOM_SUFFIXES
"""Lower-case suffixes that `list_images` takes for images."""


def read_image(path: str | Path, *, deep: Stretch = stretch) -> Picture:
    """H x W x 3 uint8 RGB, upright (EXIF orientation applied), of a JPEG, PNG, WebP, BMP, TIFF, GIF or DICOM file.

    8-bit values are kept, also where they are written with 16 bits; deeper ones are stretched from the image's own range, in which a
    single hot pixel does not count, colour channels together; a constant deep image gives 0; ``deep`` takes the place of this
    stretching. DICOM: rescale, then its window or its own range; MONOCHROME1 inverted. Of several frames, the first.
    Raises ImageError, and nothing else, if the file cannot be read completely or has more than MAX_PIXELS.
    """
    return decode_image(_load(path), path, deep=deep)


def decode_image(data: bytes, path: str | Path = "bytes", *, deep: Stretch = stretch) -> Picture:
    """As `read_image`, of a file's content; ``path`` is what errors call it, and its suffix tells DICOM without a preamble."""
    try:
        return decode(data, Path(path).suffix.lower(), deep=deep)
    except RefusedError as refusal:
        raise ImageError(path, str(refusal)) from None
    except Exception as error:  # On damaged files the decoders raise whatever comes: SyntaxError, struct.error, zlib.error, ...
        raise ImageError(path, _explain(error, data)) from error


def array_image(values: Any, *, deep: Stretch = stretch) -> Picture:
    """H x W x 3 uint8 RGB of an array: H x W, H x W x 1, H x W x 3 (RGB) or H x W x 4 uint8 (RGBA, laid on white).

    16-bit values are made 8 bits by ``deep``, as those of files are. Other types are refused: of floating-point numbers nobody knows
    whether 1 is white. Raises ImageError.
    """
    is_array = isinstance(values, np.ndarray)
    channels = values.shape[2] if is_array and values.ndim == 3 else 1
    fits = is_array and values.ndim in (2, 3) and 0 not in values.shape and channels in (1, 3, 4)
    if not fits or values.dtype.str[1:] not in ("u1", "u2", "i2") or (channels == 4 and values.dtype != np.uint8):
        got = f"{values.dtype} of shape {values.shape}" if is_array else type(values).__name__
        raise ImageError("array", f"expected uint8 or 16 bits, of shape H x W, H x W x 1 or H x W x 3 (RGB), or RGBA in uint8; got {got}.")
    try:
        return np.array(flatten(values.astype(values.dtype.newbyteorder("="), copy=False), deep))  # the caller's array stays theirs
    except RefusedError as refusal:
        raise ImageError("array", str(refusal)) from None


def readable(paths: Iterable[Path], *, deep: Stretch) -> Iterator[tuple[Path, Picture]]:
    """The images that can be read, with their paths, each decoded when it is asked for; the folder scan has listed the others."""
    for path in paths:
        with suppress(ImageError):
            yield path, read_image(path, deep=deep)


def resize(image: Picture, size: int) -> Picture:
    """H x W x 3 uint8 stretched to size x size x 3: area means where it shrinks (no aliasing), bilinear where it grows."""
    height, width = image.shape[:2]
    if height > size or width > size:
        image = np.asarray(cv2.resize(image, (min(width, size), min(height, size)), interpolation=cv2.INTER_AREA), np.uint8)
    if image.shape[:2] != (size, size):
        image = np.asarray(cv2.resize(image, (size, size), interpolation=cv2.INTER_LINEAR), np.uint8)
    return image


def normalise(image: Picture) -> NDArray[np.float32]:
    """H x W x 3 uint8 -> 3 x H x W float32 in [-1, 1]."""
    return np.ascontiguousarray(image.transpose(2, 0, 1), dtype=np.float32) / np.float32(127.5) - np.float32(1.0)


def prepare(image: Picture, size: int) -> NDArray[np.float32]:
    """H x W x 3 uint8 -> 3 x size x size float32 in [-1, 1], stretched to the square: what the networks see."""
    return normalise(resize(image, size))


def pixels_of(path: str | Path) -> int:
    """Width times height as the file's head has it, without decoding; of what Pillow does not know, one pixel a byte. 0: no file."""
    if not os.path.isfile(path):  # a pipe would block
        return 0
    try:
        with Image.open(path) as image:
            return image.width * image.height
    except Exception:  # as in read_image, which will say what is wrong with the file
        return os.path.getsize(path)


def list_images(folder: str | Path, *, recursive: bool = True, skipped: list[tuple[Path, str]] | None = None) -> list[Path]:
    """Files with one of IMAGE_SUFFIXES in natural order (img2 before img10); hidden files and folders are left out.

    Links to folders are not followed: an image would have several names, and lie where nobody looked. They, and folders inside that
    cannot be read, are added to ``skipped`` with the reason. Broken links and pipes are listed: `read_image` opens neither and says what
    is wrong with them. Raises FolderError if the folder is missing or cannot be read.
    """
    root = Path(folder)
    if not root.is_dir():
        raise FolderError(f"{root} is not a folder. Give the path of a folder with images.")
    try:
        names = _walk(root, [] if skipped is None else skipped) if recursive else os.listdir(root)
    except OSError as error:
        raise FolderError(f"{root} cannot be read: {error.strerror}. Check its permissions.") from error
    found = [root / name for name in names if Path(name).suffix.lower() in IMAGE_SUFFIXES and not Path(name).name.startswith(".")]
    return sorted((path for path in found if not os.path.isdir(path)), key=lambda path: _natural(path.relative_to(root).as_posix()))


def content_hash(path: str | Path) -> str:
    """SHA-256 of the file's bytes, 64 hex digits. Raises ImageError if it cannot be read."""
    return hashlib.sha256(_load(path)).hexdigest()


def _walk(root: Path, skipped: list[tuple[Path, str]]) -> list[str]:
    def skip(error: OSError) -> None:
        if Path(error.filename) == root:
            raise error
        skipped.append((Path(error.filename), f"cannot be read: {error.strerror}"))

    names: list[str] = []
    for place, folders, files in os.walk(root, onerror=skip):
        folders[:] = [name for name in folders if not name.startswith(".")]
        skipped += [(Path(place, name), "is a link to a folder") for name in folders if os.path.islink(os.path.join(place, name))]
        names += [os.path.relpath(os.path.join(place, name), root) for name in files]
    return names


def _natural(name: str) -> tuple[list[tuple[int, int, str]], str]:
    parts = re.split(r"(\d+)", name.casefold())
    # Numbers sort before words, by value; the plain name breaks ties such as 01 and 1.
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part], name


def _load(path: str | Path) -> bytes:
    try:
        status = os.stat(path)
        if stat.S_ISDIR(status.st_mode):
            raise ImageError(path, "is a folder, not an image")
        if not stat.S_ISREG(status.st_mode):  # a pipe or device would block or never end
            raise ImageError(path, "is not a regular file")
        if status.st_size > MAX_BYTES:
            raise ImageError(path, f"has {status.st_size:,} bytes; at most {MAX_BYTES:,} are read")
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise ImageError(path, "is a link to a file that is not there" if os.path.islink(path) else "there is no such file") from None
    except PermissionError:
        raise ImageError(path, "permission to read it is denied") from None
    except (OSError, ValueError) as error:
        raise ImageError(path, f"cannot be read ({error})") from error
    if not data:
        raise ImageError(path, "is empty (0 bytes)")
    return data


def _explain(error: Exception, data: bytes) -> str:
    if isinstance(error, (Image.DecompressionBombError, Image.DecompressionBombWarning)):
        return f"has more than {MAX_PIXELS:,} pixels; reduce it first"
    if isinstance(error, MemoryError):
        return "needs more memory than there is"
    if isinstance(error, UnidentifiedImageError):
        return _explain_unknown(data)
    return f"is damaged or truncated ({str(error) or type(error).__name__})"


def _explain_unknown(data: bytes) -> str:
    for magic, name in MAGIC.items():
        if data.startswith(magic):
            return f"begins like a {name} file but is damaged, truncated or of an unknown kind"
    if not re.search(rb"[\x00-\x08\x0e-\x1f]", data[:1024]):
        return "is text, not an image"
    return "is not a JPEG, PNG, WebP, BMP, TIFF, GIF or DICOM image"
