"""Pictures of the images a model gets most wrong, chosen while an evaluation runs, so that nothing has to be inspected twice."""

from __future__ import annotations

import heapq
from pathlib import Path

from panda_core.evaluation import JudgedImage
from panda_core.inspection import Inspection
from panda_core.report.pictures import small_overlay

MOST = 12
"""Pictures of each class."""
SIDE = 240
"""Longest side of a picture, in pixels."""


class HardestPictures:
    """The highest-scoring normal and the lowest-scoring anomalous images so far, as `Report.hardest` will name them."""

    def __init__(self, most: int = MOST) -> None:
        self.pictures: dict[Path, bytes] = {}
        """Image file -> JPEG with the mask at the pixel threshold in use."""
        self._most = most
        self._kept: dict[bool, list[tuple[float, int, Path]]] = {False: [], True: []}
        self._seen = 0

    def see(self, image: JudgedImage, inspection: Inspection) -> None:
        """Keep the picture if the image is among the hardest of its class; one that no longer is gives way."""
        heap, hardness = self._kept[image.anomalous], -image.score if image.anomalous else image.score
        self._seen += 1
        if len(heap) == self._most and hardness <= heap[0][0]:
            return
        self.pictures[image.path] = small_overlay(inspection, pixel_threshold=None, side=SIDE)
        heapq.heappush(heap, (hardness, -self._seen, image.path))  # of equally hard ones the later gives way
        if len(heap) > self._most:
            del self.pictures[heapq.heappop(heap)[2]]
