"""Writes a folder of synthetic pictures in the MVTec layout, which every reader of anomaly data sets knows."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from panda_core.errors import FolderError
from panda_core.procedural.leaf import LEAF_ANOMALIES, draw_leaf
from panda_core.procedural.noise import Mask, Picture
from panda_core.procedural.xray import XRAY_ANOMALIES, draw_xray

Kind = Literal["leaf", "xray"]
Draw = Callable[..., tuple[Picture, Mask]]

KINDS: dict[str, tuple[Draw, tuple[str, ...]]] = {"leaf": (draw_leaf, LEAF_ANOMALIES), "xray": (draw_xray, XRAY_ANOMALIES)}
"""Kind -> (what draws a picture, its anomalies)."""


def write_dataset(
    out: Path, *, kind: Kind, count: int, seed: int, size: int = 256, on_image: Callable[[int, int], None] | None = None
) -> None:
    """Fills ``out`` with size x size PNGs: train/good, test/good, test/<anomaly>, ground_truth/<anomaly>/<stem>_mask.png, README.txt.

    ``count`` >= 1 training images, a quarter as many good and an eighth as many of each anomaly for testing (at least one).
    Picture i of the set is drawn from seed + i, so no scene occurs twice; sets overlap if their seeds are closer than their
    sizes. ``on_image(done, total)`` is called after each picture. ``out`` appears only when it is complete.
    Raises FolderError if ``out`` is a file or holds anything, ValueError for another kind, count or a negative seed.
    """
    if kind not in KINDS:
        raise ValueError(f"Unknown kind '{kind}'. Known: {', '.join(KINDS)}.")
    if count < 1 or seed < 0:
        raise ValueError(f"count is {count} and seed {seed}; count must be at least 1 and seed at least 0.")
    out = out.absolute()
    _require_free(out)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        build = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    except OSError as error:
        raise FolderError(f"Cannot write below {out.parent}: {error.strerror or error}. Choose a folder you may write to.") from error
    try:
        _draw_all(build, kind, count, seed, size, on_image)
        (build / "README.txt").write_text(_note(kind, count, seed, size), encoding="utf-8")
        # mkdtemp makes a private folder; a data set is to be read by others.
        build.chmod(0o755)
        _move(build, out)
    finally:
        shutil.rmtree(build, ignore_errors=True)


def _require_free(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise FolderError(f"{out} is a file. Name a folder that is empty or does not exist yet.")
    if out.is_dir() and any(out.iterdir()):
        raise FolderError(f"{out} is not empty; nothing was written. Name a folder that is empty or does not exist yet.")


def _move(build: Path, out: Path) -> None:
    _require_free(out)
    if os.name == "nt" and out.is_dir():
        # Only POSIX renames onto an empty folder.
        out.rmdir()
    os.replace(build, out)


def _plan(kind: str, count: int) -> Iterator[tuple[str, str | None]]:
    """The folder and the anomaly of every picture, in the order in which they are drawn."""
    yield from [("train/good", None)] * count
    yield from [("test/good", None)] * max(1, count // 4)
    for anomaly in KINDS[kind][1]:
        yield from [(f"test/{anomaly}", anomaly)] * max(1, count // 8)


def _draw_all(root: Path, kind: str, count: int, seed: int, size: int, on_image: Callable[[int, int], None] | None) -> None:
    plan = list(_plan(kind, count))
    draw = KINDS[kind][0]
    for index, (folder, anomaly) in enumerate(plan):
        image, mask = draw(seed + index, size=size, anomaly=anomaly)
        _save(image, root / folder / f"{index:05d}.png")
        if anomaly is not None:
            _save(mask.astype(np.uint8) * 255, root / "ground_truth" / anomaly / f"{index:05d}_mask.png")
        if on_image is not None:
            on_image(index + 1, len(plan))


def _save(pixels: Picture, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def _note(kind: str, count: int, seed: int, size: int) -> str:
    return (
        "These images are synthetic: drawn by a program, not photographed or scanned.\n"
        f"kind: {kind}\ncount: {count}\nseed: {seed}\nsize: {size}\n"
        "Layout (as in MVTec AD): train/good, test/good, test/<anomaly>, ground_truth/<anomaly>/<name>_mask.png (255 = anomalous).\n"
        "The same kind, count, seed and size give the same images again.\n"
    )
