"""On a GPU (CUDA or MPS): every detector examines, trains and resumes, and a whole training gives a model that a processor agrees with."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric

from panda_core.checkpoint import load_model
from panda_core.config import Config
from panda_core.data.batches import Batches
from panda_core.data.images import list_images
from panda_core.detectors import DETECTORS, build_detector
from panda_core.devices import available
from panda_core.inspection import Inspection
from panda_core.inspector import Inspector
from panda_core.presets import preset
from panda_core.resume import load_state, save_state
from panda_core.runs import RunDir
from panda_core.trainer import run_training
from panda_core.training import Trainer, TrainState

GPU = available()[0]
pytestmark = pytest.mark.skipif(GPU == "cpu", reason="this machine has no GPU")


def train(config: Config, folder: Path, *, state: TrainState | None = None, steps: int = 1000) -> TrainState:
    """On the GPU in fp32, up to this many steps more."""
    torch.manual_seed(7)
    fabric = Fabric(accelerator=GPU, devices=1)
    trainer = Trainer(build_detector(config, pretrained=True), config=config.train, fabric=fabric, state=state)
    calls = iter(range(10_000))
    paths = list_images(folder / "train" / "good")
    with Batches(paths, size=config.data.size, augment="flip", batch=config.train.batch, seed=config.train.seed) as batches:
        return trainer.fit(batches, should_stop=lambda: next(calls) >= steps)


def exact(folder: Path, device: str) -> Inspector:
    """The model in fp32 on this device."""
    model = load_model(folder, device=torch.device(device))
    model.config = dataclasses.replace(model.config, train=dataclasses.replace(model.config.train, precision="fp32"))
    return Inspector(model)


@pytest.fixture(scope="module", params=["perceptual-general", "perceptual-specific"])
def gpu_model(request: pytest.FixtureRequest, toy_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model folder of a training that ran on the GPU from the first stage to the last."""
    config = preset("tiny").override(
        **{"percept.enabled": True, "percept.size": 64, "percept.dimensions": 12, "percept.top": 4, "train.pretext_steps": 3},
        **{"loss.reconstruction": request.param, "loss.pixel_weight": 1.0},
    )
    run = RunDir.create(tmp_path_factory.mktemp("runs") / "gpu", config, toy_folder)
    assert run_training(run, device=GPU) == "done"
    return run.model_path


@pytest.mark.parametrize("name", DETECTORS)
def test_every_detector_examines_as_on_the_processor(name: str) -> None:
    torch.manual_seed(0)
    detector: Any = build_detector(dataclasses.replace(preset("tiny"), detector=name), pretrained=True)
    x = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1
    wanted = detector.examine(x)
    detector.to(GPU)
    seen, again = detector.examine(x.to(GPU)), detector.examine(x.to(GPU))
    for error, values in wanted.errors.items():
        torch.testing.assert_close(seen.errors[error].cpu(), values, atol=1e-2, rtol=1e-2)
        assert torch.equal(seen.errors[error], again.errors[error]), "the same image twice"
    torch.testing.assert_close(seen.residual.cpu(), wanted.residual, atol=2e-2, rtol=2e-2)


@pytest.mark.parametrize("name", DETECTORS)
def test_every_detector_trains_and_resumes(name: str, toy_folder: Path, tmp_path: Path) -> None:
    config = dataclasses.replace(preset("tiny"), detector=name)
    half = train(config, toy_folder, steps=8)
    save_state(tmp_path / "state.safetensors", half)
    read = load_state(tmp_path / "state.safetensors")
    restored = train(config, toy_folder, state=read, steps=0)
    assert half.step == restored.step == 8 and restored.tensors.keys() == half.tensors.keys()
    assert all(torch.equal(restored.tensors[key], value) for key, value in half.tensors.items())
    # What two more steps make of it differs from time to time: some gradients are summed in no fixed order on a GPU.
    whole = train(config, toy_folder, state=read)
    assert whole.step == 10 and any(not torch.equal(whole.tensors[key], value) for key, value in half.tensors.items())
    assert all(bool(torch.isfinite(value).all()) for value in whole.tensors.values())


def test_a_model_trained_on_a_gpu_gives_the_processors_scores(gpu_model: Path, normal_pictures: list[np.ndarray]) -> None:
    gpu, cpu = exact(gpu_model, GPU), exact(gpu_model, "cpu")
    assert gpu.device.type == GPU and cpu.device.type == "cpu"
    assert "percept" in gpu.inspect(normal_pictures[0]).errors
    for image in normal_pictures:
        assert dict(gpu.inspect(image).errors) == pytest.approx(dict(cpu.inspect(image).errors), rel=1e-2, abs=1e-3)


def test_the_same_image_twice_has_the_same_score_to_the_bit(gpu_model: Path, scarred_pictures: list[np.ndarray]) -> None:
    inspector = Inspector.load(gpu_model, device=GPU)
    assert inspector.inspect(scarred_pictures[0]).score == inspector.inspect(scarred_pictures[0]).score


def test_a_batch_scores_like_its_images_alone(
    gpu_model: Path, normal_pictures: list[np.ndarray], scarred_pictures: list[np.ndarray]
) -> None:
    pictures = [*normal_pictures, *scarred_pictures]
    for inspector, share in ((exact(gpu_model, GPU), 1e-3), (Inspector.load(gpu_model, device=GPU), 1e-2)):
        alone = np.array([inspector.inspect(picture).score for picture in pictures])
        together = [seen for seen in inspector.inspect_many(pictures, batch=len(pictures)) if isinstance(seen, Inspection)]
        assert np.abs(np.array([seen.score for seen in together]) - alone).max() <= share * alone.std()
