"""The losses are the equations, from logits and finite at the extremes."""

from __future__ import annotations

import math

import torch
from torch.distributions import Normal, kl_divergence

from panda_core.nets import losses
from panda_core.nets.generator import Gaussian
from panda_core.nets.perceptual import build_features, perceptual_distance


def test_critic_loss_is_equation_2() -> None:
    real, fake = torch.tensor([0.3, -1.0]), torch.tensor([0.5, 2.0])
    expected = (-torch.log(torch.sigmoid(real)) - torch.log(1 - torch.sigmoid(fake))).mean()
    torch.testing.assert_close(losses.critic(real, fake), expected)


def test_losses_stay_finite_where_log_of_sigmoid_would_not() -> None:
    certain = torch.tensor([200.0])
    assert math.isfinite(float(losses.critic(-certain, certain)))
    assert math.isfinite(float(losses.adversarial(-certain)))


def test_root_mean_square_is_the_norm_scaled_by_the_number_of_elements() -> None:
    difference = torch.randn(2, 3, 8, 8)
    expected = difference.flatten(1).norm(dim=1) / math.sqrt(3 * 8 * 8)
    torch.testing.assert_close(losses.root_mean_square(difference), expected, atol=1e-4, rtol=1e-4)


def test_kl_agrees_with_torch_distributions() -> None:
    q = Gaussian(torch.randn(2, 3, 4, 4), torch.randn(2, 3, 4, 4))
    theirs = kl_divergence(Normal(q.mean, torch.exp(0.5 * q.logvar)), Normal(0.0, 1.0)).flatten(1).sum(dim=1)
    torch.testing.assert_close(losses.kl_divergence(q), theirs)


def test_latent_loss_is_zero_only_for_equal_latents() -> None:
    z = torch.randn(2, 3, 4, 4)
    assert losses.latent([(z, z)]) < 1e-3 < losses.latent([(z, z + 1)])


def test_perceptual_distance_is_zero_for_equal_images_and_local_for_a_local_change() -> None:
    features = build_features("efficientnet-lite0")
    x = torch.rand(1, 3, 64, 64)
    changed = x.clone()
    changed[:, :, :16, :16] = 0
    assert perceptual_distance(features(x), features(x)).abs().max() == 0
    away = perceptual_distance(features(x)[:1], features(changed)[:1])
    assert away[0, 0, :4, :4].mean() > 10 * away[0, 0, 12:, 12:].mean()


def test_frozen_features_stay_frozen_but_pass_gradients_to_the_image() -> None:
    features = build_features("vgg19").train()
    assert not features.training and not any(p.requires_grad for p in features.parameters())
    x = torch.rand(1, 3, 32, 32, requires_grad=True)
    features(x)[0].sum().backward()
    assert x.grad is not None and x.grad.abs().sum() > 0
