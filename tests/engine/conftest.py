"""A tiny trained model, made once for all engine tests, and pictures to show it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from panda_core.data.images import list_images, read_image


@pytest.fixture(scope="session")
def normal_pictures(toy_folder: Path) -> list[np.ndarray]:
    return [read_image(path) for path in list_images(toy_folder / "test" / "good")]
