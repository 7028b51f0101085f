"""A folder of images -> train and validation images, known anomalies, and the problems found on the way.

Nothing here depends on where the folder lies: the split follows from the images' content and the seed. A folder called
``test`` is never looked into by `scan`; `labelled_test` reads it for evaluation only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from panda_core.config import DataConfig
from panda_core.data.depth import stretch_for
from panda_core.data.images import IMAGE_SUFFIXES, content_hash, list_images
from panda_core.data.samples import Problem, Sample, Thumbnail, sample_of, usable
from panda_core.errors import FolderError, ImageError
from panda_core.printable import printable

NORMAL_NAMES = ("good", "normal")
ANOMALOUS_NAMES = ("anomalous", "bad")
NORMAL = "good"
"""Label of a normal test image, whatever its folder is called."""
LAYOUTS = "Expected: train/good/ (MVTec layout), normal/ or good/ (and anomalous/ or bad/), or images directly in the folder"

_MASK_SUFFIXES = (".png", *sorted(IMAGE_SUFFIXES), *sorted(map(str.upper, IMAGE_SUFFIXES)))
_NEAR = (0.97, 0.99, 0.997, 0.999)
"""Correlations of 16 x 16 thumbnails, tried in turn, above which two images are near-duplicates."""
_BLOCK = 1024


@dataclass(frozen=True, slots=True)
class Splits:
    """What `scan` found. Paths are in natural order and disjoint."""

    train: tuple[Path, ...]
    validation: tuple[Path, ...]
    """Normal images held out; no near-duplicate of them is in ``train``, as far as thumbnails show it."""
    anomalous: tuple[Path, ...]
    """Known anomalies for calibration; often empty."""
    problems: tuple[Problem, ...]
    fingerprint: str
    """SHA-256 over the labels and sorted content hashes of all usable images, 64 hex digits."""
    digests: Mapping[Path, str] = field(default_factory=dict)
    """SHA-256 of each image."""


class LabelledImage(NamedTuple):
    """One image of a test set: label NORMAL or the defect's name; the mask's path where there is one."""

    path: Path
    label: str
    mask: Path | None


class Distinct(NamedTuple):
    """What `distinct` found."""

    samples: list[LabelledImage]
    """In their order; files that cannot be opened among them."""
    digests: dict[Path, str]
    """SHA-256 of all that can be opened."""
    left_out: list[Problem]


def scan(
    folder: Path,
    *,
    data: DataConfig,
    seed: int,
    exclude: Collection[str] = (),
    rank: Callable[[str], int] = lambda digest: 0,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Splits:
    """Finds, reads and splits the images of ``folder``; unreadable files and exact duplicates are listed, not fatal.

    Normal images: ``train/good`` (or ``train/normal``, or images directly in ``train``), else ``normal`` or ``good``, else the
    folder's own images. Known anomalies: ``anomalous``, ``bad`` and the other folders in ``train``. Every file is decoded once.
    validation = round(data.validation_fraction * n), at least 4 where n allows; deterministic by content and seed.
    ``exclude``: SHA-256 of images not to use. ``rank`` of an image's SHA-256: those of the lowest are held out first. ``on_progress`` is
    called after each file and may raise to end the scan.
    Raises FolderError if there is no such layout or fewer than data.minimum usable normal images.
    """
    normal_paths, anomalous_paths = find_images(Path(folder))
    problems: list[Problem] = []
    seen: dict[str, Path] = {}
    total = len(normal_paths) + len(anomalous_paths)
    read = partial(usable, examine=partial(sample_of, deep=stretch_for(data)), seen=seen, problems=problems, exclude=exclude)
    normal = read(normal_paths, on_file=lambda done: on_progress(done, total))
    anomalous = read(anomalous_paths, on_file=lambda done: on_progress(len(normal_paths) + done, total))
    if len(normal) < data.minimum:
        raise FolderError(_too_few(Path(folder), len(normal), data.minimum, problems))
    held_out = hold_out(normal, fraction=data.validation_fraction, seed=seed, rank=rank)
    return Splits(
        train=tuple(sample.path for sample in normal if sample.digest not in held_out),
        validation=tuple(sample.path for sample in normal if sample.digest in held_out),
        anomalous=tuple(sample.path for sample in anomalous),
        problems=tuple(problems),
        fingerprint=_fingerprint(normal, anomalous),
        digests={sample.path: sample.digest for sample in [*normal, *anomalous]},
    )


def labelled_test(folder: Path) -> list[LabelledImage]:
    """The test images of ``folder`` with their labels: ``test/good`` and ``test/<defect>``, or ``normal`` and ``anomalous``.

    Masks are looked for as ``ground_truth/<defect>/<stem>_mask.png`` or ``<stem>.png`` (or another suffix), below it as the images lie.
    Raises FolderError if there is no such folder, the layout is another, or normal or anomalous images are missing.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FolderError(
            f"{folder} is not a folder. Give the path of a folder with test/good/ and test/<defect>/, or normal/ and anomalous/."
        )
    place = folder / "test" if (folder / "test").is_dir() else folder
    normal = _first_folder(place, NORMAL_NAMES)
    defects = _subfolders(place) if place != folder else [place / name for name in ANOMALOUS_NAMES if (place / name).is_dir()]
    found = [LabelledImage(path, NORMAL, None) for path in (list_images(normal) if normal else [])]
    for defect in (d for d in defects if d.name not in NORMAL_NAMES):
        truth = folder / "ground_truth" / defect.name
        found += [LabelledImage(one, defect.name, _mask(truth / one.parent.relative_to(defect), one.stem)) for one in list_images(defect)]
    kinds = {image.label == NORMAL for image in found}
    if kinds != {True, False}:
        missing = "normal and anomalous" if not kinds else "anomalous" if True in kinds else "normal"
        raise FolderError(
            f"{folder} has no {missing} test images. Expected: test/good/ and test/<defect>/ (MVTec layout), or normal/ and anomalous/."
        )
    return found


def distinct(samples: Sequence[LabelledImage], *, on_file: Callable[[], None] = lambda: None) -> Distinct:
    """Each content once: copies count no image twice, and what lies among normal and anomalous images alike counts as neither.

    ``on_file`` is called after each file and may raise to end it.
    """
    digests: dict[Path, str] = {}
    first: dict[str, LabelledImage] = {}
    unclear: dict[str, Path] = {}
    for sample in samples:
        with suppress(ImageError):
            digest = digests[sample.path] = content_hash(sample.path)
            if (first.setdefault(digest, sample).label == NORMAL) != (sample.label == NORMAL):
                unclear[digest] = sample.path
        on_file()
    kept: list[LabelledImage] = []
    left_out: list[Problem] = []
    for sample in samples:
        digest = digests.get(sample.path, "")
        if digest in unclear:
            other = unclear[digest] if sample.path == first[digest].path else first[digest].path
            reason = f"is the same image as {_beside(other)}; none can be normal and anomalous, so neither counts"
            left_out.append(Problem(sample.path, reason))
        elif digest and first[digest] is not sample:
            left_out.append(Problem(sample.path, f"has the same content as {_beside(first[digest].path)}, which counts"))
        else:
            kept.append(sample)
    return Distinct(kept, digests, left_out)


def _beside(path: Path) -> str:
    """Name and folder: enough to find it beside another image of its set."""
    return printable(f"{path.parent.name}/{path.name}")


def mask_of(image: Path) -> Path | None:
    """The file with the true mask of an image ``.../test/<defect>/name`` in MVTec layout; None elsewhere, or where there is none."""
    defect = image.parent
    if defect.parent.name != "test" or defect.name in NORMAL_NAMES:
        return None
    return _mask(defect.parent.parent / "ground_truth" / defect.name, image.stem)


def _mask(folder: Path, stem: str) -> Path | None:
    named = (folder / f"{name}{suffix}" for suffix in _MASK_SUFFIXES for name in (f"{stem}_mask", stem))
    return next((path for path in named if path.is_file()), None)


def _subfolders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _first_folder(place: Path, names: Iterable[str]) -> Path | None:
    return next((place / name for name in names if (place / name).is_dir()), None)


def find_images(folder: Path) -> tuple[list[Path], list[Path]]:
    """(normal images, known anomalies) of a training folder, by the layouts of `scan`. Raises FolderError without a normal image."""
    if not folder.is_dir():
        raise FolderError(f"{folder} is not a folder. Give the path of a folder with normal images.")
    train = folder / "train"
    defects = [folder / name for name in ANOMALOUS_NAMES if (folder / name).is_dir()]
    if train.is_dir():
        good = _first_folder(train, NORMAL_NAMES)
        normal = list_images(good) if good else list_images(train, recursive=False)
        defects += [place for place in _subfolders(train) if place.name not in NORMAL_NAMES]
    else:
        good = _first_folder(folder, NORMAL_NAMES)
        normal = list_images(good) if good else list_images(folder, recursive=False)
    if not normal:
        raise FolderError(f"{folder} holds no normal images. {LAYOUTS}.")
    return normal, [path for place in defects for path in list_images(place)]


def known_anomalies(folder: Path) -> list[Path]:
    """All images of a folder of anomalies. Raises FolderError without one, or where a folder inside is called as normal images are."""
    found = list_images(folder)
    if not found:
        raise FolderError(f"{folder} holds no images. Name a folder of known anomalies, or leave out --anomalies.")
    normal = next((place for path in found for place in path.relative_to(folder).parents if place.name.lower() in NORMAL_NAMES), None)
    if normal is not None:
        raise FolderError(
            f"{folder} holds normal images, too ({folder / normal}). Name a folder of anomalies and nothing else, e.g. {folder}/<defect>."
        )
    return found


def _too_few(folder: Path, count: int, minimum: int, problems: Sequence[Problem]) -> str:
    left_out = f" {len(problems)} files were left out, the first: {problems[0].path.name}, {problems[0].reason}." if problems else ""
    return f"{folder} holds {count} usable normal images; {minimum} are needed.{left_out} Add images, or lower data.minimum."


def _fingerprint(normal: Sequence[Sample], anomalous: Sequence[Sample]) -> str:
    lines = sorted(f"normal {sample.digest}" for sample in normal) + sorted(f"anomalous {sample.digest}" for sample in anomalous)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def hold_out(samples: Sequence[Sample], *, fraction: float, seed: int, rank: Callable[[str], int] = lambda digest: 0) -> set[str]:
    """Content hashes of the validation images: groups of near-duplicates in an order by hash, each taken if it still fits.

    Those of the lowest ``rank`` come first; a group has that of its highest image.
    """
    count = len(samples)
    wanted = min(max(4, round(fraction * count)), count - 2)
    samples = sorted(samples, key=lambda sample: sample.digest)
    labels = group_near(samples)
    groups: dict[int, list[str]] = {}
    for label, sample in zip(labels, samples, strict=True):
        groups.setdefault(int(label), []).append(sample.digest)

    def order(group: list[str]) -> tuple[int, bool, bytes]:
        # A group that would fill half of the validation images says little about the others: last choice.
        return max(map(rank, group)), len(group) > max(1, wanted // 2), hashlib.sha256(f"{seed} {group[0]}".encode()).digest()

    held_out: set[str] = set()
    for group in sorted(groups.values(), key=order):
        size = len(held_out) + len(group)
        if size <= wanted or (len(held_out) < 4 and size <= count - 2):
            held_out.update(group)
    return held_out


def group_near(samples: Sequence[Sample]) -> NDArray[np.intp]:
    """n >= 2 images -> n group labels; images of one label are near-duplicates. No group is larger than a tenth of all, or 4."""
    count = len(samples)
    return _group(np.stack([sample.thumbnail for sample in samples]), largest=min(max(4, count // 10), max(1, count // 2)))


def _group(thumbnails: Thumbnail, *, largest: int) -> NDArray[np.intp]:
    """n x p grey thumbnails -> n group labels: connected by a correlation above the first of _NEAR that gives no group > largest.

    Aligned parts all resemble each other, so each image is first compared with the mean of all: only deviations shared by
    two images count. Where even the strictest limit joins too many, resemblance says nothing and every image stands alone.
    """
    deviation = thumbnails - thumbnails.mean(axis=0)
    deviation -= deviation.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(deviation, axis=1, keepdims=True)
    unit = np.divide(deviation, norm, out=np.zeros_like(deviation), where=norm > 1e-6)
    for limit in _NEAR:
        labels = _join(unit, limit=limit, most_pairs=len(unit) * largest // 2)
        if labels is not None and np.bincount(labels).max() <= largest:
            return labels
    return np.arange(len(unit))


def _join(unit: Thumbnail, *, limit: float, most_pairs: int) -> NDArray[np.intp] | None:
    """Union-find over the pairs of rows whose product is above ``limit``; None if there are more than ``most_pairs``."""
    parent = list(range(len(unit)))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    pairs = 0
    for start in range(0, len(unit), _BLOCK):
        rows, columns = np.nonzero(np.triu(unit[start : start + _BLOCK] @ unit[start:].T > limit, k=1))
        pairs += len(rows)
        if pairs > most_pairs:
            return None
        for one, other in zip((rows + start).tolist(), (columns + start).tolist(), strict=True):
            parent[root(one)] = root(other)
    return np.array([root(index) for index in range(len(unit))], dtype=np.intp)
