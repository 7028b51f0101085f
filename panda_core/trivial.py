"""The trivial baseline: the Mahalanobis distance of colour statistics. What does not beat it has not been shown to see more than light.

Some public sets are separable without a look at the defect, so every measurement stands beside this one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from panda_core.data.depth import Stretch, stretch
from panda_core.data.folders import LabelledImage, distinct, find_images
from panda_core.data.images import read_image
from panda_core.errors import CalibrationError, FolderError, ImageError
from panda_core.inspection import Picture
from panda_core.scoring.metrics import auroc


def colour_statistics(image: Picture) -> NDArray[np.float64]:
    """Seven numbers: mean and standard deviation of each channel, and the aspect ratio."""
    pixels = image.reshape(-1, 3).astype(np.float64)
    return np.concatenate([pixels.mean(axis=0), pixels.std(axis=0), [image.shape[1] / image.shape[0]]])


def trivial_baseline(train: Sequence[Path], test: Sequence[LabelledImage], *, deep: Stretch = stretch) -> float:
    """AUROC of `trivial_scores`; raises like it, and CalibrationError where a class of ``test`` is empty.

    A detector has to beat this to show that it sees more than the light an image was taken in.
    """
    test = distinct(test).samples
    scores = trivial_scores(train, [sample.path for sample in test], deep=deep)
    read = [index for index, score in enumerate(scores) if score is not None]
    return auroc(np.array([test[index].label != "good" for index in read]), np.array([scores[index] for index in read]))


def baseline_beside(folder: Path, test: Sequence[LabelledImage], *, deep: Stretch = stretch) -> float | None:
    """`trivial_baseline` of a labelled folder that has a ``train`` to learn from; None without that, or with too little in it."""
    if not (folder / "train").is_dir():
        return None
    try:
        return trivial_baseline(find_images(folder)[0], test, deep=deep)
    except (FolderError, CalibrationError):
        return None


def trivial_scores(train: Sequence[Path], test: Sequence[Path], *, deep: Stretch = stretch) -> list[float | None]:
    """Mahalanobis distance of the colour statistics of each test image from those of normal training images; None: unreadable.

    ``deep``: what makes 8 bits of deeper values, here as in the model that it stands beside.
    Raises FolderError where fewer than two training images can be read.
    """
    known = [statistics for path in train if (statistics := _try_statistics(path, deep)) is not None]
    if len(known) < 2:
        raise FolderError(f"The trivial baseline needs at least 2 readable normal training images; there are {len(known)}.")
    centre = np.mean(known, axis=0)
    spread = np.linalg.pinv(np.cov(np.stack(known).T) + 1e-6 * np.eye(centre.size))
    differences = [None if (statistics := _try_statistics(path, deep)) is None else statistics - centre for path in test]
    return [None if difference is None else float(difference @ spread @ difference) for difference in differences]


def _try_statistics(path: Path, deep: Stretch) -> NDArray[np.float64] | None:
    try:
        return colour_statistics(read_image(path, deep=deep))
    except ImageError:
        return None
