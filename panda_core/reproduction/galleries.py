"""Pictures like Fig. 1, 4 and 5: image, reconstruction, anomaly map, mask and ground truth side by side.

They show images of the data sets, whose licences are their own: galleries lie among the runs, not among the results.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import cv2
import numpy as np

from panda_core.data.folders import LabelledImage
from panda_core.data.images import read_image
from panda_core.inspection import Picture
from panda_core.rendering import map_heatmap, mask_picture, overlay
from panda_core.report.files import whole_file
from panda_core.report.pictures import encode_png
from panda_core.scoring.decision import decide

SIDE = 160
GAP = 6
HEAD = 22
COLUMNS = ("image", "reconstruction", "anomaly map", "mask", "found", "ground truth")
NORMAL_ROWS, ANOMALOUS_ROWS = 1, 5


def examples(samples: Sequence[LabelledImage]) -> list[LabelledImage]:
    """A normal image, then anomalous ones of as many defects as there are; the first of each, never the best."""
    normal = [sample for sample in samples if sample.label == "good"]
    by_defect: dict[str, list[LabelledImage]] = {}
    for sample in samples:
        if sample.label != "good":
            by_defect.setdefault(sample.label, []).append(sample)
    turns = (found[turn] for turn in range(ANOMALOUS_ROWS) for found in by_defect.values() if turn < len(found))
    return [*normal[:NORMAL_ROWS], *list(turns)[:ANOMALOUS_ROWS]]


def write_gallery(path: Path, model: Path, samples: Sequence[LabelledImage], *, device: str = "auto") -> None:
    """One row for each of `examples`, with the model's own thresholds. Raises ModelError, ImageError."""
    from panda_core.inspector import Inspector

    inspector = Inspector.load(model, device=device)
    rows = []
    for sample in examples(samples):
        inspection = inspector.inspect(sample.path)
        decision = decide(inspection)
        shown = [
            inspection.image,
            inspection.reconstruction,
            map_heatmap(inspection),
            _grey(mask_picture(decision)),
            overlay(inspection, decision),
            _truth(sample, inspection.image.shape[:2]),
        ]
        rows.append((f"{sample.label}, score {inspection.score:.2f}, {decision.verdict}", shown))
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as file:
        file.write(encode_png(sheet(rows)))


def sheet(rows: Iterable[tuple[str, Sequence[Picture]]]) -> Picture:
    """Rows of pictures (any size, H x W x 3 uint8), each under its caption, below the names of the columns."""
    width = len(COLUMNS) * (SIDE + GAP) + GAP
    parts = [_line(COLUMNS, width)]
    for caption, pictures in rows:
        strip = np.full((SIDE, width, 3), 255, np.uint8)
        for number, picture in enumerate(pictures):
            left = GAP + number * (SIDE + GAP)
            strip[:, left : left + SIDE] = cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
        parts += [strip, _line((caption,), width)]
    return np.concatenate(parts)


def _line(texts: Sequence[str], width: int) -> Picture:
    line = np.full((HEAD, width, 3), 255, np.uint8)
    for number, text in enumerate(texts):
        place = (GAP + number * (SIDE + GAP), HEAD - 7)
        cv2.putText(line, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.42, (40, 40, 40), 1, cv2.LINE_AA)
    return line


def _truth(sample: LabelledImage, shape: tuple[int, ...]) -> Picture:
    """White where anomalous; black for a normal image; grey where there is no mask to know it from."""
    if sample.mask is not None:
        return read_image(sample.mask)
    return np.full((*shape, 3), 0 if sample.label == "good" else 128, np.uint8)


def _grey(mask: Picture) -> Picture:
    return np.repeat(mask[:, :, None], 3, axis=2)
