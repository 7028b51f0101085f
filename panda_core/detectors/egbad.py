"""EGBAD (Zenati et al. 2018, arXiv 1802.06222): a BiGAN, whose encoder spares AnoGAN's search.

Literal: the discriminator sees pairs (x, E(x)) and (G(z), z), generator and encoder learn together to confuse it; the score is
alpha ||x - G(E(x))||_1 + (1 - alpha) ||f(x, E(x)) - f(G(E(x)), E(x))||_1 with alpha = 0.9 (feature_share = 0.1), f the
discriminator's last hidden layer (the paper's feature matching; its other variant takes the cross-entropy).
Open or reduced: DCGAN's widths; GroupNorm in the discriminator, whose features must mean the same for one image as in training;
dropout of 0.5 before its dense layers; averages of the weights are not kept.
Reads `baseline`: width, latent, feature_share; `train`: critic_lr, generator_lr.
"""

from __future__ import annotations

import torch
from torch import Tensor

from panda_core.config import Config
from panda_core.detectors.base import Examination, Phase
from panda_core.detectors.game import GAME_BETAS
from panda_core.detectors.state import DetectorOfParts
from panda_core.nets import losses
from panda_core.nets.latent import LatentEncoder, LatentGenerator, PairDiscriminator
from panda_core.nets.perceptual import FrozenFeatures


class Egbad(DetectorOfParts):
    """Encoder and generator against a discriminator of pairs."""

    kept = ("generator", "encoder", "critic")

    def __init__(self, config: Config, features: FrozenFeatures | None) -> None:
        super().__init__(config, features)
        width, latent, size = config.baseline.width, config.baseline.latent, config.data.size
        self.generator = LatentGenerator(width, latent, size)
        self.encoder = LatentEncoder(width, latent, size)
        self.critic = PairDiscriminator(width, latent, size)

    def phases(self) -> tuple[Phase, ...]:
        """The discriminator, then generator and encoder together."""
        train = self.config.train
        return (
            Phase("critic", (self.critic,), train.critic_lr, betas=GAME_BETAS),
            Phase("generator", (self.generator, self.encoder), train.generator_lr, betas=GAME_BETAS),
        )

    def loss(self, phase: str, x: Tensor, step: int) -> dict[str, Tensor]:
        """BiGAN's two losses; that of generator and encoder with the labels exchanged, not saturating."""
        with torch.set_grad_enabled(phase == "generator"):
            (image, encoded), (made, z) = self.pairs(x)
        of_encoder, of_generator = self.critic(image, encoded)[0], self.critic(made, z)[0]
        if phase == "critic":
            return {"critic": losses.critic(of_encoder, of_generator)}
        return {"adv": losses.critic(of_generator, of_encoder)}

    def pairs(self, x: Tensor) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """(x, E(x)) and (G(z), z) with a fresh z for each image: images B x 3 x S x S, latents B x latent."""
        z = torch.randn(len(x), self.config.baseline.latent, device=x.device)
        return (x, self.encoder(x)), (self.generator(z), z)

    @torch.no_grad()
    def examine(self, x: Tensor) -> Examination:
        """score: image distance and feature distance of x and G(E(x)), both beside E(x)."""
        self.eval()
        z = self.encoder(x)
        image = self.generator(z)
        difference = self.critic(x, z)[1] - self.critic(image, z)[1]
        return Examination.of_score(x, image, losses.mixed_l1(x - image, difference, self.config.baseline.feature_share))
