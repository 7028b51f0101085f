"""What one browser tab's video is on the server: its scores, its small pictures and maps on file, the thread that works on it. No Gradio.

Pictures and maps travel in packs: one file for each group of frames, JPEG and map bytes one after the other. Any browser can show
that frame by frame, exactly, whatever it thinks of the video's own format.
"""

from __future__ import annotations

import dataclasses
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from panda_core.batch.job import Job
from panda_core.batch.rows import encode_jpeg, reduce_picture
from panda_core.errors import ImageError, PandaError
from panda_core.inspection import Calibration, Inspection, Picture
from panda_core.report.markup import region_note
from panda_core.roi import ignored_share
from panda_core.ui.engine import NO_MODEL, Engine
from panda_core.ui.work import Work, file_name, job_value
from panda_core.video.exports import write_csv, write_overlay_video, write_zip
from panda_core.video.scores import GROUP, FrameResult, FrameScore, SmallMap, score_video, thresholds_in_use
from panda_core.video.sources import Video, stride_for

PICTURE_SIDE = 640
"""Longest side of the pictures in the player, in pixels."""
MOST_PACKS = 40
"""Packs in one message; the next follow when asked for."""
EXPORTS = {
    "csv": ("Writing the table", "csv"),
    "zip": ("Drawing the frames above the boundary", "zip"),
    "webm": ("Writing the video with overlay", "webm"),
}
"""Kind -> what is said meanwhile, suffix of the file."""
_QUALITY = 80
_PROBLEMS_SHOWN = 3
Opens = Callable[[Path, Callable[[], bool]], Video]
"""(folder for what has to be unpacked, should_stop) -> the video."""


@dataclass(frozen=True, slots=True)
class _Pack:
    path: Path
    first: int
    """Number of its first frame among the scored ones."""
    rows: tuple[dict[str, Any], ...]


class VideoSession(Work):
    """One video, and one job at a time on it: scoring or exporting."""

    def __init__(self, engine: Engine) -> None:
        super().__init__("video")
        self._engine = engine
        self._lock = threading.Lock()
        self._packs: list[_Pack] = []
        self._waiting: list[FrameResult] = []
        self._spots: dict[int, tuple[Path, int, tuple[int, int], float]] = {}
        self._downloads = 0
        self._download: tuple[int, Path] | None = None
        self._calibration: Calibration | None = None
        self.model = ""
        self.video: Video | None = None
        self._ignored = 0.0
        self.stride = 1
        self.scores: list[FrameScore] = []

    def score(self, model: str | None, opens: Opens, *, stride: int = 1, rate: float | None = None) -> None:
        """Begin: open the video, then score every ``stride``-th frame, or about ``rate`` a second. Raises PandaError without a model.

        For a fresh session only.
        """
        if not model:
            raise PandaError(NO_MODEL)
        self.model = model
        self.job = Job("Opening the video", partial(self._score, model, opens, stride, rate))

    def message(self, known: int = 0) -> dict[str, Any]:
        """How things stand, with the next packs for a browser that has the first ``known``. Asked with the same, it says the same."""
        job = self.job
        running = job is not None and job.running  # before the packs: once it has ended, there are no more
        said = {"job": job_value(job), "run": self.id, "message": self._message(job)}
        with self._lock:
            start = max(0, min(known, len(self._packs)))
            packs = self._packs[start : start + MOST_PACKS]
            more = start + len(packs) < len(self._packs)
        video = self.video
        facts = None
        if video is not None:
            facts = {"title": video.title, "rate": video.rate, "count": video.count, "stride": self.stride, "model": self.model}
        return {
            **said,
            "video": facts,
            "thresholds": self._thresholds(),
            "from": start,
            "packs": [{"first": pack.first, "path": pack.path, "rows": list(pack.rows)} for pack in packs],
            "download": self._download,
            "working": running or more,
        }

    def export(self, kind: str, boundary: float | None) -> None:
        """Begin to write one of EXPORTS at a boundary (None: the one in use); a later message offers the file.

        Does nothing while a job runs. Raises PandaError where there is nothing to write.
        """
        if self.video is None or self._calibration is None or not self.scores:
            raise PandaError("No frame has been scored yet. Choose a video first.")
        if self.job is not None and self.job.running:
            return
        own, pixel_threshold = thresholds_in_use(self._calibration)
        what, suffix = EXPORTS[kind]
        path = self.place / f"{file_name('video', self.video.title, otherwise='frames')}.{suffix}"
        at = own if boundary is None else boundary
        count = {"csv": 0, "zip": sum(one.score > at for one in self.scores), "webm": len(self.scores)}[kind]
        self.job = Job(what, partial(self._export, kind, path, self.video, at, pixel_threshold), total=count)

    def map_of(self, index: int) -> SmallMap:
        """The kept map of a scored frame, by the frame's index in the video."""
        path, offset, shape, high = self._spots[index]
        with path.open("rb") as file:
            file.seek(offset)
            levels = np.frombuffer(file.read(shape[0] * shape[1]), np.uint8).reshape(shape)
        return SmallMap(levels, high)

    def _score(self, model: str, opens: Opens, stride: int, rate: float | None, job: Job) -> None:
        place = self.place
        video = opens(place / "sources", job.stopping)
        video.deep = self._engine.stretch(model)
        self.stride = stride if rate is None else stride_for(video, rate)
        job.total, job.what = -(-video.count // self.stride) if video.count else 0, "Scoring"
        self.video, self._ignored = video, ignored_share(model)
        try:
            for result in score_video(self._looks(model), video, stride=self.stride, should_stop=job.stopping):
                self._calibration = result.calibration
                score = dataclasses.replace(result.score, ignored=self._ignored)
                self._waiting.append(dataclasses.replace(result, score=score))
                if len(self._waiting) == GROUP:
                    self._pack()
                job.step()
        finally:
            self._pack()

    def _looks(self, model: str) -> Callable[[Sequence[Picture]], Iterator[Inspection | ImageError]]:
        """The engine takes files; frames reach it as uncompressed ones."""

        def look(pictures: Sequence[Picture]) -> Iterator[Inspection | ImageError]:
            with tempfile.TemporaryDirectory(dir=self.place) as folder:
                paths = [Path(folder) / f"{number}.bmp" for number in range(len(pictures))]
                for path, picture in zip(paths, pictures, strict=True):
                    cv2.imwrite(str(path), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
                yield from self._engine.inspect_many(model, paths)

        return look

    def _pack(self) -> None:
        """Write the waiting frames into a pack of their own."""
        if not self._waiting:
            return
        path = self.place / f"{len(self._packs):06}.pack"
        rows, offset = [], 0
        with path.open("wb") as file:
            for result in self._waiting:
                jpeg = encode_jpeg(reduce_picture(result.picture, PICTURE_SIDE), quality=_QUALITY)
                file.write(jpeg + result.map.levels.tobytes())
                height, width = result.map.levels.shape
                place = {"at": offset, "jpeg": len(jpeg), "map": [width, height], "high": result.map.high}
                rows.append({**dataclasses.asdict(result.score), **place})
                self._spots[result.score.index] = (path, offset + len(jpeg), (height, width), result.map.high)
                offset += len(jpeg) + result.map.levels.size
        with self._lock:
            self._packs.append(_Pack(path, len(self.scores), tuple(rows)))
            self.scores += [result.score for result in self._waiting]
        self._waiting = []

    def _export(self, kind: str, path: Path, video: Video, boundary: float, pixel_threshold: float, job: Job) -> None:
        scores = tuple(self.scores)
        if kind == "csv":
            write_csv(path, scores, boundary)
        else:
            write = write_zip if kind == "zip" else write_overlay_video
            write(
                path,
                video,
                scores,
                self.map_of,
                boundary=boundary,
                pixel_threshold=pixel_threshold,
                stride=self.stride,
                on_step=job.step,
                should_stop=job.stopping,
            )
        if not job.stopping():
            self._downloads += 1
            self._download = (self._downloads, path)

    def _thresholds(self) -> dict[str, float] | None:
        calibration = self._calibration
        if calibration is None:
            return None
        boundary, pixel = thresholds_in_use(calibration)
        return {"own": boundary, "pixel": pixel, "low": calibration.lo, "high": calibration.hi}

    def _message(self, job: Job | None) -> str:
        if job is not None and job.message:
            return job.message
        problems: Iterable[str] = self.video.problems if self.video is not None and not (job and job.running) else ()
        told = list(problems)
        more = len(told) - _PROBLEMS_SHOWN
        return " ".join(filter(None, [region_note(self._ignored), *told[:_PROBLEMS_SHOWN], f"And {more} more." if more > 0 else ""]))
