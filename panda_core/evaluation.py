"""A labelled folder to a Report: how well a model tells anomalous images from normal ones it has never seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from panda_core.data.folders import LabelledImage, labelled_test
from panda_core.data.images import read_image
from panda_core.errors import FolderError, ImageError
from panda_core.inspection import Inspection, Picture
from panda_core.inspector import Inspector
from panda_core.scoring.decision import boundary_in_use
from panda_core.scoring.maps import resize_map
from panda_core.scoring.metrics import auprc, aupro, auroc, auroc_ci, pixel_auroc

NORMAL = "good"
MAP_SIDE = 128
"""Maps and masks are compared at this size: exact enough, and sorting every full-size pixel would take minutes."""


@dataclass(frozen=True, slots=True)
class Report:
    """What was measured on one labelled folder. All scores: higher = stranger; positive = anomalous."""

    folder: str
    model: str
    device: str
    normal: int
    anomalous: int
    auroc: float
    auroc_ci: tuple[float, float]
    """95 %, stratified bootstrap."""
    auprc: float
    prevalence: float
    """Share of anomalous images: the AUPRC of guessing."""
    error_auroc: Mapping[str, float]
    """AUROC of each error alone."""
    defect_auroc: Mapping[str, float]
    """AUROC of each defect against all normal images."""
    defect_count: Mapping[str, int]
    boundary: float
    boundary_kind: str
    false_alarm_rate: float
    miss_rate: float
    pixel_auroc: float | None
    aupro: float | None
    milliseconds: float = 0.0
    """Median time of one image, network and scoring."""
    problems: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


def evaluate(
    inspector: Inspector, folder: str | Path, *, seed: int = 0, on_progress: Callable[[int, int], None] = lambda done, total: None
) -> Report:
    """Inspect every image of a labelled folder (MVTec layout, or normal/ and anomalous/) one by one and measure.

    Raises FolderError where one of the classes has no readable image.
    """
    samples = labelled_test(Path(folder))
    seen: list[tuple[LabelledImage, Inspection]] = []
    problems: list[str] = []
    masks: list[NDArray[np.bool_]] = []
    shown: list[NDArray[np.float32]] = []
    located = any(sample.mask is not None for sample in samples)
    for number, sample in enumerate(samples, start=1):
        try:
            inspection = inspector.inspect(sample.path)
            seen.append((sample, _without_pictures(inspection)))
            mask = true_mask(sample) if located else None
            if mask is not None:
                masks.append(mask)
                shown.append(resize_map(inspection.anomaly_map, MAP_SIDE, MAP_SIDE))
        except ImageError as error:
            problems.append(str(error))
        on_progress(number, len(samples))
    return _report(inspector, Path(folder), seen, masks, shown, problems, seed)


def _report(
    inspector: Inspector,
    folder: Path,
    seen: Sequence[tuple[LabelledImage, Inspection]],
    masks: Sequence[NDArray[np.bool_]],
    shown: Sequence[NDArray[np.float32]],
    problems: Sequence[str],
    seed: int,
) -> Report:
    labels = np.array([sample.label != NORMAL for sample, _ in seen], dtype=bool)
    if not labels.any() or labels.all():
        raise FolderError(
            f"{folder}: {int(labels.sum())} anomalous and {int((~labels).sum())} normal images can be read; both kinds are needed."
        )
    scores = np.array([inspection.score for _, inspection in seen])
    names = np.array([sample.label for sample, _ in seen])
    defects = sorted({str(name) for name in names[labels]})
    boundary = boundary_in_use(inspector.calibration)
    located = bool(masks) and any(mask.any() for mask in masks)
    return Report(
        folder=str(folder),
        model=inspector.model.name,
        device=str(inspector.device),
        normal=int((~labels).sum()),
        anomalous=int(labels.sum()),
        auroc=auroc(labels, scores),
        auroc_ci=auroc_ci(labels, scores, seed=seed),
        auprc=auprc(labels, scores),
        prevalence=float(labels.mean()),
        error_auroc={name: auroc(labels, np.array([i.errors[name] for _, i in seen])) for name in seen[0][1].errors},
        defect_auroc={d: auroc(labels[(names == d) | ~labels], scores[(names == d) | ~labels]) for d in defects},
        defect_count={d: int((names == d).sum()) for d in defects},
        boundary=boundary.value,
        boundary_kind=boundary.kind,
        false_alarm_rate=float((scores[~labels] > boundary.value).mean()),
        miss_rate=float((scores[labels] <= boundary.value).mean()),
        pixel_auroc=pixel_auroc(masks, shown) if located else None,
        aupro=aupro(masks, shown) if located else None,
        milliseconds=float(np.median([inspection.milliseconds for _, inspection in seen])),
        problems=tuple(problems),
    )


def _without_pictures(inspection: Inspection) -> Inspection:
    """The same numbers without the full-size arrays, so that thousands of images fit in memory."""
    tiny, empty = np.zeros((1, 1, 3), np.uint8), np.zeros((1, 1), np.float32)
    return replace(inspection, image=tiny, reconstruction=tiny.copy(), residual=empty, anomaly_map=empty.copy())


def true_mask(sample: LabelledImage) -> NDArray[np.bool_] | None:
    """MAP_SIDE x MAP_SIDE, all False for a normal image; None for an anomalous one without a mask: it says nothing about pixels."""
    if sample.mask is None:
        return np.zeros((MAP_SIDE, MAP_SIDE), dtype=bool) if sample.label == NORMAL else None
    full = read_image(sample.mask)[:, :, 0]
    return np.asarray(cv2.resize(full, (MAP_SIDE, MAP_SIDE), interpolation=cv2.INTER_AREA) > 63, dtype=bool)


def colour_statistics(image: Picture) -> NDArray[np.float64]:
    """Seven numbers: mean and standard deviation of each channel, and the aspect ratio."""
    pixels = image.reshape(-1, 3).astype(np.float64)
    return np.concatenate([pixels.mean(axis=0), pixels.std(axis=0), [image.shape[1] / image.shape[0]]])


def trivial_baseline(train: Sequence[Path], test: Sequence[LabelledImage]) -> float:
    """AUROC of `trivial_scores`; raises like it, and CalibrationError where a class of ``test`` is empty.

    A detector has to beat this to show that it sees more than the light an image was taken in.
    """
    scores = trivial_scores(train, [sample.path for sample in test])
    read = [index for index, score in enumerate(scores) if score is not None]
    return auroc(np.array([test[index].label != NORMAL for index in read]), np.array([scores[index] for index in read]))


def trivial_scores(train: Sequence[Path], test: Sequence[Path]) -> list[float | None]:
    """Mahalanobis distance of the colour statistics of each test image from those of normal training images; None: unreadable.

    Raises FolderError where fewer than two training images can be read.
    """
    known = [statistics for path in train if (statistics := _try_statistics(path)) is not None]
    if len(known) < 2:
        raise FolderError(f"The trivial baseline needs at least 2 readable normal training images; there are {len(known)}.")
    centre = np.mean(known, axis=0)
    spread = np.linalg.pinv(np.cov(np.stack(known).T) + 1e-6 * np.eye(centre.size))
    differences = [None if (statistics := _try_statistics(path)) is None else statistics - centre for path in test]
    return [None if difference is None else float(difference @ spread @ difference) for difference in differences]


def _try_statistics(path: Path) -> NDArray[np.float64] | None:
    try:
        return colour_statistics(read_image(path))
    except ImageError:
        return None
