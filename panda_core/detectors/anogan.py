"""AnoGAN (Schlegl et al. 2017, arXiv 1703.05921): a DCGAN of normal images; an image is judged by the best z that a search finds.

Literal: the DCGAN game, the search by gradient from one random z, lambda = 0.1, the loss of the search as the score:
(1 - lambda) sum |x - G(z)| + lambda sum |f(x) - f(G(z))|, f the discriminator's last convolution.
Open or reduced: fewer steps of the search (the paper takes 500); Adam for it; z normal, and its start the same for every image,
so that a score can be repeated; GroupNorm in the discriminator, whose features must mean the same for one image as in training.
Reads `baseline`: width, latent, feature_share, inversion_steps, inversion_lr; `train`: critic_lr, generator_lr.
"""

from __future__ import annotations

import torch
from torch import Tensor

from panda_core.config import Config, CriticConfig
from panda_core.detectors.base import Examination, Phase
from panda_core.detectors.game import GAME_BETAS
from panda_core.detectors.state import DetectorOfParts
from panda_core.nets import losses
from panda_core.nets.dcgan import DcganCritic
from panda_core.nets.latent import LatentGenerator
from panda_core.nets.perceptual import FrozenFeatures

START_SEED = 0
"""Of the z from which every search starts."""


class AnoGan(DetectorOfParts):
    """Generator and discriminator in turn; examining is a search and needs gradients."""

    kept = ("generator", "critic")
    needs_grad = True

    def __init__(self, config: Config, features: FrozenFeatures | None) -> None:
        super().__init__(config, features)
        width, latent, size = config.baseline.width, config.baseline.latent, config.data.size
        self.generator = LatentGenerator(width, latent, size)
        self.critic = DcganCritic(CriticConfig(width=width, norm="group"), size)

    def phases(self) -> tuple[Phase, ...]:
        """Discriminator and generator in turn."""
        train = self.config.train
        return (
            Phase("critic", (self.critic,), train.critic_lr, betas=GAME_BETAS),
            Phase("generator", (self.generator,), train.generator_lr, betas=GAME_BETAS),
        )

    def loss(self, phase: str, x: Tensor, step: int) -> dict[str, Tensor]:
        """DCGAN's two losses, the generator's non-saturating."""
        z = torch.randn(len(x), self.config.baseline.latent, device=x.device)
        if phase == "generator":
            return {"adv": losses.adversarial(self.critic(self.generator(z)).logit)}
        with torch.no_grad():
            fake = self.generator(z)
        return {"critic": losses.critic(self.critic(x).logit, self.critic(fake).logit)}

    def examine(self, x: Tensor) -> Examination:
        """score: the loss where the search ends. Deterministic; in float32. Must not be called in inference mode."""
        self.eval()
        with torch.autocast(x.device.type, enabled=False):
            x = x.float()
            z = self.search(x, self.config.baseline.inversion_steps)
            with torch.no_grad():
                image = self.generator(z)
                return Examination.of_score(x, image, self._distance(x, self.critic.body(x), image))

    @torch.enable_grad()
    def search(self, x: Tensor, steps: int) -> Tensor:
        """z of each image after so many steps of Adam: B x 3 x S x S float32 -> B x latent. Images do not see each other."""
        baseline = self.config.baseline
        start = torch.randn(1, baseline.latent, generator=torch.Generator().manual_seed(START_SEED), device="cpu")
        z = start.to(x.device).repeat(len(x), 1).requires_grad_()
        optimiser = torch.optim.Adam([z], lr=baseline.inversion_lr)
        with torch.no_grad():
            wanted = self.critic.body(x)
        for _ in range(steps):
            (z.grad,) = torch.autograd.grad(self._distance(x, wanted, self.generator(z)).sum(), z)
            optimiser.step()
        return z.detach()

    def _distance(self, x: Tensor, wanted: Tensor, image: Tensor) -> Tensor:
        return losses.mixed_l1(x - image, wanted - self.critic.body(image), self.config.baseline.feature_share)
