"""Tiny stand-ins for public data sets, in the layouts they are downloaded in; made anew for each test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

Write = Callable[..., Path]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An empty folder of data sets."""
    place = tmp_path / "root"
    place.mkdir()
    return place


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where folders are built; not there yet."""
    return tmp_path / "place"


@pytest.fixture
def write() -> Write:
    """write(path, seed) saves a small picture of its own; with mask=value a grey one whose left half has that value."""

    def save(path: Path, seed: int = 0, *, mask: int | None = None) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(seed).integers(0, 256, (12, 16, 3), np.uint8)
        if mask is not None:
            pixels = np.zeros((12, 16), np.uint8)
            pixels[:, :8] = mask
        Image.fromarray(pixels).save(path)
        return path

    return save


@pytest.fixture
def write_mvtec(write: Write) -> Callable[[Path], Path]:
    """write_mvtec(folder): 10 good to train on, 6 good and 6 scarred to test with, masks."""

    def fill(folder: Path) -> Path:
        for number in range(10):
            write(folder / f"train/good/{number}.png", number)
        for number in range(6):
            write(folder / f"test/good/{number}.png", 100 + number)
            write(folder / f"test/scar/{number}.png", 200 + number)
            write(folder / f"ground_truth/scar/{number}_mask.png", mask=255)
        return folder

    return fill
