"""Where frames come from: a video file, a folder of numbered pictures, or a file of several pages (TIFF, GIF).

Whoever sends a video may be a stranger. Only files that begin like a known container reach the decoder: playlists and other text
formats could make it open further files or addresses.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageSequence, UnidentifiedImageError

from panda_core.data.decoding import MAX_PIXELS, TIFF_MAGIC, TiffPages, decode_frame
from panda_core.data.depth import RefusedError, Stretch, stretch
from panda_core.data.images import list_images, read_image
from panda_core.errors import ImageError, PandaError
from panda_core.inspection import Picture

MOST_FRAMES = 20_000
"""Frames that are scored in one go; of more, take every n-th."""
STILLS_RATE = 10.0
"""Frames a second of pictures that carry no time."""
_PLAUSIBLE_RATE = 1000.0
_PLAUSIBLE_COUNT = 10**8
_RATE_FRAMES, _RATE_TOLERANCE = 40, 0.25
"""Frames whose times are compared with the rate that a file tells, and by how much the two may differ."""
_SHORT, _SHOWN_FOLDERS = 0.9, 6
"""A file that ends before this share of the frames it announces is cut off; folders named in a sentence."""


class VideoError(PandaError):
    """A video cannot be opened, holds no frames, or is too large."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture of a video."""

    index: int
    """Place in the video, from 0; every n-th frame keeps its own."""
    seconds: float
    """Since the first frame."""
    name: str
    """File name of a numbered picture; "" in a video file."""
    picture: Picture
    """H x W x 3 uint8 RGB, upright."""


class Video(ABC):
    """Frames in their order; may be read again and again."""

    def __init__(self, title: str, *, rate: float, count: int | None) -> None:
        self.title = title
        """For people: a file or folder name."""
        self.rate = rate
        """Frames a second."""
        self.count = count
        """Frames in all as far as the source says; None where it does not."""
        self.problems: list[str] = []
        """What could not be read on the last pass, a sentence each."""
        self.deep: Stretch = stretch
        """What makes 8 bits of deeper frames: as the model wants them."""

    def frames(self, *, stride: int = 1) -> Iterator[Frame]:
        """Every ``stride``-th frame from the first on. Raises VideoError where there is none, or more than MOST_FRAMES."""
        if stride < 1:
            raise VideoError(f"Every {stride}th frame is no choice; take 1 or more.")
        if self.count is not None:
            check_count(self.count, stride)
        self.problems = []
        number = -1
        for number, frame in enumerate(self._read(stride)):
            if number == MOST_FRAMES:
                self.problems.append(f"Only the first {MOST_FRAMES:,} frames were taken. Take every n-th to reach the end.")
                return
            yield frame
        if number < 0:
            raise VideoError(f"{self.title} holds no frame that can be read. {' '.join(self.problems[:1])}".rstrip())

    @abstractmethod
    def _read(self, stride: int) -> Iterator[Frame]:
        """The frames, without limits; adds to ``problems`` what was left out."""


def open_video(path: Path, *, rate: float = STILLS_RATE) -> Video:
    """A video file, a folder of numbered pictures, or a TIFF or GIF of several pages.

    rate: frames a second of pictures without a time of their own. Raises VideoError, FolderError.
    """
    if path.is_dir():
        return open_frames(_pictures(path), title=path.name, rate=rate)
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError as error:
        raise VideoError(f"{path.name} cannot be opened ({error.strerror}). Check the path and its permissions.") from error
    if not head:
        raise VideoError(f"{path.name} is empty (0 bytes). Copy or record it again.")
    if head.startswith(TIFF_MAGIC):
        return _Pages(path, rate)
    if head.startswith(b"GIF8"):
        return _Gif(path, rate)
    if not _is_container(head):
        raise VideoError(f"{path.name} is no video that can be read. MP4, MOV, AVI, WebM, MKV, MPEG, GIF and multi-page TIFF are.")
    return _File(path)


def open_frames(paths: Sequence[Path], *, title: str, rate: float = STILLS_RATE) -> Video:
    """Pictures in this order as the frames of a video of ``rate`` frames a second. Raises VideoError."""
    if not paths:
        raise VideoError(f"{title} holds no pictures. JPEG, PNG, WebP, BMP, TIFF, GIF and DICOM files are read.")
    if not 0 < rate <= _PLAUSIBLE_RATE:
        raise VideoError(f"{rate} frames a second is no rate; give a number above 0 and up to {_PLAUSIBLE_RATE:.0f}.")
    return _Stills(paths, title, rate)


def stride_for(video: Video, wanted: float) -> int:
    """The stride that comes nearest to ``wanted`` frames a second; at least 1. Raises VideoError where that is no rate."""
    if not wanted > 0 or not math.isfinite(wanted):
        raise VideoError(f"{wanted} frames a second is no rate; give a number above 0.")
    return max(1, round(video.rate / wanted))


def check_count(count: int, stride: int) -> None:
    """Raises VideoError where every ``stride``-th of ``count`` frames are more than MOST_FRAMES, and says what to take instead."""
    taken = -(-count // stride)
    if taken > MOST_FRAMES:
        needed = -(-count // MOST_FRAMES)
        raise VideoError(f"The video has {count:,} frames; at most {MOST_FRAMES:,} are scored. Take every {needed}th frame or fewer.")


class _File(Video):
    """Decoded by FFmpeg through OpenCV."""

    def __init__(self, path: Path) -> None:
        self._path = path
        capture = self._open()
        try:
            width, height = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
            rate, count = capture.get(cv2.CAP_PROP_FPS), capture.get(cv2.CAP_PROP_FRAME_COUNT)
            real = _measured_rate(capture)
        finally:
            capture.release()
        _check_size(path.name, width, height)
        rate, known = rate if 0 < rate <= _PLAUSIBLE_RATE else 25.0, 0 < count < _PLAUSIBLE_COUNT
        if real is not None and abs(rate / real - 1) > _RATE_TOLERANCE:
            rate, known = real, False  # browsers write no rate: the decoder guesses one, and the count of frames with it
        super().__init__(path.name, rate=rate, count=int(count) if known else None)

    def _open(self) -> cv2.VideoCapture:
        # FFmpeg by name: another back end takes a number in the name for a pattern of file names
        capture = cv2.VideoCapture(str(self._path), cv2.CAP_FFMPEG)
        if not capture.isOpened():
            capture.release()
            raise VideoError(
                f"{self._path.name} cannot be decoded: it is damaged, or of a kind this machine has no decoder for. "
                "Convert it to MP4 (H.264) or WebM and try again."
            )
        return capture

    def _read(self, stride: int) -> Iterator[Frame]:
        capture = self._open()
        index, seconds = 0, -1.0
        try:
            while capture.grab():
                if index % stride == 0:
                    ok, picture = capture.retrieve()
                    if not ok or picture is None:
                        break
                    seconds = self._time(capture, index, seconds)
                    yield Frame(index, seconds, "", np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8))
                index += 1
        finally:
            capture.release()
        if self.count is not None and index < _SHORT * self.count:
            self.problems.append(f"The file ends after {index:,} of {self.count:,} frames: it is cut off or damaged there.")

    def _time(self, capture: cv2.VideoCapture, index: int, before: float) -> float:
        """The frame's own time; where the file tells none, or one that runs back, by its place."""
        told = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        return told if math.isfinite(told) and told > before and (told > 0 or index == 0) else max(index / self.rate, before)


def _measured_rate(capture: cv2.VideoCapture) -> float | None:
    """Frames a second by the times of the first ones; None where they have none that grow."""
    times: list[float] = []
    while len(times) < _RATE_FRAMES and capture.grab():
        times.append(capture.get(cv2.CAP_PROP_POS_MSEC) / 1000)
    span = times[-1] - times[0] if len(times) > 1 else 0.0
    return (len(times) - 1) / span if math.isfinite(span) and span > 0 else None


class _Stills(Video):
    """Pictures of their own files; one that cannot be read is left out."""

    def __init__(self, paths: Sequence[Path], title: str, rate: float) -> None:
        self._paths = tuple(paths)
        super().__init__(title, rate=rate, count=len(self._paths))

    def _read(self, stride: int) -> Iterator[Frame]:
        for index in range(0, len(self._paths), stride):
            path = self._paths[index]
            try:
                picture = read_image(path, deep=self.deep)
            except ImageError as error:
                self.problems.append(f"{path.name} {error.reason}.")
                continue
            yield Frame(index, index / self.rate, path.name, picture)


class _Pages(Video):
    """A TIFF; each page is decoded as a single image is."""

    def __init__(self, path: Path, rate: float) -> None:
        self._path = path
        try:
            with TiffPages(path) as pages:
                pages.check(0)
                count = len(pages)
        except RefusedError as refusal:
            raise VideoError(f"{path.name} {refusal}.") from refusal
        except Exception as error:  # on damaged files the decoders raise whatever comes
            raise _undecodable(path, error) from error
        super().__init__(path.name, rate=rate, count=count)

    def _read(self, stride: int) -> Iterator[Frame]:
        index = 0
        try:
            with TiffPages(self._path, deep=self.deep) as pages:
                for index in range(0, len(pages), stride):
                    pages.check(index)
                    try:
                        yield Frame(index, index / self.rate, "", pages.decode(index))
                    except RefusedError as refusal:  # its values; those of others may do
                        self.problems.append(f"Page {index + 1} {refusal}.")
        except RefusedError as refusal:
            self.problems.append(f"The video ends before page {index + 1}, which {refusal}.")
        except Exception as error:  # as above
            self.problems.append(f"The video ends before page {index + 1}, which is damaged or cut off ({error}).")


class _Gif(Video):
    """Frames with times of their own."""

    def __init__(self, path: Path, rate: float) -> None:
        self._path = path
        try:
            with Image.open(path, formats=("GIF",)) as image:
                _check_size(path.name, *image.size)
                times = [float(frame.info.get("duration") or 0) for frame in ImageSequence.Iterator(image)]
        except Image.DecompressionBombError as error:
            raise VideoError(f"{path.name} has frames of more than {MAX_PIXELS:,} pixels. Scale it down first.") from error
        except (OSError, ValueError, SyntaxError, UnidentifiedImageError) as error:
            raise _undecodable(path, error) from error
        super().__init__(path.name, rate=1000 * len(times) / sum(times) if any(times) else rate, count=len(times))

    def _read(self, stride: int) -> Iterator[Frame]:
        seconds = 0.0
        try:
            with Image.open(self._path, formats=("GIF",)) as image:
                for index, frame in enumerate(ImageSequence.Iterator(image)):
                    if index % stride == 0:
                        yield Frame(index, seconds, "", decode_frame(frame))
                    seconds += float(frame.info.get("duration") or 1000 / self.rate) / 1000
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, RefusedError) as error:
            self.problems.append(f"The file ends early: it is damaged or cut off ({error}).")


def _pictures(folder: Path) -> list[Path]:
    found = list_images(folder, recursive=False)
    if found:
        return found
    inner = sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    if not inner:
        return []
    shown = ", ".join(inner[:_SHOWN_FOLDERS]) + (", …" if len(inner) > _SHOWN_FOLDERS else "")
    raise VideoError(f"{folder.name} holds folders, not frames. Choose one of them: {shown}.")


def _is_container(head: bytes) -> bool:
    boxes = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
    starts = (b"\x1a\x45\xdf\xa3", b"\x00\x00\x01\xba", b"\x00\x00\x01\xb3", b"OggS", b"FLV\x01", b"\x30\x26\xb2\x75")
    return head[4:8] in boxes or head.startswith(starts) or (head.startswith(b"RIFF") and head[8:12] == b"AVI ") or head[:1] == b"\x47"


def _check_size(name: str, width: int, height: int) -> None:
    if width < 1 or height < 1:
        raise VideoError(f"{name} has no picture ({width} x {height} pixels): it may hold sound only.")
    if width * height > MAX_PIXELS:
        raise VideoError(f"{name} has frames of {width} x {height} pixels; at most {MAX_PIXELS:,} pixels are read. Scale it down first.")


def _undecodable(path: Path, error: Exception) -> VideoError:
    return VideoError(f"{path.name} cannot be decoded: it is damaged or of a kind that is not read ({error}). Save it again and retry.")
