"""Raw maps to the shown anomaly map (METHOD: localisation, III-C and Fig. 4): smooth, standardise per pixel, threshold, regions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from panda_core.errors import CalibrationError
from panda_core.inspection import Calibration, FloatMap, MapStats, Region

_PRIOR_IMAGES = 10.0  # the spatial median counts like this many images in a pixel's variance
_FLOOR = 0.1  # of the spatial median of the standard deviation
_THRESHOLD_PIXELS = 20_000_000  # pixels that enter the quantile of the threshold at most (160 MB)


def smooth(raw: FloatMap, sigma: float) -> FloatMap:
    """Gaussian smoothing, standard deviation ``sigma`` in pixels, mirrored at the border; 0 copies. H x W to H x W float32."""
    values = np.array(raw, dtype=np.float32)
    return np.asarray(cv2.GaussianBlur(values, (0, 0), sigma), dtype=np.float32) if sigma > 0 else values


def fit_maps(
    maps: Mapping[str, Sequence[FloatMap]], *, smoothing: float, weights: Mapping[str, float] | None = None
) -> dict[str, MapStats]:
    """Mean and standard deviation per pixel of each smoothed map over the n normal calibration images: name -> n maps S x S.

    With few images a pixel's own deviation is noisy and its smallest values would light up anything, so its variance is mixed
    with the square of the spatial median (which counts like 10 images), smoothed like the maps and floored at a tenth of the
    median. The mean is not smoothed further: edges that are always badly reconstructed must cancel. ``weights``: name -> share
    in the shown map, normalised to sum 1; equal by default.
    Raises CalibrationError on fewer than 2 images, unequal sizes, values that are not finite, or weights that are negative,
    all zero or do not name each map.
    """
    shares = _shares(list(maps), weights)
    return {name: _fit_map(name, images, smoothing, shares[name]) for name, images in maps.items()}


def standardise(raw_maps: Mapping[str, FloatMap], calibration: Calibration) -> FloatMap:
    """The shown anomaly map, S x S float32: each map smoothed, in standard deviations per pixel, averaged by weight.

    Maps that the calibration does not know are left out. The average of several maps varies a little less than one standard
    deviation over normal images; the pixel threshold is fitted to it as it is.
    Raises CalibrationError where a map with a weight is missing or of another size.
    """
    return combine(raw_maps, calibration.maps, smoothing=calibration.smoothing)


def combine(raw_maps: Mapping[str, FloatMap], stats: Mapping[str, MapStats], *, smoothing: float) -> FloatMap:
    """`standardise` with bare statistics, for use before there is a Calibration."""
    used = {name: s for name, s in stats.items() if s.weight > 0}
    if not used:
        raise CalibrationError("The calibration holds no map; calibrate the model again.")
    total = sum(s.weight for s in used.values())
    result = np.zeros_like(next(iter(used.values())).mean)
    for name, s in used.items():
        if name not in raw_maps or raw_maps[name].shape != s.mean.shape:
            got = f"is {raw_maps[name].shape}" if name in raw_maps else "is missing"
            raise CalibrationError(f"Map '{name}' {got}; the calibration expects {s.mean.shape}. Calibrate the model again.")
        result += np.float32(s.weight / total) * (smooth(raw_maps[name], smoothing) - s.mean) / s.std
    return result


def pixel_threshold(standardised: Sequence[FloatMap], rate: float) -> float:
    """Value that a share ``rate`` of all pixels of these normal anomaly maps exceeds; n maps S x S, in standard deviations.

    A quantile over pixels, not over images: what exceeds it gathers in few images. Beyond 20 million pixels a regular subset
    is used. Raises CalibrationError without maps.
    """
    if not standardised:
        raise CalibrationError("The pixel threshold needs at least one normal anomaly map; there is none.")
    step = -(-sum(values.size for values in standardised) // _THRESHOLD_PIXELS)
    return float(np.quantile(np.concatenate([values.ravel()[::step] for values in standardised]), 1 - rate))


def resize_map(anomaly_map: FloatMap, height: int, width: int) -> FloatMap:
    """Bilinear resize of any H x W map to height x width float32."""
    return np.asarray(cv2.resize(anomaly_map, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.float32)


def regions(anomaly_map: FloatMap, threshold: float, *, minimum_area: int | None = None) -> tuple[NDArray[np.bool_], tuple[Region, ...]]:
    """(mask H x W, 8-connected regions with the strongest peak first) of the map above the threshold.

    Regions of fewer than ``minimum_area`` pixels (default: `least_area`) are specks and leave mask and list.
    """
    pixels, owner, areas = _components(anomaly_map, threshold, minimum_area)
    mask = np.zeros(anomaly_map.shape, dtype=np.bool_)
    mask.ravel()[pixels] = True
    return mask, _measured(anomaly_map, pixels, owner, areas)


def count_regions(anomaly_map: NDArray[np.floating], threshold: float, *, minimum_area: int | None = None) -> int:
    """How many `regions` there are, without measuring them."""
    return len(_components(anomaly_map, threshold, minimum_area)[2])


def least_area(pixels: int) -> int:
    """Pixels of the smallest region in a map of so many: 0.01 % of it, at least 4."""
    return max(4, pixels // 10_000)


def _components(
    anomaly_map: NDArray[np.floating], threshold: float, minimum_area: int | None
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Flat indices of the pixels in regions, in reading order; the region of each, from 0; the regions' areas."""
    least = least_area(anomaly_map.size) if minimum_area is None else minimum_area
    # OpenCV's own statistics take ten times as long as its labels, and longer than all that follows.
    above = anomaly_map > threshold
    count, labels = cv2.connectedComponents(above.view(np.uint8), connectivity=8)
    pixels = np.flatnonzero(above)
    owner = np.asarray(labels).ravel()[pixels].astype(np.intp) - 1
    areas = np.bincount(owner, minlength=count - 1)
    kept = areas >= least
    if not kept.all():
        stays = kept[owner]
        pixels, owner = pixels[stays], (np.cumsum(kept) - 1)[owner[stays]]
    return pixels, owner, areas[kept]


def _measured(anomaly_map: FloatMap, pixels: NDArray[np.intp], owner: NDArray[np.intp], areas: NDArray[np.intp]) -> tuple[Region, ...]:
    """One Region per area, from flat pixel indices and the region each belongs to; no pass over the image for each."""
    width, count = anomaly_map.shape[1], len(areas)
    values, x = anomaly_map.ravel()[pixels], pixels % width
    means = np.bincount(owner, weights=values, minlength=count) / areas
    peaks = np.full(count, -np.inf, dtype=values.dtype)
    np.maximum.at(peaks, owner, values)
    at_peak = np.flatnonzero(values == peaks[owner])
    left, right = np.full(count, width), np.zeros(count, dtype=np.intp)
    np.minimum.at(left, owner, x)
    np.maximum.at(right, owner, x)
    top, bottom = _first(owner, pixels, count) // width, _first(owner[::-1], pixels[::-1], count) // width
    places = _first(owner[at_peak], pixels[at_peak], count)
    boxes = np.stack([left, top, right + 1, bottom + 1], axis=1)
    rows = zip(areas.tolist(), boxes.tolist(), peaks.tolist(), means.tolist(), places.tolist(), strict=True)
    found = [
        Region(area=area, box=(x0, y0, x1, y1), peak=peak, mean=mean, peak_at=(place % width, place // width))
        for area, (x0, y0, x1, y1), peak, mean, place in rows
    ]
    return tuple(sorted(found, key=lambda region: -region.peak))


def _first(owner: NDArray[np.intp], pixels: NDArray[np.intp], count: int) -> NDArray[np.intp]:
    """The first pixel of each of ``count`` regions."""
    found = np.zeros(count, dtype=np.intp)
    found[owner[::-1]] = pixels[::-1]  # backwards: of several the first is written last
    return found


def _shares(names: Sequence[str], weights: Mapping[str, float] | None) -> dict[str, float]:
    given = {name: 1.0 for name in names} if weights is None else dict(weights)
    total = sum(given.values())
    if set(given) != set(names) or min(given.values(), default=0.0) < 0 or not 0 < total < np.inf:
        raise CalibrationError(f"Map weights must be >= 0, not all 0, one for each of: {', '.join(names) or 'no maps'}; got {given}.")
    return {name: given[name] / total for name in names}


def _fit_map(name: str, images: Sequence[FloatMap], smoothing: float, weight: float) -> MapStats:
    if len(images) < 2:
        raise CalibrationError(f"Map '{name}' has {len(images)} normal calibration images; at least 2 are needed. Add normal images.")
    mean = np.zeros(images[0].shape)
    squares = np.zeros_like(mean)
    for number, image in enumerate(images, start=1):
        if image.shape != mean.shape:
            raise CalibrationError(f"Map '{name}' of calibration image {number} is {image.shape}; the first is {mean.shape}.")
        step = smooth(image, smoothing) - mean
        mean += step / number
        squares += step * (step - step / number)
    if not np.all(np.isfinite(squares)):
        raise CalibrationError(f"Map '{name}' is not finite for a calibration image; the network or its weights are damaged.")
    return MapStats(mean.astype(np.float32), _steadied(np.sqrt(squares / len(images)), mean, len(images), smoothing), weight)


def _steadied(std: NDArray[np.float64], mean: NDArray[np.float64], count: int, smoothing: float) -> FloatMap:
    typical = float(np.median(std))
    own = count / (count + _PRIOR_IMAGES)
    mixed = smooth(np.sqrt(own * std**2 + (1 - own) * typical**2).astype(np.float32), smoothing)
    # The last two terms only speak where most pixels do not vary at all (a constant border, identical images).
    floor = max(_FLOOR * typical, 1e-6 * float(np.abs(mean).max()), 1e-9)
    return np.maximum(mixed, np.float32(floor))
