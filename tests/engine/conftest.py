"""A tiny trained model, loaded once for all engine tests, and pictures to show it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from panda_core.checkpoint import load_model
from panda_core.data.images import list_images, read_image
from panda_core.inspector import Inspector


@pytest.fixture(scope="session")
def normal_pictures(toy_folder: Path) -> list[np.ndarray]:
    return [read_image(path) for path in list_images(toy_folder / "test" / "good")]


@pytest.fixture(scope="session")
def scarred_pictures(toy_folder: Path) -> list[np.ndarray]:
    return [read_image(path) for path in list_images(toy_folder / "test" / "scar")]


@pytest.fixture(scope="session")
def inspector(tiny_model: Path) -> Inspector:
    """The trained model in fp32, whatever the processor; read-only for tests."""
    model = load_model(tiny_model)
    train = dataclasses.replace(model.config.train, precision="fp32")
    model.config = dataclasses.replace(model.config, train=train)
    return Inspector(model)
