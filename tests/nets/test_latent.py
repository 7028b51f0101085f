"""Networks of the rivals have their shapes at every size, and their losses say what they should."""

from __future__ import annotations

import pytest
import torch

from panda_core.nets import losses
from panda_core.nets.contrastive import contrastive_loss, random_view
from panda_core.nets.dirichlet import Answers, Dirichlets, fit_dirichlets
from panda_core.nets.latent import LatentEncoder, LatentGenerator, PairDiscriminator
from panda_core.nets.transformations import TRANSFORMATIONS, transform, transform_each
from panda_core.nets.wide import WideResNet

SIZES = (32, 64, 96, 128)


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@pytest.mark.parametrize("size", SIZES)
def test_image_to_latent_and_back_keeps_the_size(size: int) -> None:
    x = noise(2, 3, size, size)
    z = LatentEncoder(4, 7, size)(x)
    assert z.shape == (2, 7)
    made = LatentGenerator(4, 7, size)(z)
    assert made.shape == x.shape and made.abs().max() <= 1
    logit, features = PairDiscriminator(4, 7, size)(x, z)
    assert logit.shape == (2,) and features.shape == (2, 1024)


@pytest.mark.parametrize("size", SIZES)
def test_the_classifier_gives_as_many_features_at_every_size(size: int) -> None:
    assert WideResNet(4, size)(noise(2, 3, size, size)).shape == (2, 16)


def test_the_discriminator_of_pairs_looks_at_both() -> None:
    judge, x, z = PairDiscriminator(4, 7, 32), noise(2, 3, 32, 32), noise(2, 7)
    logit = judge(x, z)[0]
    assert not torch.equal(logit, judge(x, z.flip(0))[0])
    assert not torch.equal(logit, judge(x.flip(0), z)[0])


@pytest.mark.parametrize(("slope", "expected"), [(1.0, 0.0), (3.0, 4.0)])
def test_the_gradient_penalty_is_the_squared_excess_of_the_slope_over_one(slope: float, expected: float) -> None:
    direction = torch.nn.functional.normalize(noise(3 * 32 * 32), dim=0)
    penalty = losses.gradient_penalty(lambda x: slope * x.flatten(1) @ direction, noise(4, 3, 32, 32), noise(4, 3, 32, 32, seed=1))
    torch.testing.assert_close(penalty, torch.tensor(expected), atol=1e-4, rtol=1e-4)


def test_the_mixed_distance_has_the_two_sums_at_its_ends() -> None:
    image, features = noise(2, 3, 8, 8), noise(2, 5, seed=1)
    values = [losses.mixed_l1(image, features, share) * 192 for share in (0.0, 1.0, 0.5)]
    torch.testing.assert_close(values[0], image.abs().sum(dim=(1, 2, 3)))
    torch.testing.assert_close(values[1], features.abs().sum(dim=1))
    torch.testing.assert_close(values[2], (values[0] + values[1]) / 2)


@pytest.mark.parametrize("size", [32, 96])
def test_the_transformations_are_72_different_ones_and_one_is_none(size: int) -> None:
    x = noise(1, 3, size, size)
    views = [transform(x, number) for number in range(len(TRANSFORMATIONS))]
    assert len(views) == 72 and all(view.shape == x.shape for view in views)
    assert len({view.numpy().tobytes() for view in views}) == 72
    assert sum(torch.equal(view, x) for view in views) == 1


def test_each_image_gets_its_own_transformation() -> None:
    x, numbers = noise(3, 3, 32, 32), torch.tensor([5, 71, 12])
    views = transform_each(x, numbers)
    assert all(torch.equal(views[n], transform(x, int(numbers[n]))[n]) for n in range(3))


def test_the_dirichlet_of_a_large_sample_is_found() -> None:
    torch.manual_seed(0)
    true = torch.tensor([[5.0, 0.3, 1.0], [0.5, 0.5, 20.0]])
    logs = torch.distributions.Dirichlet(true.double()).sample((4000,)).clamp_min(1e-300).log()
    torch.testing.assert_close(fit_dirichlets(logs.mean(dim=0)).float(), true, rtol=0.15, atol=0.0)


def test_kinds_that_were_never_asked_stay_flat() -> None:
    torch.testing.assert_close(fit_dirichlets(Answers(6).mean_logs()), torch.ones(6, 6, dtype=torch.float64), rtol=1e-4, atol=0.0)


def test_unusual_answers_are_stranger_than_usual_ones() -> None:
    torch.manual_seed(0)
    usual = torch.distributions.Dirichlet(torch.eye(4) * 10 + 0.5)
    answers, dirichlets = Answers(4), Dirichlets(4)
    for _ in range(200):
        answers.collect(usual.sample().clamp_min(1e-9).log(), torch.arange(4))
    dirichlets.fit(answers.mean_logs())
    said = usual.sample((50,)).clamp_min(1e-9).log()
    assert dirichlets.strangeness(said).max() < dirichlets.strangeness(said.flip(1)).min()


def test_random_views_are_images_and_depend_on_the_seed_alone() -> None:
    x = noise(4, 3, 32, 32)
    torch.manual_seed(3)
    first, second = random_view(x), random_view(x)
    torch.manual_seed(3)
    assert first.shape == x.shape and first.abs().max() <= 1
    assert torch.equal(first, random_view(x)) and not torch.equal(first, second)


def test_contrast_is_least_where_partners_agree() -> None:
    z = torch.eye(6)
    assert contrastive_loss(z, z, temperature=0.5) < contrastive_loss(z, z.roll(1, 0), temperature=0.5)
