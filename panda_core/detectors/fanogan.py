"""f-AnoGAN (Schlegl et al. 2019, Medical Image Analysis 54): a Wasserstein GAN of normal images, then an encoder into its latent space.

Literal: WGAN with gradient penalty, several critic steps for one of the generator; then both rest and the encoder learns by
izi_f, mean (x - G(E(x)))^2 + kappa mean (f(x) - f(G(E(x))))^2, which is the score, too; f the critic's last convolution.
Open or reduced: DCGAN's plain convolutions where the paper has residual blocks; GroupNorm for the critic's layer normalisation;
Adam for the encoder (RMSProp there). The first phase takes 1 - encoder_share of all steps.
Reads `baseline`: width, latent, latent_weight (kappa), gradient_penalty, generator_every, encoder_share; `train`: critic_lr,
generator_lr (encoder, too), warmup_steps and adversarial_steps (their sum).
"""

from __future__ import annotations

import torch
from torch import Tensor

from panda_core.config import Config, CriticConfig
from panda_core.detectors.base import Examination, Phase
from panda_core.detectors.state import DetectorOfParts
from panda_core.nets import losses
from panda_core.nets.dcgan import DcganCritic
from panda_core.nets.latent import LatentEncoder, LatentGenerator
from panda_core.nets.perceptual import FrozenFeatures

WASSERSTEIN_BETAS = (0.0, 0.9)
"""Adam's moments of WGAN-GP (arXiv 1704.00028)."""


class FAnoGan(DetectorOfParts):
    """Generator against critic, then the encoder alone."""

    kept = ("generator", "critic", "encoder")

    def __init__(self, config: Config, features: FrozenFeatures | None) -> None:
        super().__init__(config, features)
        width, latent, size = config.baseline.width, config.baseline.latent, config.data.size
        self.generator = LatentGenerator(width, latent, size)
        self.critic = DcganCritic(CriticConfig(width=width, norm="group"), size)
        self.encoder = LatentEncoder(width, latent, size)

    def phases(self) -> tuple[Phase, ...]:
        """Critic at each step and generator at every n-th until the encoder takes over."""
        train, baseline = self.config.train, self.config.baseline
        total = train.warmup_steps + train.adversarial_steps
        # One step at least for the game: a generator that never moved has nothing to invert.
        turn = max(1, round(total * (1 - baseline.encoder_share)))
        return (
            Phase("critic", (self.critic,), train.critic_lr, stop=turn, betas=WASSERSTEIN_BETAS),
            Phase("generator", (self.generator,), train.generator_lr, stop=turn, betas=WASSERSTEIN_BETAS, every=baseline.generator_every),
            Phase("encoder", (self.encoder,), train.generator_lr, start=turn),
        )

    def loss(self, phase: str, x: Tensor, step: int) -> dict[str, Tensor]:
        """The Wasserstein game, or izi_f."""
        if phase == "encoder":
            return self._inversion_loss(x)
        z = torch.randn(len(x), self.config.baseline.latent, device=x.device)
        if phase == "generator":
            return {"adv": -self.critic(self.generator(z)).logit.mean()}
        with torch.no_grad():
            fake = self.generator(z)
        distance = self.critic(x).logit.mean() - self.critic(fake).logit.mean()
        penalty = losses.gradient_penalty(lambda image: self.critic(image).logit, x, fake)
        return {"critic": -distance, "penalty": self.config.baseline.gradient_penalty * penalty, "_wasserstein": distance.detach()}

    def _inversion_loss(self, x: Tensor) -> dict[str, Tensor]:
        # In evaluation mode the running averages of the generator's batch normalisation rest, too.
        self.generator.eval()
        image = self.generator(self.encoder(x))
        residual, of_features = self._distances(x, image)
        return {"residual": residual.mean(), "features": self.config.baseline.latent_weight * of_features.mean()}

    def _distances(self, x: Tensor, image: Tensor) -> tuple[Tensor, Tensor]:
        """Mean squared difference of the pixels and of the critic's features: B each."""
        differences = x - image, self.critic.body(x).float() - self.critic.body(image).float()
        of_pixels, of_features = (part.float().square().flatten(1).mean(dim=1) for part in differences)
        return of_pixels, of_features

    @torch.no_grad()
    def examine(self, x: Tensor) -> Examination:
        """score: residual + kappa * feature distance of x and G(E(x))."""
        self.eval()
        image = self.generator(self.encoder(x))
        residual, of_features = self._distances(x, image)
        return Examination.of_score(x, image, residual + self.config.baseline.latent_weight * of_features)
