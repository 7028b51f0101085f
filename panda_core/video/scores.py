"""Frames -> scores, as they come. A frame is judged like any single image: its score knows nothing of the frames around it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import cv2
import numpy as np
from numpy.typing import NDArray

from panda_core.errors import ImageError
from panda_core.inspection import Calibration, FloatMap, Inspection, Picture
from panda_core.scoring.decision import boundary_in_use, decide, threshold_in_use
from panda_core.video.sources import Frame, Video

MAP_SIDE = 128
"""Longest side of a kept map, in pixels: about what the networks see."""
GROUP = 8
"""Frames the engine is given at once."""
InspectMany = Callable[[Sequence[Picture]], Iterable[Inspection | ImageError]]
"""Pictures, H x W x 3 uint8 RGB -> their inspections in the same order; `Inspector.inspect_many` is one."""


@dataclass(frozen=True, slots=True, eq=False)
class SmallMap:
    """An anomaly map in few bytes: value = level * high / 255, in standard deviations of normal images; below 0 is 0."""

    levels: NDArray[np.uint8]
    """h x w, at most MAP_SIDE pixels on the longer side."""
    high: float
    """> 0."""

    def values(self, height: int, width: int) -> FloatMap:
        """The map at another size, height x width float32."""
        values = self.levels.astype(np.float32) * np.float32(self.high / 255)
        return np.asarray(cv2.resize(values, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class FrameScore:
    """What is kept of each frame of a long video."""

    index: int
    seconds: float
    name: str
    """File name of a numbered picture; "" in a video file."""
    score: float
    """The image score of this frame."""
    regions: int
    """At the pixel threshold in use."""
    peak: float
    """Largest value of the anomaly map, in standard deviations of normal images."""
    milliseconds: float
    ignored: float = 0.0
    """Share of the frame that the model's region of interest leaves out, in [0, 1)."""


@dataclass(frozen=True, slots=True, eq=False)
class FrameResult:
    """A scored frame with its pictures."""

    score: FrameScore
    margin: float
    """Score - boundary in use; > 0 is anomalous."""
    picture: Picture
    """H x W x 3 uint8 RGB, as in the video."""
    map: SmallMap
    calibration: Calibration


def score_video(
    inspect_many: InspectMany, video: Video, *, stride: int = 1, should_stop: Callable[[], bool] = lambda: False
) -> Iterator[FrameResult]:
    """Every ``stride``-th frame, scored as soon as its group is; ends early where ``should_stop``.

    Raises VideoError where there are no frames or too many, and what ``inspect_many`` raises. What could not be read is in
    ``video.problems`` at the end.
    """
    waiting = video.frames(stride=stride)
    while not should_stop() and (group := list(islice(waiting, GROUP))):
        for frame, result in zip(group, inspect_many([frame.picture for frame in group]), strict=True):
            if isinstance(result, ImageError):
                video.problems.append(f"Frame {frame.index} {result.reason}.")
            else:
                yield frame_result(frame, result)


def frame_result(frame: Frame, seen: Inspection) -> FrameResult:
    """What is said of one frame at the thresholds in use for the model."""
    decision = decide(seen)
    score = FrameScore(
        index=frame.index,
        seconds=frame.seconds,
        name=frame.name,
        score=seen.score,
        regions=len(decision.regions),
        peak=float(seen.anomaly_map.max()),
        milliseconds=seen.milliseconds,
    )
    return FrameResult(score, decision.margin, frame.picture, reduce_map(seen.anomaly_map), seen.calibration)


def reduce_map(anomaly_map: FloatMap) -> SmallMap:
    """The map at MAP_SIDE pixels in 255 steps from 0 to its largest value; never lighter than a map of all zeros."""
    height, width = anomaly_map.shape
    scale = min(1.0, MAP_SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(anomaly_map, size, interpolation=cv2.INTER_AREA) if scale < 1 else anomaly_map
    high = max(float(np.max(small)), 1e-6)
    return SmallMap(np.round(np.clip(small, 0, high) * (255 / high)).astype(np.uint8), high)


def thresholds_in_use(calibration: Calibration) -> tuple[float, float]:
    """(boundary of the score, pixel threshold) that frames are judged by."""
    return boundary_in_use(calibration).value, threshold_in_use(calibration)
