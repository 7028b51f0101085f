"""METHOD's parts have METHOD's shapes, with every ablation switch of Table III."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from panda_core.config import CriticConfig, GeneratorConfig
from panda_core.nets.attention import attention_crop, attention_drop, pick_maps
from panda_core.nets.critic import SMALLEST_MAP, FineGrainedCritic, bilinear_attention_pooling, stage_strides
from panda_core.nets.dcgan import DcganCritic
from panda_core.nets.generator import Generator, ReEncoders

SMALL = GeneratorConfig(width=8, low_channels=4, high_channels=6)
CRITIC = CriticConfig(stages=3, width=8, attention_maps=5, filters=6, norm="group")


def test_generator_has_two_latent_levels_and_gives_back_the_image_size() -> None:
    made = Generator(SMALL)(torch.rand(2, 3, 64, 64) * 2 - 1)
    assert made.image.shape == (2, 3, 64, 64)
    assert made.image.abs().max() <= 1
    assert made.low.mean.shape == made.low.logvar.shape == (2, 4, 8, 8)
    assert made.high is not None and made.high.mean.shape == (2, 6, 2, 2)
    assert made.decoded_high is not None and made.decoded_high.shape == made.low.mean.shape


@pytest.mark.parametrize("combine", ["add", "multiply", "concat"])
def test_every_way_to_combine_the_levels_works(combine: str) -> None:
    made = Generator(replace(SMALL, combine=combine))(torch.rand(1, 3, 32, 32))  # type: ignore[arg-type]
    assert made.image.shape == (1, 3, 32, 32)


def test_without_the_high_level_only_the_low_latent_remains() -> None:
    config = replace(SMALL, high_level=False, reencode_high=False)
    made = Generator(config)(torch.rand(1, 3, 32, 32))
    assert made.high is None and made.decoded_high is None
    assert len(ReEncoders(config)(made)) == 1


@pytest.mark.parametrize(("high", "low", "count"), [(True, True, 2), (True, False, 1), (False, True, 1), (False, False, 0)])
def test_reencoders_follow_their_switches(high: bool, low: bool, count: int) -> None:
    config = replace(SMALL, reencode_high=high, reencode_low=low)
    pairs = ReEncoders(config)(Generator(config)(torch.rand(2, 3, 32, 32)))
    assert len(pairs) == count
    assert all(again.shape == first.shape for again, first in pairs)


def test_the_generator_samples_in_training_and_takes_the_mean_at_inference() -> None:
    generator, x = Generator(SMALL), torch.rand(1, 3, 32, 32)
    assert not torch.equal(generator(x).image, generator(x).image)
    generator.eval()
    assert torch.equal(generator(x).image, generator(x).image)


@pytest.mark.parametrize("size", [32, 64, 96, 128, 224, 256])
@pytest.mark.parametrize("stages", [3, 4])
def test_strides_leave_attention_at_least_seven_by_seven(size: int, stages: int) -> None:
    total = 1
    for stride in stage_strides(size, stages):
        total *= stride
    assert size // total >= SMALLEST_MAP


def test_critic_gives_attention_parts_and_the_most_discriminative_patch() -> None:
    critic = FineGrainedCritic(CRITIC, 64)
    seen = critic(torch.rand(2, 3, 64, 64))
    assert seen.logit.shape == (2,)
    assert seen.attention is not None and seen.attention.shape == (2, 5, 8, 8) and seen.attention.min() >= 0
    assert seen.parts is not None and seen.parts.shape == (2, 5, critic.backbone.channels)
    torch.testing.assert_close(seen.parts.flatten(1).norm(dim=1), torch.ones(2))
    assert seen.patch is not None and seen.patch.shape == (2, 6, 2) and int(seen.patch.max()) < 8


def test_bilinear_pooling_of_one_bright_location_picks_its_feature() -> None:
    features, attention = torch.zeros(1, 2, 3, 3), torch.zeros(1, 1, 3, 3)
    features[0, :, 1, 2], attention[0, 0, 1, 2] = torch.tensor([9.0, 0.0]), 1.0
    parts = bilinear_attention_pooling(features, attention)[0, 0]
    torch.testing.assert_close(parts, torch.tensor([1.0, 0.0]), atol=1e-4, rtol=0)


def test_the_real_resnet50_keeps_torchvision_names_so_that_its_weights_load() -> None:
    from torchvision.models import resnet50

    backbone = FineGrainedCritic(CriticConfig(), 128).backbone
    theirs = {name: value.shape for name, value in resnet50(weights=None).state_dict().items() if not name.startswith("fc.")}
    assert {name: value.shape for name, value in backbone.state_dict().items()} == theirs


def test_picked_maps_are_normalised_and_prefer_attention_mass() -> None:
    torch.manual_seed(0)
    attention = torch.rand(200, 2, 4, 4)
    attention[:, 1] *= 1e-6
    picked = pick_maps(attention)
    assert picked.amin() >= 0 and picked.amax() <= 1
    first = torch.isclose(picked[:, 0], (a := attention[:, 0]).sub(a.amin((1, 2), True)) / (a.amax((1, 2), True) - a.amin((1, 2), True)))
    assert first.all(dim=(1, 2)).float().mean() > 0.95


def test_crop_enlarges_and_drop_erases_where_attention_looks() -> None:
    x, attention = torch.rand(1, 3, 32, 32) * 0.5 + 0.5, torch.zeros(1, 1, 8, 8)
    attention[0, 0, 2:4, 2:4] = 1.0
    dropped = attention_drop(x, attention)
    assert dropped[0, :, 10:14, 10:14].abs().max() == 0 and torch.equal(dropped[0, :, 20:, 20:], x[0, :, 20:, 20:])
    x = torch.zeros(1, 3, 32, 32)
    x[0, :, 8:16, 8:16] = 1.0
    assert attention_crop(x, attention).mean() > 1.5 * x.mean()


def test_centres_move_towards_the_parts_and_lower_the_penalty() -> None:
    critic = FineGrainedCritic(CRITIC, 32)
    parts = torch.rand(3, 5, critic.backbone.channels)
    before = critic.attention_penalty(parts)
    critic.move_centres(parts)
    torch.testing.assert_close(critic.centres, 0.05 * parts.mean(dim=0))
    assert critic.attention_penalty(parts) < before


def test_dcgan_critic_gives_one_logit_an_image() -> None:
    critic = DcganCritic(CriticConfig(kind="dcgan", width=8), 64)
    assert critic(torch.rand(3, 3, 64, 64)).logit.shape == (3,)
