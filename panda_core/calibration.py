"""Held-out images to a Calibration: with labelled anomalies where there are some, synthetic ones otherwise."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from panda_core.checkpoint import Model
from panda_core.config import Config, ScoringConfig
from panda_core.data.depth import Stretch, stretch_for
from panda_core.data.images import content_hash, readable
from panda_core.data.synthetic import make_anomaly
from panda_core.errors import CalibrationError, ImageError
from panda_core.inspection import Calibration, Evidence, Picture
from panda_core.inspector import examine_images
from panda_core.origins import Origins
from panda_core.scoring.boundary import MINIMUM_ANOMALOUS, Source
from panda_core.scoring.fit import fit_calibration
from panda_core.scoring.fusion import MINIMUM_IMAGES
from panda_core.scoring.maps import combine, fit_maps
from panda_core.scoring.metrics import pixel_auroc

SYNTHETIC_PER_IMAGE = 2
WEIGHT_STEPS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Tried shares of the second map in the shown one."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """What the networks said of the calibration images; all fits are made from it."""

    normal: tuple[Evidence, ...]
    anomalous: tuple[Evidence, ...]
    masks: tuple[NDArray[np.bool_], ...]
    """Of the synthetic anomalies, as large as the maps, true where a defect covers any part; empty for labelled ones."""
    source: Source
    fingerprint: str
    unscored: tuple[str, ...] = ()
    """Errors that the detector reports and its paper does not score."""
    digests: tuple[str, ...] = ()
    """SHA-256 of the images: the normal ones and, for a labelled source, the known anomalies."""

    def without(self, *names: str) -> Gathered:
        """The same images as seen by a model that lacks the errors and the maps of these names."""
        normal, anomalous = (tuple(_drop(evidence, names) for evidence in side) for side in (self.normal, self.anomalous))
        return replace(self, normal=normal, anomalous=anomalous)

    def fit(self, scoring: ScoringConfig) -> Calibration:
        """Every calibrated number; fusion weights and map weights are chosen on these images only. Raises CalibrationError."""
        weights = _map_weights(self.normal, self.anomalous, self.masks, scoring) if self.masks else None
        return fit_calibration(
            self.normal,
            self.anomalous,
            source=self.source,
            scoring=scoring,
            fingerprint=self.fingerprint,
            map_weights=weights,
            unscored=self.unscored,
        )


def calibrate(
    model: Model,
    normal_paths: Sequence[Path],
    *,
    anomalous_paths: Sequence[Path] = (),
    scoring: ScoringConfig,
    seed: int = 0,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Calibration:
    """Every calibrated number of ``model`` from held-out normal images (III-C).

    ``scoring.boundary`` forces a source; ``auto`` takes labelled anomalies (4 or more) -> synthetic ones made from the same
    held-out images -> the tail of the normals. The errors and maps are weighed with the same anomalies, for ``tail``, too: without any,
    one that says nothing counts as much as the best. Raises CalibrationError on too few or unlike images.
    """
    gathered = gather(model, normal_paths, anomalous_paths=anomalous_paths, scoring=scoring, seed=seed, on_progress=on_progress)
    return gathered.fit(scoring)


def calibrate_anew(
    model: Model,
    normal_paths: Sequence[Path],
    *,
    anomalous_paths: Sequence[Path],
    name: str,
    config: Config,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Calibration:
    """Makes of ``model`` a copy of this name, calibrated as ``config`` says; its card tells of the images used.

    Normal images that ``model`` was trained on are not used (see `gather`). Raises CalibrationError.
    """
    gathered = gather(model, normal_paths, anomalous_paths=anomalous_paths, scoring=config.scoring, on_progress=on_progress)
    found = gathered.fit(config.scoring)
    model.images = replace(model.images, calibrated=Origins.of(calibrated=gathered.digests).calibrated)
    model.name, model.config, model.calibration = name, config, found
    model.card = model.card.recalibrated(name, config, found)
    return found


def gather(
    model: Model,
    normal_paths: Sequence[Path],
    *,
    anomalous_paths: Sequence[Path] = (),
    scoring: ScoringConfig,
    seed: int = 0,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Gathered:
    """The dear half of `calibrate`: read the images, make synthetic anomalies where needed, run the networks.

    Images are as large as they are when they are inspected, for the sake of the score, and so are held a few at a time. Normal images
    that the model is known to be trained on are left out: they score lower than new ones, so the boundary would promise too much.
    Raises CalibrationError where too few others are left.
    """
    deep = stretch_for(model.config.data)
    anomalies: dict[Path, str] = {}
    for _ in _usable(_distinct(anomalous_paths), anomalies, deep):
        pass  # only to know which they are: they wait on the disk until the normal images are done
    known = list(anomalies)
    source = choose_source(scoring, len(known))
    usual = _unseen(model, _distinct(normal_paths))
    both = set(usual.values()) & set(anomalies.values())
    if source == "labelled" and both:
        raise CalibrationError(f"{len(both)} image(s) are among the normal images and among the anomalies. Decide for one, then try again.")
    total = len(usual) + (len(known) if source == "labelled" else SYNTHETIC_PER_IMAGE * len(usual))
    hashes: dict[Path, str] = {}
    normal = list(_told(examine_images(model, _usable(usual, hashes, deep)), 0, total, on_progress))
    masks: list[NDArray[np.bool_]] = []
    shown: Iterator[Picture] = iter(())
    if source == "labelled":
        shown = (image for _, image in readable(known, deep=deep))
    elif normal:
        total = len(normal) * (1 + SYNTHETIC_PER_IMAGE)
        shown = _make_each(hashes, seed, masks, deep, side=next(iter(normal[0].maps.values())).shape[0])
    anomalous = list(_told(examine_images(model, shown), len(normal), total, on_progress))
    return Gathered(
        normal=tuple(normal),
        anomalous=tuple(anomalous),
        masks=tuple(masks),
        source=source,
        fingerprint=hashlib.sha256("\n".join(sorted(hashes.values())).encode()).hexdigest(),
        unscored=getattr(model.detector, "unscored", ()),
        digests=(*hashes.values(), *(anomalies.values() if source == "labelled" else ())),
    )


def _unseen(model: Model, files: Mapping[Path, str]) -> dict[Path, str]:
    left = {path: digest for path, digest in files.items() if not model.images.has_trained_on(digest)}
    if len(left) < min(MINIMUM_IMAGES, len(files)):
        raise CalibrationError(
            f"“{model.name}” was trained on {len(files) - len(left)} of these {len(files)} normal images, which tells nothing of how it "
            f"judges new ones; at least {MINIMUM_IMAGES} others are needed. Add normal images that it has not seen."
        )
    return left


def _drop(evidence: Evidence, names: Sequence[str]) -> Evidence:
    errors = {name: value for name, value in evidence.errors.items() if name not in names}
    return replace(evidence, errors=errors, maps={name: value for name, value in evidence.maps.items() if name not in names})


def choose_source(scoring: ScoringConfig, labelled: int) -> Source:
    """Where the anomalous calibration images come from, with so many known ones. Raises CalibrationError on too few."""
    if scoring.boundary == "labelled" and labelled < MINIMUM_ANOMALOUS:
        raise CalibrationError(
            f"A labelled boundary needs at least {MINIMUM_ANOMALOUS} known anomalies; there are {labelled}. Add some, or choose synthetic."
        )
    if scoring.boundary == "synthetic" or labelled < MINIMUM_ANOMALOUS:
        return "synthetic"
    return "labelled"


def _told(found: Iterable[Evidence], done: int, total: int, on_progress: Callable[[int, int], None]) -> Iterator[Evidence]:
    """The same, each counted."""
    for number, evidence in enumerate(found, start=done + 1):
        on_progress(number, total)
        yield evidence


def _map_weights(
    normal: Sequence[Evidence], anomalous: Sequence[Evidence], masks: Sequence[NDArray[np.bool_]], scoring: ScoringConfig
) -> dict[str, float] | None:
    """Shares of two maps with the best pixel AUROC on synthetic masks; None (equal) for any other number of maps."""
    names = list(normal[0].maps)
    if len(names) != 2:
        return None
    table = {name: [evidence.maps[name] for evidence in normal] for name in names}
    best, best_area = None, -1.0
    for share in WEIGHT_STEPS:
        weights = {names[0]: 1 - share, names[1]: share}
        stats = fit_maps(table, smoothing=scoring.smoothing, weights=weights)
        shown = [combine(evidence.maps, stats, smoothing=scoring.smoothing) for evidence in anomalous]
        area = pixel_auroc(masks, shown)
        if area > best_area:
            best, best_area = weights, area
    return best


def _distinct(paths: Iterable[Path]) -> dict[Path, str]:
    """The files by their contents' hashes, each content once: a copy says nothing new of what images score."""
    found: dict[str, Path] = {}
    for path in paths:
        with suppress(ImageError):
            found.setdefault(content_hash(path), path)
    return {path: digest for digest, path in found.items()}


def _usable(files: Mapping[Path, str], hashes: dict[Path, str], deep: Stretch) -> Iterator[Picture]:
    """The images that can be read, one at a time; adds them to ``hashes``."""
    for path, image in readable(files, deep=deep):
        hashes[path] = files[path]
        yield image


def _make_each(paths: Iterable[Path], seed: int, masks: list[NDArray[np.bool_]], deep: Stretch, *, side: int) -> Iterator[Picture]:
    """SYNTHETIC_PER_IMAGE anomalies of each image, one at a time; adds their masks, side x side, to ``masks``."""
    for number, path in enumerate([*paths] * SYNTHETIC_PER_IMAGE):
        for _, image in readable([path], deep=deep):
            changed, mask = make_anomaly(image, seed=seed * 1_000_003 + number)
            shares = cv2.resize(mask.astype(np.float32), (side, side), interpolation=cv2.INTER_AREA)  # of uint8, less than half would be 0
            masks.append(np.asarray(shares > 0))
            yield changed
