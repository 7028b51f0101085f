"""What ``panda inspect`` looks at in a folder, and what it leaves out there because nobody photographed it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from functools import cache
from pathlib import Path

from panda_core.cli.console import ERR
from panda_core.data.images import list_images
from panda_core.errors import FolderError
from panda_core.report.results_folder import PARTS, holds_results


def find_inputs(path: Path, out: Path | None) -> list[Path]:
    """The image, or those of the folder without true masks and earlier results; says on stderr what is left out.

    Raises FolderError: no image is left, or the one image lies where ``out`` is going to be written.
    """
    written = {out.resolve() / part for part in PARTS.values()} if out else set()
    if not path.is_dir():
        if path.parent.resolve() in written:
            raise FolderError(f"{path} lies where --out {out} writes its pictures. Choose another --out folder.")
        return [path]
    why = cache(lambda place: _why_not(place, written))
    kept: list[Path] = []
    left_out: Counter[Path] = Counter()
    for image in list_images(path):
        below = [path / place for place in image.relative_to(path).parents][-2::-1]  # from the outermost, without the folder itself
        unwanted = next((place for place in below if why(place)), None)
        if unwanted is None:
            kept.append(image)
        else:
            left_out[unwanted] += 1
    for place, count in left_out.items():
        ERR.print(f"Left out: {count} image{'' if count == 1 else 's'} in {place}, {why(place)}.", soft_wrap=True)
    if not kept:
        raise FolderError(f"{path} holds no images. JPEG, PNG, WebP, BMP, TIFF, GIF and DICOM files are read.")
    return kept


def _why_not(place: Path, written: Collection[Path]) -> str:
    """What the images of a folder are that are not to be inspected; "" for all others."""
    if place.name == "ground_truth" and any((place.parent / part).is_dir() for part in ("train", "test")):
        return "the true masks of a data set"
    if place.name in PARTS.values() and (holds_results(place.parent) or place.resolve() in written):
        return "the results of an earlier inspection"
    return ""
