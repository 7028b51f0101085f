"""Small seeded images and folders of them, made anew for each test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

Draw = Callable[..., NDArray[np.uint8]]
Fill = Callable[..., list[Path]]


@pytest.fixture
def draw() -> Draw:
    """draw(seed) -> 40 x 48 x 3 uint8: smooth random colours, different for every seed."""

    def make(seed: int, *, height: int = 40, width: int = 48) -> NDArray[np.uint8]:
        coarse = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), dtype=np.uint8)
        return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))

    return make


@pytest.fixture
def fill(draw: Draw) -> Fill:
    """fill(folder, count) writes that many PNG files with different content and returns their paths."""

    def write(folder: Path, count: int, *, first: int = 0) -> list[Path]:
        folder.mkdir(parents=True, exist_ok=True)
        paths = [folder / f"{seed}.png" for seed in range(first, first + count)]
        for seed, path in zip(range(first, first + count), paths, strict=True):
            Image.fromarray(draw(seed)).save(path)
        return paths

    return write
