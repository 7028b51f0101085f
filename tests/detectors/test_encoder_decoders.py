"""GANomaly, Skip-GANomaly, DA-GAN and the U-Net: what their papers say of losses and scores holds in the code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from panda_core.checkpoint import load_model
from panda_core.data.images import read_image
from panda_core.detectors import build_detector
from panda_core.detectors.unet import COARSENESS, coarse_noise
from panda_core.inspector import Inspector
from panda_core.presets import preset
from panda_core.runs import RunDir
from panda_core.trainer import run_training

NAMES = ("vae", "ganomaly", "skip-ganomaly", "da-gan", "unet")
SMALL = {
    "data.size": 32,
    "data.minimum": 8,
    "data.validation_fraction": 0.3,
    "baseline.width": 8,
    "baseline.latent": 6,
    "generator.width": 8,
}


def build(name: str, **changes: Any) -> Any:
    torch.manual_seed(0)
    return build_detector(preset(name).override(**{**SMALL, **changes}), pretrained=True)


def images(count: int = 4, side: int = 32) -> Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(1)) * 2 - 1


class Always(nn.Module):
    """Gives the same images whatever it is asked."""

    def __init__(self, answer: Tensor) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, x: Tensor) -> Tensor:
        return self.answer


@pytest.mark.parametrize("side", [64, 96, 128])
@pytest.mark.parametrize("name", NAMES)
def test_other_sizes_train_and_are_examined(name: str, side: int) -> None:
    detector, x = build(name, **{"data.size": side}), images(side=side)
    for phase in detector.phases():
        assert all(torch.isfinite(value) for value in detector.loss(phase.name, x, 0).values())
    assert detector.examine(x).reconstruction.shape == x.shape


@pytest.mark.parametrize("name", NAMES)
def test_half_precision_and_channels_last_break_nothing(name: str) -> None:
    detector = build(name).to(memory_format=torch.channels_last)
    x = images().to(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        for phase in detector.phases():
            terms = detector.loss(phase.name, x, 0)
            torch.stack([value for name, value in terms.items() if not name.startswith("_")]).sum().backward()
        seen = detector.examine(x)
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in detector.parameters())
    assert seen.residual.dtype == torch.float32
    assert all(values.dtype == torch.float32 and torch.isfinite(values).all() for values in seen.errors.values())


@pytest.mark.parametrize("name", NAMES)
def test_a_preset_trains_its_detector_and_fits_no_weights(name: str) -> None:
    config = preset(name)
    assert config.detector == name and config.scoring.fusion == "sum" and config.train.warmup_steps == 0


def test_ganomaly_finds_nothing_strange_in_an_image_that_it_gives_back_and_re_encodes_alike() -> None:
    detector, x = build("ganomaly"), images()
    detector.encode_again.load_state_dict(detector.generator.encode.state_dict())
    detector.generator.decode = Always(x)
    assert all(values.max() == 0 for values in detector.examine(x).errors.values())
    assert detector.examine(x.flip(0)).errors["latent"].min() > 0


def test_ganomaly_is_scored_by_its_latent_error_alone(toy_folder: Path, tmp_path: Path) -> None:
    config = preset("ganomaly").override(**SMALL, **{"train.adversarial_steps": 4, "train.batch": 4})
    run = RunDir.create(tmp_path / "run", config, toy_folder)
    assert run_training(run, device="cpu") == "done"
    inspector = Inspector(load_model(run.model_path))
    seen = inspector.inspect(read_image(toy_folder / "test/scar/000.png"))
    assert seen.errors["recon"] > 0 and seen.score == pytest.approx(seen.errors["latent"])


def test_the_score_of_skip_ganomaly_is_the_mixture_of_its_two_distances() -> None:
    x = images()
    alone = {share: build("skip-ganomaly", **{"baseline.feature_share": share}).examine(x).errors for share in (0.0, 1.0)}
    mixed = build("skip-ganomaly").examine(x).errors
    torch.testing.assert_close(sum(mixed.values()), 0.9 * alone[0.0]["recon"] + 0.1 * alone[1.0]["latent"])
    assert alone[0.0]["latent"].max() == alone[1.0]["recon"].max() == 0 < alone[0.0]["recon"].min()


def test_the_discriminator_of_da_gan_raises_what_its_generator_lowers() -> None:
    detector, x = build("da-gan").eval(), images()
    torch.testing.assert_close(detector.loss("critic", x, 0)["adv"], -detector.loss("generator", x, 0)["adv"])


def test_the_noise_of_the_u_net_is_coarse_and_as_strong_as_configured() -> None:
    torch.manual_seed(0)
    noise = coarse_noise(torch.zeros(64, 3, 64, 64), 0.4)
    # Between the drawn values it is interpolated, which takes some of its strength.
    assert 0.2 < noise.std() < 0.4 and abs(noise.mean()) < 0.02

    def correlation(pixels: int) -> float:
        pair = torch.stack([noise.flatten(), noise.roll(pixels, dims=3).flatten()])
        return float(torch.corrcoef(pair)[0, 1])

    assert correlation(1) > 0.9 and abs(correlation(3 * COARSENESS)) < 0.1


def test_the_u_net_meets_noise_in_training_only() -> None:
    x = images()
    with_noise, without = build("unet"), build("unet", **{"baseline.noise": 0.0})
    assert with_noise.loss("generator", x, 0)["rec"] != with_noise.loss("generator", x, 0)["rec"]
    assert without.loss("generator", x, 0)["rec"] == without.loss("generator", x, 0)["rec"]
    assert torch.equal(build("unet").examine(x).residual, build("unet", **{"baseline.noise": 0.0}).examine(x).residual)


def test_a_trained_u_net_takes_noise_off() -> None:
    detector, x = build("unet", **{"baseline.width": 16}), images(1).mean(dim=(2, 3), keepdim=True).expand(8, 3, 32, 32).contiguous()
    optimiser = torch.optim.Adam(detector.parameters(), lr=1e-3)
    for _ in range(60):
        optimiser.zero_grad()
        detector.loss("generator", x, 0)["rec"].backward()
        optimiser.step()
    detector.eval()
    noise = coarse_noise(x, 0.4)
    assert (detector.reconstruct(x + noise) - x).square().mean() < 0.2 * noise.square().mean()
