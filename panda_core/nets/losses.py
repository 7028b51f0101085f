"""Losses: tensors in, scalar out. No weights, no optimisers."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from panda_core.nets.generator import Gaussian


def root_mean_square(difference: Tensor) -> Tensor:
    """||d||_2 / sqrt(number of elements) of each sample: B x ... -> B. The Euclidean norm of Eq. 1, made independent of image size."""
    return difference.float().flatten(1).square().mean(dim=1).add(1e-8).sqrt()


def mean_absolute(difference: Tensor) -> Tensor:
    """||d||_1 / number of elements of each sample: B x ... -> B."""
    return difference.float().flatten(1).abs().mean(dim=1)


def mean_square(difference: Tensor) -> Tensor:
    """||d||_2^2 / number of elements of each sample: B x ... -> B. What the code of GANomaly's authors makes of an L2 distance."""
    return difference.float().flatten(1).square().mean(dim=1)


def adversarial(critic_logit_fake: Tensor) -> Tensor:
    """C(x, x') of Eq. 1, non-saturating: -log C(x'), from logits B -> scalar."""
    return functional.softplus(-critic_logit_fake).mean()


def critic(logit_real: Tensor, logit_fake: Tensor, *, smoothing: float = 0.0) -> Tensor:
    """Eq. 2, L_C = -log C(x) - log(1 - C(x')), from logits; ``smoothing`` moves the targets to 1 - s and s."""
    real = functional.binary_cross_entropy_with_logits(logit_real, torch.full_like(logit_real, 1.0 - smoothing))
    fake = functional.binary_cross_entropy_with_logits(logit_fake, torch.full_like(logit_fake, smoothing))
    return real + fake


def latent(pairs: list[tuple[Tensor, Tensor]]) -> Tensor:
    """sum_i ||E_i^1 - E_i^0||_2 (Eq. 1), each norm divided by sqrt(number of elements), mean over the batch."""
    return torch.stack([root_mean_square(again - first).mean() for again, first in pairs]).sum()


def kl_divergence(q: Gaussian) -> Tensor:
    """KL(q(z|x) || N(0, I)) of each sample, summed over the latent: Gaussian of B x C x h x w -> B."""
    mean, logvar = q.mean.float(), q.logvar.float()
    return 0.5 * (mean.square() + logvar.exp() - 1.0 - logvar).flatten(1).sum(dim=1)


def gradient_penalty(critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor) -> Tensor:
    """E (||grad C||_2 - 1)^2 at random points between real and generated images (arXiv 1704.00028): two B x 3 x S x S -> scalar.

    Always in float32: the gradient of a gradient is too small a number for half precision.
    """
    with torch.autocast(real.device.type, enabled=False):
        share = torch.rand(len(real), 1, 1, 1, device=real.device)
        between = torch.lerp(real.float(), fake.detach().float(), share).requires_grad_()
        (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
        excess: Tensor = gradient.flatten(1).norm(dim=1) - 1
        return excess.square().mean()


def mixed_l1(image: Tensor, features: Tensor, share: float) -> Tensor:
    """(1 - share) ||image||_1 + share ||features||_1 of two differences, B x ... each -> B, divided by the number of pixel values.

    AnoGAN's residual and discrimination loss, and EGBAD's score: sums over all elements, as there; the common divisor keeps
    their ratio and makes the numbers comparable across image sizes.
    """
    of_image, of_features = (part.float().abs().flatten(1).sum(dim=1) for part in (image, features))
    return ((1 - share) * of_image + share * of_features) / image[0].numel()
