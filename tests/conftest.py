"""Shared fixtures: a toy data set, a really trained tiny model, no network."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from panda_core.presets import preset
from panda_core.runs import RunDir

SIDE = 48


def draw_disc(seed: int, *, scar: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """A grey disc on a dark ground, where normal means: one smooth disc. A scar is a bright bar across it."""
    rng = np.random.default_rng(seed)
    image = np.full((SIDE, SIDE, 3), 40, np.uint8)
    centre = (SIDE // 2 + int(rng.integers(-3, 4)), SIDE // 2 + int(rng.integers(-3, 4)))
    cv2.circle(image, centre, 14, (150, 140, 130), -1)
    mask = np.zeros((SIDE, SIDE), np.uint8)
    if scar:
        cv2.line(mask, (centre[0] - 8, centre[1]), (centre[0] + 8, centre[1] + int(rng.integers(-6, 7))), 255, 3)
    noise = rng.normal(0, 3, image.shape)
    image = np.clip(np.where(mask[:, :, None] > 0, 250, image) + noise, 0, 255).astype(np.uint8)
    return image, mask


def write_toy_folder(root: Path, *, train: int = 24, test: int = 6) -> Path:
    """MVTec layout: train/good, test/good, test/scar, ground_truth/scar."""
    for part, count, offset, scar in (("train/good", train, 0, False), ("test/good", test, 1000, False), ("test/scar", test, 2000, True)):
        (root / part).mkdir(parents=True)
        for number in range(count):
            image, mask = draw_disc(offset + number, scar=scar)
            cv2.imwrite(str(root / part / f"{number:03d}.png"), image)
            if scar:
                (root / "ground_truth/scar").mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(root / f"ground_truth/scar/{number:03d}_mask.png"), mask)
    return root


@pytest.fixture(scope="session", autouse=True)
def nobodys_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests, and the programs they start, neither read nor write the person's own models, history and settings."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PANDA_HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(scope="session")
def toy_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Read-only for tests."""
    return write_toy_folder(tmp_path_factory.mktemp("toy") / "discs")


@pytest.fixture(scope="session")
def mixed_folder(toy_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Read-only for tests: two normal and two scarred images, of which two share their stem, and a text that claims to be an image."""
    folder = tmp_path_factory.mktemp("mixed") / "parts [b]"
    for part in ("good", "scar"):
        (folder / part).mkdir(parents=True)
        for name in ("000.png", "001.png"):
            shutil.copy(toy_folder / "test" / part / name, folder / part / name)
    (folder / "scar" / "text.png").write_text("this is not a picture")
    return folder


@pytest.fixture(scope="session")
def tiny_run(toy_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """A finished training of the tiny preset with perceptual evidence, really run; read-only for tests."""
    from panda_core.trainer import run_training

    config = preset("tiny").override(**{"percept.enabled": True, "percept.size": 64, "percept.dimensions": 12, "percept.top": 4})
    run = RunDir.create(tmp_path_factory.mktemp("runs") / "tiny", config, toy_folder)
    assert run_training(run, device="cpu") == "done"
    return run


@pytest.fixture(scope="session")
def tiny_model(tiny_run: RunDir) -> Path:
    """The model folder of ``tiny_run``."""
    return tiny_run.model_path


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Tests talk to this machine only."""
    real = socket.socket.connect

    def connect(self: socket.socket, address: Any) -> None:
        if isinstance(address, tuple) and address[0] not in ("127.0.0.1", "::1", "localhost", "0.0.0.0"):
            raise AssertionError(f"a test tried to reach {address}")
        real(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect)
    yield


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test sees the models or settings of the person who runs it."""
    monkeypatch.delenv("PANDA_MODELS", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path_factory.getbasetemp()))
