"""A labelled folder to a Report: how well a model tells anomalous images from normal ones it has never seen.

Nothing here chooses anything: the boundary is the model's, and a report only says what it does to these images.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from panda_core.card import Metric
from panda_core.data.depth import stretch_for
from panda_core.data.folders import NORMAL, LabelledImage, distinct, labelled_test
from panda_core.data.masks import MAP_SIDE, true_mask
from panda_core.errors import FolderError, ImageError
from panda_core.inspection import BoundaryKind, Inspection
from panda_core.origins import UNKNOWN, Origins
from panda_core.printable import printable
from panda_core.scoring import metrics
from panda_core.scoring.decision import boundary_in_use
from panda_core.scoring.maps import resize_map
from panda_core.trivial import baseline_beside

if TYPE_CHECKING:
    from panda_core.inspector import Inspector
    from panda_core.roi import RegionOfInterest


@dataclass(frozen=True, slots=True)
class JudgedImage:
    """One image of the folder and what the model made of it."""

    path: Path
    name: str
    """As shown: relative to the folder."""
    defect: str
    """Name of the defect; "" for a normal image."""
    score: float

    @property
    def anomalous(self) -> bool:
        """What the folder says of the image, not what the model says."""
        return bool(self.defect)


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
    """95 % at least: `scoring.metrics.auroc_ci`."""
    auprc: float
    auprc_ci: tuple[float, float]
    """95 %, stratified bootstrap."""
    prevalence: float
    """Share of anomalous images: the AUPRC of guessing."""
    error_auroc: Mapping[str, float]
    """AUROC of each error alone."""
    error_auroc_ci: Mapping[str, tuple[float, float]]
    """95 % at least."""
    defect_auroc: Mapping[str, float]
    """AUROC of each defect against all normal images."""
    defect_auroc_ci: Mapping[str, tuple[float, float]]
    """95 % at least; wide where a defect has few images."""
    defect_count: Mapping[str, int]
    boundary: float
    boundary_kind: BoundaryKind
    boundary_reason: str
    false_alarm_rate: float
    miss_rate: float
    pixel_auroc: float | None
    aupro: float | None
    roc: metrics.Points
    """(false-alarm rate, detection rate), thinned."""
    pr: metrics.Points
    """(recall, precision), thinned."""
    images: tuple[JudgedImage, ...]
    """Those that were read, in the order of the folder."""
    trivial_auroc: float | None = None
    """Of colour statistics alone, learnt from the folder's ``train``; None where it has none."""
    milliseconds: float = 0.0
    """Median time of one image, network and scoring."""
    problems: tuple[str, ...] = ()
    """Files that were left out, each with the reason; relative to the folder. Where there are masks, also images that lack one."""
    masks: int = 0
    """Anomalous images whose true mask counts in the pixel measures, beside all normal images."""
    known: int = 0
    """Images among them that the model was trained or calibrated on: they flatter it. Models from before 28 November 2026 cannot tell."""

    @property
    def warning(self) -> str:
        """Why the figures are too good, in a sentence; "" where no reason is known."""
        total = self.normal + self.anomalous
        said = f"The model was trained or calibrated on {self.known} of these {total} images, so the figures are too good."
        return f"{said} Measure on images that it has not seen." if self.known else ""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; images with ``path`` (relative to the folder), ``label``, ``defect`` and ``score``."""
        images = [
            {"path": one.name, "label": "anomalous" if one.anomalous else "normal", "defect": one.defect, "score": one.score}
            for one in self.images
        ]
        return asdict(replace(self, images=())) | {"images": images}

    def metric(self, data: str, *, trivial_auroc: float | None, note: str = "") -> Metric:
        """What a model's card says of it: ``data`` names the images, ``trivial_auroc`` is of colour statistics on the same ones."""
        return Metric(
            data=f"{data}, {self.known} of its images used to make the model" if self.known else data,
            auroc=self.auroc,
            auroc_ci=self.auroc_ci,
            normal=self.normal,
            anomalous=self.anomalous,
            trivial_auroc=trivial_auroc,
            pixel_auroc=self.pixel_auroc,
            note=note,
        )

    def scores(self, *, anomalous: bool) -> NDArray[np.float64]:
        """Scores of one class, in the order of the folder."""
        return np.array([image.score for image in self.images if image.anomalous == anomalous])

    def found(self, defect: str) -> int:
        """Images of this defect above the boundary."""
        return sum(image.score > self.boundary for image in self.images if image.defect == defect)

    def hardest(self, most: int, *, anomalous: bool) -> list[int]:
        """Places in ``images`` of the highest-scoring normal or the lowest-scoring anomalous ones, at most ``most``, the hardest first.

        Whatever the boundary, the worst mistakes are the first of these.
        """
        places = [place for place, image in enumerate(self.images) if image.anomalous == anomalous]
        return sorted(places, key=lambda place: self.images[place].score * (1 if anomalous else -1))[:most]


OnImage = Callable[[JudgedImage, Inspection], None]


def evaluate(
    inspector: Inspector,
    folder: str | Path,
    *,
    roi: RegionOfInterest | None = None,
    seed: int = 0,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    on_image: OnImage = lambda image, inspection: None,
) -> Report:
    """Inspect every image of a labelled folder (MVTec layout, or normal/ and anomalous/) one by one, within ``roi``, and measure.

    Raises FolderError where one of the classes has no readable image.
    """
    folder = Path(folder)
    samples = labelled_test(folder)
    inspect = inspector.inspect if roi is None else partial(inspector.inspect_within, roi=roi)
    images = inspector.model.images
    report = measure(samples, inspect, folder, images=images, seed=seed, on_progress=on_progress, on_image=on_image)
    trivial = baseline_beside(folder, samples, deep=stretch_for(inspector.model.config.data))
    return replace(report, model=inspector.model.name, device=str(inspector.device), trivial_auroc=trivial)


def measure(
    samples: Sequence[LabelledImage],
    inspect: Callable[[Path], Inspection],
    folder: Path,
    *,
    images: Origins = UNKNOWN,
    seed: int = 0,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    on_image: OnImage = lambda image, inspection: None,
) -> Report:
    """Measure whatever ``inspect`` is (it raises ImageError for what it cannot read) on images below ``folder``, each content once.

    ``images``: those the model was made of. ``on_image`` gets each image that was read, with its inspection; the pictures are not kept.
    ``on_progress`` is called after each image, with 0 while files are compared before the first, and may raise to end the measurement.
    The report's ``device`` is "", its ``trivial_auroc`` None: the caller sees to them. Raises FolderError where one of the classes has no
    readable image.
    """
    seen: list[tuple[JudgedImage, Inspection]] = []
    found = distinct(samples, on_file=lambda: on_progress(0, len(samples)))
    samples = found.samples
    problems = [f"{_name(one.path, folder)}: {one.reason}" for one in found.left_out]
    masks: list[NDArray[np.bool_]] = []
    shown: list[NDArray[np.float32]] = []
    located = any(sample.mask is not None for sample in samples)
    if not located and (folder / "ground_truth").is_dir():
        problems.append("ground_truth: holds no mask of these images (<defect>/<name>_mask.png), so there are no pixel measures")
    for number, sample in enumerate(samples, start=1):
        try:
            inspection = inspect(sample.path)
            image = _judged(sample, inspection, folder)
            seen.append((image, _without_pictures(inspection)))
            on_image(image, inspection)
            mask = true_mask(sample, image_shape=inspection.anomaly_map.shape) if located else None
            if mask is not None:
                masks.append(mask)
                shown.append(resize_map(inspection.anomaly_map, MAP_SIDE, MAP_SIDE))
            elif located:
                problems.append(f"{image.name}: has no true mask; it does not count in the pixel measures")
        except ImageError as error:
            problems.append(_problem(error, sample, folder))
        on_progress(number, len(samples))
    known = sum(image.path in found.digests and images.knows(found.digests[image.path]) for image, _ in seen)
    return replace(_report(folder, seen, masks, shown, problems, seed), known=known)


def _judged(sample: LabelledImage, inspection: Inspection, folder: Path) -> JudgedImage:
    defect = "" if sample.label == NORMAL else printable(sample.label)
    return JudgedImage(sample.path, _name(sample.path, folder), defect, inspection.score)


def _problem(error: ImageError, sample: LabelledImage, folder: Path) -> str:
    """Of the image, or of its mask."""
    named = Path(error.path)
    return f"{_name(named if named.is_relative_to(folder) else sample.path, folder)}: {error.reason}"


def _name(path: Path, folder: Path) -> str:
    return printable(path.relative_to(folder).as_posix())


def _report(
    folder: Path,
    seen: Sequence[tuple[JudgedImage, Inspection]],
    masks: Sequence[NDArray[np.bool_]],
    shown: Sequence[NDArray[np.float32]],
    problems: Sequence[str],
    seed: int,
) -> Report:
    labels = np.array([image.anomalous for image, _ in seen], dtype=bool)
    if not labels.any() or labels.all():
        raise FolderError(
            f"{folder}: {int(labels.sum())} anomalous and {int((~labels).sum())} normal images can be read; both kinds are needed. "
            "Add the missing kind: test/good/ beside test/<defect>/, or normal/ beside anomalous/."
        )
    scores = np.array([image.score for image, _ in seen])
    names = np.array([image.defect for image, _ in seen])
    errors = {name: np.array([inspection.errors[name] for _, inspection in seen]) for name in seen[0][1].errors}
    defects = {str(name): (names == name) | ~labels for name in sorted(set(names[labels]))}
    boundary = boundary_in_use(seen[0][1].calibration)
    located = bool(masks) and any(mask.any() for mask in masks)
    return Report(
        folder=str(folder),
        model=seen[0][1].model,
        device="",
        normal=int((~labels).sum()),
        anomalous=int(labels.sum()),
        auroc=metrics.auroc(labels, scores),
        auroc_ci=metrics.auroc_ci(labels, scores),
        auprc=metrics.auprc(labels, scores),
        auprc_ci=metrics.auprc_ci(labels, scores, seed=seed),
        prevalence=float(labels.mean()),
        error_auroc={name: metrics.auroc(labels, values) for name, values in errors.items()},
        error_auroc_ci={name: metrics.auroc_ci(labels, values) for name, values in errors.items()},
        defect_auroc={name: metrics.auroc(labels[of], scores[of]) for name, of in defects.items()},
        defect_auroc_ci={name: metrics.auroc_ci(labels[of], scores[of]) for name, of in defects.items()},
        defect_count={name: int((names == name).sum()) for name in defects},
        boundary=boundary.value,
        boundary_kind=boundary.kind,
        boundary_reason=boundary.reason,
        false_alarm_rate=float((scores[~labels] > boundary.value).mean()),
        miss_rate=float((scores[labels] <= boundary.value).mean()),
        pixel_auroc=metrics.pixel_auroc(masks, shown) if located else None,
        aupro=metrics.aupro(masks, shown) if located else None,
        roc=metrics.roc_curve(labels, scores),
        pr=metrics.pr_curve(labels, scores),
        images=tuple(image for image, _ in seen),
        milliseconds=float(np.median([inspection.milliseconds for _, inspection in seen])),
        problems=tuple(problems),
        masks=len(masks) - int((~labels).sum()) if masks else 0,
    )


def _without_pictures(inspection: Inspection) -> Inspection:
    """The same numbers without the full-size arrays, so that thousands of images fit in memory."""
    tiny, empty = np.zeros((1, 1, 3), np.uint8), np.zeros((1, 1), np.float32)
    return replace(inspection, image=tiny, reconstruction=tiny.copy(), residual=empty, anomaly_map=empty.copy())
