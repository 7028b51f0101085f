"""Images in, inspections out: the network's one pass, fused and given a meaning by the model's calibration."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import NamedTuple, TypeVar

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from panda_core.card import find_model
from panda_core.checkpoint import Model, load_model
from panda_core.data.depth import stretch_for
from panda_core.data.images import array_image, decode_image, prepare, read_image
from panda_core.detectors.base import examining
from panda_core.devices import autocast_dtype, pick_device
from panda_core.errors import ImageError, ModelError
from panda_core.inspection import Evidence, Inspection, Picture
from panda_core.roi import RegionOfInterest, RoiError, inspect_within
from panda_core.scoring.fusion import score
from panda_core.scoring.maps import resize_map, standardise

Item = str | Path | bytes | np.ndarray
Mask = NDArray[np.bool_]
T = TypeVar("T")
BATCH_PIXELS = 50_000_000
"""Of decoded images that wait for the network together."""


def model_device(model: Model) -> torch.device:
    """Where the model's tensors live."""
    # Not from inference_state: that collects the whole state, milliseconds for each image.
    return next(chain(model.detector.parameters(), model.detector.buffers())).device


def examine_images(model: Model, images: Iterable[Picture], *, batch: int = 8) -> Iterator[Evidence]:
    """Uncalibrated evidence of H x W x 3 uint8 images of any size, in batches; no more than a batch of them is held.

    In fp32 a batch gives what its images give alone, to 1e-5; the same image on the same device and thread count, the same bits.
    """
    for group in _groups(images, batch, _pixels):
        yield from _examine_batch(model, group)


class Look(NamedTuple):
    """What detector and perceptual evidence say of a batch of B images, as tensors."""

    pictures: Tensor
    """Reconstructions: B x S x S x 3 uint8 RGB."""
    errors: Mapping[str, Tensor]
    """Raw error by name, B each."""
    maps: Mapping[str, Tensor]
    """Raw map by name, B x 1 x S x S float32."""


def look(model: Model, x: Tensor, closer: Tensor | None, seen: Tensor | None = None) -> Look:
    """x: B x 3 x S x S in [-1, 1]; closer: the same images, B x 3 x P x P, for perceptual evidence, None where the model has none.

    seen: see `PerceptualEvidence.measure`.
    """
    found = model.detector.examine(x)
    errors, maps = dict(found.errors), {"residual": found.residual.detach().float()}
    if model.percept is not None and closer is not None:
        more, raw = model.percept.measure(closer, seen)
        errors |= more
        maps |= {
            name: functional.interpolate(value.float(), size=x.shape[-2:], mode="bilinear", align_corners=False)
            for name, value in raw.items()
        }
    pictures = ((found.reconstruction.detach().float().clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1)
    return Look(pictures, errors, maps)


def _examine_batch(model: Model, images: Sequence[Picture], seen_at: Mask | None = None) -> list[Evidence]:
    device, config = model_device(model), model.config
    dtype = autocast_dtype(device, config.train.precision)
    x = _tensor(images, config.data.size, device)
    closer = None if model.percept is None else _tensor(images, config.percept.size, device)
    seen_cells = None if model.percept is None else _cells(seen_at, model.percept.side, device)
    with examining(model.detector), torch.autocast(device.type, dtype or torch.bfloat16, enabled=dtype is not None):
        seen = look(model, x, closer, seen_cells)
    shown = seen.pictures.cpu().numpy()
    numbers = {name: value.detach().float().cpu().numpy() for name, value in seen.errors.items()}
    pictures = {name: value[:, 0].cpu().numpy() for name, value in seen.maps.items()}
    return [
        Evidence(
            errors={name: float(values[i]) for name, values in numbers.items()},
            reconstruction=np.ascontiguousarray(shown[i]),
            maps={name: np.ascontiguousarray(values[i]) for name, values in pictures.items()},
        )
        for i in range(len(images))
    ]


def _cells(seen: Mask | None, side: int, device: torch.device) -> Tensor | None:
    """The locations most of whose pixels count, or where there is none that of which most does: H x W to 1 x side x side; None for all."""
    if seen is None:
        return None
    shares = np.asarray(cv2.resize(seen.astype(np.float32), (side, side), interpolation=cv2.INTER_AREA))
    return torch.from_numpy(shares > min(0.5, 0.999 * float(shares.max())))[None].to(device)


def _tensor(images: Sequence[Picture], size: int, device: torch.device) -> Tensor:
    x = torch.from_numpy(np.stack([prepare(image, size) for image in images]))
    if device.type == "cuda":
        x = x.pin_memory()
    return x.to(device, non_blocking=True, memory_format=torch.channels_last)


class Inspector:
    """A calibrated model, ready to look at images. Make it with ``Inspector.load``."""

    def __init__(self, model: Model) -> None:
        """Raises ModelError where the model is not calibrated."""
        if model.calibration is None:
            raise ModelError(f"Model '{model.name}' is not calibrated. Run: panda calibrate FOLDER --model {model.name} --out NEW_FOLDER")
        self.model, self.calibration = model, model.calibration

    @classmethod
    def load(cls, name_or_folder: str | Path, *, device: str = "auto") -> Inspector:
        """Load a shipped or own model by name, or any model folder. Raises ModelError, PandaError (no such device)."""
        return cls(load_model(find_model(name_or_folder), device=pick_device(device)))

    @property
    def device(self) -> torch.device:
        """Where the networks run."""
        return model_device(self.model)

    def inspect(self, item: Item, *, seen: Mask | None = None) -> Inspection:
        """One image: a path, the content of an image file, or an array as `data.images.array_image` has it. Raises ImageError.

        seen: H x W, where the perceptual error counts; the other errors and the map are of the whole image all the same
        (`inspect_within` deals with them).
        """
        source, image = self._read(item)
        return next(self._conclude([(source, image)], seen))

    def inspect_within(self, item: Item, roi: RegionOfInterest) -> Inspection:
        """One image as `inspect` takes it, judged by its region of interest alone: what lies outside raises no alarm.

        Costs a second look; what it guarantees, and what not: `roi.inspect_within`. Raises ImageError, also for an
        image in which the region has no pixel.
        """
        source, image = self._read(item)
        try:
            seen = inspect_within(lambda picture, seen: self.inspect(picture, seen=seen), image, roi)
        except RoiError as error:  # of this image's size; others may have a pixel there
            raise ImageError(source or "array", "is too small for the region of interest: no pixel lies in it") from error
        return replace(seen, source=source)

    def inspect_many(
        self, items: Iterable[Item], *, batch: int = 8, roi: RegionOfInterest | None = None
    ) -> Iterator[Inspection | ImageError]:
        """Inspections in the order of the items; an ImageError stands in the place of an image that cannot be read.

        With ``roi`` as `inspect_within`, one by one; an image in which that has no pixel counts as one that cannot be read. Raises
        TypeError where ``items`` is a single image.
        """
        alone = isinstance(items, str | Path | bytes) or (isinstance(items, np.ndarray) and items.ndim in (2, 3))
        if alone:  # its letters, or rows of pixels, would be taken for images
            one = f"path {str(items)!r}" if isinstance(items, str | Path) else type(items).__name__
            raise TypeError(f"inspect_many takes several images, not the one {one}. Write inspect_many([image]), or inspect(image).")
        if roi is not None:
            yield from (self._try_within(item, roi) for item in items)
            return
        for read in _read_groups(map(self._try_read, items), batch):
            done = self._conclude([entry for entry in read if not isinstance(entry, ImageError)])
            yield from (entry if isinstance(entry, ImageError) else next(done) for entry in read)

    def _read(self, item: Item) -> tuple[str, Picture]:
        deep = stretch_for(self.model.config.data)
        if isinstance(item, str | Path):
            return str(item), read_image(item, deep=deep)
        return "", decode_image(item, deep=deep) if isinstance(item, bytes) else array_image(item, deep=deep)

    def _try_read(self, item: Item) -> tuple[str, Picture] | ImageError:
        try:
            return self._read(item)
        except ImageError as error:
            return error

    def _try_within(self, item: Item, roi: RegionOfInterest) -> Inspection | ImageError:
        try:
            return self.inspect_within(item, roi)
        except ImageError as error:
            return error

    def _conclude(self, images: Sequence[tuple[str, Picture]], seen: Mask | None = None) -> Iterator[Inspection]:
        """One by one: with its full-size maps, an inspection takes five times the memory of its image."""
        if not images:
            return
        started = time.perf_counter()
        evidence = _examine_batch(self.model, [image for _, image in images], seen)
        share = (time.perf_counter() - started) * 1000 / len(images)
        yield from (self._inspection(*entry, found, share) for entry, found in zip(images, evidence, strict=True))

    def _inspection(self, source: str, image: Picture, seen: Evidence, milliseconds: float) -> Inspection:
        started = time.perf_counter()
        height, width = image.shape[:2]
        total, contributions = score(seen.errors, self.calibration)
        small = prepare(image, seen.reconstruction.shape[0]).transpose(1, 2, 0)
        residual = np.abs(small - (seen.reconstruction.astype(np.float32) / 127.5 - 1)).mean(axis=2) / 2
        return Inspection(
            source=source,
            model=self.model.name,
            image=image,
            reconstruction=np.asarray(cv2.resize(seen.reconstruction, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.uint8),
            residual=resize_map(residual.astype(np.float32), height, width),
            anomaly_map=resize_map(standardise(seen.maps, self.calibration), height, width),
            errors=seen.errors,
            contributions=contributions,
            score=total,
            calibration=self.calibration,
            milliseconds=milliseconds + (time.perf_counter() - started) * 1000,
        )


def _read_groups(entries: Iterable[tuple[str, Picture] | ImageError], batch: int) -> Iterator[list[tuple[str, Picture] | ImageError]]:
    """Decoded images, ``batch`` at a time, fewer where they are so large that they would fill the memory."""
    return _groups(entries, batch, lambda entry: 0 if isinstance(entry, ImageError) else _pixels(entry[1]))


def _groups(entries: Iterable[T], batch: int, weigh: Callable[[T], int]) -> Iterator[list[T]]:
    """``batch`` at a time, fewer where their pixels reach BATCH_PIXELS."""
    group: list[T] = []
    pixels = 0
    for entry in entries:
        group.append(entry)
        pixels += weigh(entry)
        if len(group) == batch or pixels >= BATCH_PIXELS:
            yield group
            group, pixels = [], 0
    if group:
        yield group


def _pixels(image: Picture) -> int:
    height, width = image.shape[:2]
    return int(height * width)
