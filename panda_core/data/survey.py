"""What a folder holds before anything is trained on it: counts, sizes, kinds, damaged files, duplicates, strangers, the split to come."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from panda_core.config import DataConfig
from panda_core.data.depth import Measuring, range_said, stretch_for
from panda_core.data.folders import find_images, group_near, hold_out, labelled_test
from panda_core.data.images import prepare, read_image
from panda_core.data.outliers import colour_features, find_odd
from panda_core.data.samples import Problem, Repeated, Sample, Unwanted, sample_of, usable
from panda_core.errors import FolderError

SMALL = 32
"""Pixels a side at which colours and sharpness are looked at."""
MOST_SIZES = 8
COMFORTABLE = 100


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An image that was found, and that a person has asked not to use."""

    path: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Suspect:
    """A normal image that is unlike the rest."""

    path: str
    sha256: str
    reason: str
    distance: float


@dataclass(frozen=True, slots=True)
class Survey:
    """What `survey` found. All paths as text; JSON-ready by `to_dict`."""

    folder: str
    normal: int
    """Usable normal images: readable, each content once, not left out."""
    anomalous: int
    test: int
    """Labelled test images; they are counted, not opened."""
    train: int
    validation: int
    """How the normal images will be split; near-duplicates stay on one side."""
    sizes: tuple[tuple[str, int], ...]
    """("640 × 480", how many), most frequent first."""
    kinds: tuple[tuple[str, int], ...]
    """("JPEG, colour", how many)."""
    unreadable: tuple[tuple[str, str], ...]
    """(file, reason)."""
    duplicates: tuple[tuple[str, str], ...]
    """(left out, because this one has the same content)."""
    near: tuple[tuple[str, ...], ...]
    """Groups of normal images that are nearly the same picture."""
    excluded: tuple[LeftOut, ...]
    """What was to be left out and is there, copies included."""
    suspects: tuple[Suspect, ...]
    deep: int
    """Normal images of more than 8 bits, without DICOM files that are read by a window of their own."""
    deep_range: tuple[float, float]
    """Lowest and highest of their values; (0, 0) without such images."""
    advice: tuple[str, ...]
    """Sentences: what to expect, what to look at."""
    usable: bool
    """Whether a training can start."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


class _Seen(NamedTuple):
    sample: Sample
    height: int
    width: int
    colours: NDArray[np.float64]
    kind: str
    values: tuple[float, float] | None
    """Lowest and highest of a deep image."""

    @property
    def path(self) -> Path:
        return self.sample.path

    @property
    def digest(self) -> str:
        return self.sample.digest


def survey(
    folder: str | Path,
    *,
    data: DataConfig,
    seed: int = 0,
    exclude: Collection[str] = (),
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Survey:
    """Read every training image of ``folder`` once. ``on_progress`` is called after each file and may raise to end it.

    Raises FolderError where there is no layout we know, or no normal image at all.
    """
    folder = Path(folder)
    normal_paths, anomalous_paths = find_images(folder)
    total = len(normal_paths) + len(anomalous_paths)
    problems: list[Problem] = []
    known: dict[str, Path] = {}
    read = partial(usable, examine=partial(_look, data=data), seen=known, problems=problems, exclude=exclude)
    normal = read(normal_paths, on_file=lambda done: on_progress(done, total))
    anomalous = read(anomalous_paths, on_file=lambda done: on_progress(len(normal_paths) + done, total))
    samples = [seen.sample for seen in normal]
    enough = len(normal) >= data.minimum
    held_out = hold_out(samples, fraction=data.validation_fraction, seed=seed) if enough else set()
    near = _near(samples)
    suspects = _suspects(normal)
    every = [*normal, *anomalous]
    values = [seen.values for seen in normal if seen.values is not None]
    sizes = Counter(f"{seen.width} × {seen.height}" for seen in every)
    found = Survey(
        folder=str(folder),
        normal=len(normal),
        anomalous=len(anomalous),
        test=_count_test(folder),
        train=len(normal) - len(held_out),
        validation=len(held_out),
        sizes=tuple(sizes.most_common(MOST_SIZES)),
        kinds=tuple(Counter(seen.kind for seen in every).most_common()),
        unreadable=tuple((str(one.path), one.reason) for one in problems if not isinstance(one, Unwanted | Repeated)),
        duplicates=tuple((str(one.path), str(one.first)) for one in problems if isinstance(one, Repeated)),
        near=near,
        excluded=tuple(LeftOut(str(one.path), one.digest) for one in problems if isinstance(one, Unwanted)),
        suspects=suspects,
        deep=len(values),
        deep_range=(min(low for low, _ in values), max(high for _, high in values)) if values else (0.0, 0.0),
        advice=(),
        usable=enough,
    )
    small = sum(min(seen.height, seen.width) < data.size for seen in every)
    return _with_advice(found, data, different_sizes=len(sizes), small=small)


def _look(path: Path, *, data: DataConfig) -> _Seen:
    measuring = Measuring(stretch_for(data))
    image = read_image(path, deep=measuring)
    small = prepare(image, SMALL)
    height, width = image.shape[:2]
    return _Seen(sample_of(path, image), height, width, colour_features(small, height, width), _kind(path, small), measuring.range)


def _kind(path: Path, small: NDArray[np.float32]) -> str:
    """File format and what its pixels are, in words."""
    grey = bool(np.ptp(small, axis=0).max() < 0.02)
    try:
        with Image.open(path) as header:
            name, mode = header.format or "image", header.mode
    except OSError:
        return f"{path.suffix.lstrip('.').upper()}, {'grey' if grey else 'colour'}"
    deep = ", 16 bit" if mode.startswith(("I", "F")) else ""
    clear = ", with transparency" if mode in ("LA", "RGBA", "PA") else ""
    return f"{name}, {'grey' if grey else 'colour'}{deep}{clear}"


def _near(samples: Sequence[Sample]) -> tuple[tuple[str, ...], ...]:
    if len(samples) < 2:
        return ()
    groups: dict[int, list[str]] = {}
    for label, sample in zip(group_near(samples), samples, strict=True):
        groups.setdefault(int(label), []).append(str(sample.path))
    return tuple(tuple(group) for group in sorted(groups.values(), key=len, reverse=True) if len(group) > 1)


def _suspects(normal: Sequence[_Seen]) -> tuple[Suspect, ...]:
    if not normal:
        return ()
    odd = find_odd(np.stack([seen.sample.thumbnail for seen in normal]), np.stack([seen.colours for seen in normal]))
    found = [(normal[oddity.index].sample, oddity) for oddity in odd]
    return tuple(Suspect(str(sample.path), sample.digest, oddity.reason, round(oddity.distance, 1)) for sample, oddity in found)


def _count_test(folder: Path) -> int:
    try:
        return len(labelled_test(folder)) if (folder / "test").is_dir() else 0
    except FolderError:
        return 0


def _with_advice(found: Survey, data: DataConfig, *, different_sizes: int, small: int) -> Survey:
    said: list[str] = []
    if not found.usable:
        said.append(
            f"{found.normal} usable normal images are too few: {data.minimum} are needed. "
            "Add images, or lower data.minimum (under Advanced in the page)."
        )
    elif found.normal < COMFORTABLE:
        rate = f"1 in {found.validation + 1}"
        said.append(
            f"{found.normal} normal images are few. {found.validation} of them calibrate, so that no false-alarm rate below {rate} can be "
            f"promised. From {COMFORTABLE} images on, both the model and the promise get better."
        )
    if found.suspects:
        said.append(
            f"{_images(len(found.suspects))} unlike the rest. Is {'it' if len(found.suspects) == 1 else 'each'} really normal? "
            "What is not should be left out."
        )
    if found.duplicates:
        said.append(f"{_images(len(found.duplicates))} left out because another has the same content.")
    if found.near:
        most = sum(map(len, found.near))
        groups = "1 group" if len(found.near) == 1 else f"{len(found.near)} groups"
        said.append(f"{most} images come in {groups} of near-duplicates. A group is kept on one side of the split.")
    if found.unreadable:
        said.append(f"{_images(len(found.unreadable))} left out because {'it' if len(found.unreadable) == 1 else 'they'} cannot be read.")
    if different_sizes > 1:
        said.append(f"The images have {different_sizes} sizes. Each is stretched to {data.size} × {data.size} pixels.")
    if small:
        said.append(f"{_images(small)} smaller than {data.size} pixels and would be enlarged. A smaller image size is faster.")
    if found.deep:
        said.append(f"{_images(found.deep)} deeper than 8 bits, {_reading(found, data)}")
    if len(found.kinds) > 1:
        said.append("Not all images are of one kind. If the camera decides the kind, the model may learn the camera.")
    if 0 < found.anomalous < 4:
        said.append(f"{found.anomalous} known anomalies are too few to place the boundary; from 4 on they do.")
    return replace(found, advice=tuple(said))


def _reading(found: Survey, data: DataConfig) -> str:
    """The values of deep images, and what becomes of them."""
    low, high = (f"{value:.10g}" for value in found.deep_range)
    values = f"with values from {low} to {high}"
    if fixed := range_said(data):
        return f"{values}; all are read by the range from {fixed}."
    return (
        f"{values}; each is stretched by its own range. If values mean the same in every image (X-rays of one device), "
        f"set data.deep_low to {low} and data.deep_high to {high}; a dense object then does not change how the rest of its image looks."
    )


def _images(count: int) -> str:
    return f"{count} image is" if count == 1 else f"{count} images are"
