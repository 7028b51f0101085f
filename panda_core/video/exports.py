"""Scored frames -> a table, a zip of pictures, a video with the marks drawn in. Frames are read from the video once more."""

from __future__ import annotations

import csv
import io
import os
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from panda_core.inspection import Picture
from panda_core.rendering import MASK_COLOUR, draw_mask, line_width
from panda_core.spreadsheet import guard
from panda_core.video.scores import FrameScore, SmallMap
from panda_core.video.sources import Frame, Video, VideoError

COLUMNS = ("frame", "seconds", "name", "score", "boundary", "verdict", "regions", "peak", "ignored")
_OPACITY = 0.4
Maps = Callable[[int], SmallMap]
"""Index of a scored frame -> its kept map."""


def frames_csv(scores: Sequence[FrameScore], boundary: float) -> str:
    """One line for each scored frame: COLUMNS, the verdict at ``boundary``."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for one in scores:
        verdict = "anomalous" if one.score > boundary else "normal"
        seen = one.regions, one.peak, one.ignored
        writer.writerow([one.index, f"{one.seconds:.3f}", guard(one.name), one.score, boundary, verdict, *seen])
    return text.getvalue()


def write_csv(path: Path, scores: Sequence[FrameScore], boundary: float) -> None:
    """`frames_csv` as a file, marked as UTF-8 for spreadsheets. Raises VideoError."""
    with _whole(path) as temporary:
        temporary.write_text(frames_csv(scores, boundary), encoding="utf-8-sig")


def write_zip(
    path: Path,
    video: Video,
    scores: Sequence[FrameScore],
    maps: Maps,
    *,
    boundary: float,
    pixel_threshold: float,
    stride: int = 1,
    on_step: Callable[[], None] = lambda: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> None:
    """frames.csv of all scored frames; of those above the boundary frames/*.png and overlays/*.png, at the video's own size.

    ``on_step`` is called after each picture. Where ``should_stop``, nothing is written. Raises VideoError.
    """
    above = {one.index: one for one in scores if one.score > boundary}
    with _whole(path, should_stop) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("frames.csv", frames_csv(scores, boundary))
        for frame in _again(video, above, stride, should_stop):
            name = f"frame-{frame.index:06}.png"
            archive.writestr(f"frames/{name}", _png(frame.picture))
            archive.writestr(f"overlays/{name}", _png(mark(frame.picture, maps(frame.index), pixel_threshold)))
            on_step()


def write_overlay_video(
    path: Path,
    video: Video,
    scores: Sequence[FrameScore],
    maps: Maps,
    *,
    boundary: float,
    pixel_threshold: float,
    stride: int = 1,
    on_step: Callable[[], None] = lambda: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> None:
    """All scored frames as a WebM file (VP8, plays in every browser); frames above the boundary are framed and marked.

    Frames of other sizes than the first are scaled to it. As `write_zip` otherwise.
    """
    known = {one.index: one for one in scores}
    writer: cv2.VideoWriter | None = None
    with _whole(path, should_stop) as temporary:
        try:
            for frame in _again(video, known, stride, should_stop):
                anomalous = known[frame.index].score > boundary
                picture = mark(frame.picture, maps(frame.index), pixel_threshold, framed=True) if anomalous else frame.picture
                if writer is None:
                    size = (picture.shape[1] // 2 * 2 or 2, picture.shape[0] // 2 * 2 or 2)  # the codec halves the colour planes
                    writer = _webm(temporary, video.rate / stride, size)
                writer.write(cv2.cvtColor(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2BGR))
                on_step()
        finally:
            if writer is not None:
                writer.release()


def mark(picture: Picture, small: SmallMap, pixel_threshold: float, *, framed: bool = False) -> Picture:
    """The picture with what exceeds the pixel threshold filled and outlined; ``framed`` draws an edge around the picture, too."""
    height, width = picture.shape[:2]
    mask: NDArray[np.bool_] = small.values(height, width) > pixel_threshold
    marked = draw_mask(picture, mask, opacity=_OPACITY)
    if framed:
        cv2.rectangle(marked, (0, 0), (width - 1, height - 1), MASK_COLOUR, 2 * line_width(mask))
    return marked


def _again(video: Video, wanted: Mapping[int, FrameScore], stride: int, should_stop: Callable[[], bool]) -> Iterator[Frame]:
    last = max(wanted, default=-1)
    if last < 0:
        return
    for frame in video.frames(stride=stride):
        if should_stop():
            return
        if frame.index in wanted:
            yield frame
        if frame.index >= last:
            return


def _webm(path: Path, rate: float, size: tuple[int, int]) -> cv2.VideoWriter:
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"VP80"), max(rate, 1.0), size)
    if not writer.isOpened():
        raise VideoError("This machine cannot write WebM videos. Export the pictures instead.")
    return writer


def _png(picture: Picture) -> bytes:
    ok, data = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 1])
    if not ok:
        raise VideoError(f"A frame of {picture.shape[1]} x {picture.shape[0]} pixels could not be written as PNG.")
    return bytes(data.tobytes())


@contextmanager
def _whole(path: Path, should_stop: Callable[[], bool] = lambda: False) -> Iterator[Path]:
    """A file beside ``path`` to write, with its suffix; it takes that name only when it is whole and nobody has stopped the work."""
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, suffix=path.suffix)
        os.close(handle)
    except OSError as error:
        raise VideoError(f"{path} cannot be written: {error.strerror}. Choose another place, or make room.") from error
    temporary = Path(name)
    try:
        yield temporary
        if not should_stop():
            os.replace(temporary, path)
    except OSError as error:
        raise VideoError(f"{path} cannot be written: {error.strerror}. Choose another place, or make room.") from error
    finally:
        temporary.unlink(missing_ok=True)
