"""Which of many normal images are least like the rest? Cheap features, robust distances; a question to a person, never a verdict.

They find what does not belong in the folder: another object, another light, a blank or blurred picture. They do not find a small defect
on an otherwise ordinary part (tried with drawn lesions: not among the suspects); finding those is what the model is for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LIMIT = 3.8
"""Robust standard deviations beyond which an image is shown. Six folders known to be clean gave none to two such images each (measured)."""
CLEAR = 2.5
"""Deviations in one quantity from which it is named as the reason."""
NEIGHBOURS = 5
"""A stranger is one whose fifth nearest neighbour is far: up to that many strangers of one sort are still strangers."""
REFERENCES = 2000
"""Images compared with, at most; of more, an even selection."""
SHARE = 0.05
FEWEST = 5
"""At most this many, or SHARE of all images, are shown: a person has to look at each."""
MINIMUM = 12
"""With fewer images there is no rest to be unlike of."""


@dataclass(frozen=True, slots=True)
class Oddity:
    """One image that stands out."""

    index: int
    """Among the images given."""
    distance: float
    """Robust standard deviations from the rest, in what it stands out by most."""
    reason: str
    """In words, e.g. "much darker than the rest"."""


def find_odd(thumbnails: NDArray[np.float32], colours: NDArray[np.float64]) -> list[Oddity]:
    """The images that stand out, strangest first.

    thumbnails: n x p grey values of small pictures, in [-1, 1]. colours: n x 7, as `colour_features` gives.
    """
    count = len(thumbnails)
    if count < MINIMUM:
        return []
    single = np.stack([_robust(column) for column in colours.T])
    distance = (_robust(_loneliness(thumbnails.astype(np.float64))) + _robust(_loneliness(single.T))) / 2
    odd = [Oddity(int(index), float(distance[index]), _reason(single[:, index])) for index in np.flatnonzero(distance > LIMIT)]
    odd.sort(key=lambda oddity: -oddity.distance)
    return odd[: max(FEWEST, round(SHARE * count))]


WORDS: tuple[tuple[str, str], ...] = (
    ("much darker than the rest", "much brighter than the rest"),
    ("much less contrast than the rest", "much more contrast than the rest"),
    ("less red than the rest", "redder than the rest"),
    ("less blue than the rest", "bluer than the rest"),
    ("less colourful than the rest", "more colourful than the rest"),
    ("narrower than the rest", "wider than the rest"),
    ("blank or much blurrier than the rest", "much sharper or noisier than the rest"),
)


def colour_features(small: NDArray[np.float32], height: int, width: int) -> Floats:
    """Seven numbers of an image, 3 x s x s in [-1, 1] as `images.prepare` makes it, of ``height`` x ``width`` pixels.

    Mean, spread, red and blue against green, colourfulness, log aspect ratio, log of the energy of fine structure.
    """
    pixels = small.astype(np.float64)
    red, green, blue = pixels.reshape(3, -1)
    grey = pixels.mean(axis=0)
    fine = np.abs(np.diff(grey, axis=0)).mean() + np.abs(np.diff(grey, axis=1)).mean()
    return np.array(
        [
            grey.mean(),
            grey.std(),
            (red - green).mean(),
            (blue - green).mean(),
            pixels.std(axis=0).mean(),
            np.log(width / height),
            np.log(fine + 1e-3),
        ]
    )


def _robust(values: Floats) -> Floats:
    """Distances from the median in units of the interquartile range brought to a standard deviation."""
    low, middle, high = np.percentile(values, [25, 50, 75])
    # A floor: where nearly all values are equal, the smallest difference would be infinitely strange.
    return np.asarray((values - middle) / max((high - low) / 1.349, 0.02), dtype=np.float64)


def _loneliness(features: Floats) -> Floats:
    """n x k -> n logs of the distance to the NEIGHBOURS-th nearest other image."""
    references = features[:: max(1, -(-len(features) // REFERENCES))]
    squares = (references**2).sum(axis=1)
    found = []
    for start in range(0, len(features), 512):
        block = features[start : start + 512]
        squared = (block**2).sum(axis=1)[:, None] + squares - 2 * block @ references.T
        rank = min(NEIGHBOURS, len(references) - 1)  # rank 0 is the image itself
        found.append(np.partition(squared, rank, axis=1)[:, rank])
    return np.asarray(np.log(np.sqrt(np.maximum(np.concatenate(found), 0.0)) + 1e-3), dtype=np.float64)


def _reason(single: Floats) -> str:
    """In words what an image stands out by: the largest of its robust deviations in WORDS' quantities."""
    most = int(np.abs(single).argmax())
    if abs(single[most]) < CLEAR:
        return "unlike the rest in several small ways"
    return WORDS[most][int(single[most] > 0)]
