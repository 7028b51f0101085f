"""DA-GAN (Tang, Kuo, Lan, Ding, Hsu, Young: Sensors 2020, 20(12), 3336): an autoencoder against an autoencoder.

The generator G is a U-Net as in Skip-GANomaly, the discriminator D an autoencoder as in BEGAN. D does not decide; it reconstructs, and
pulls its pictures of x and of G(x) apart. Literal: L_adv = ||D(x) - D(G(x))||_2, which G lowers and D raises (weight 1);
G's ||x - G(x)||_2 (40); D's ||x - D(x)||_2 (1); the score ||x - G(x)||_2. Norms are divided by the square root of the number of
elements. Left open, there being no code of the authors: layers and widths; whether D has skip connections (here none, as in
BEGAN: with them it would copy, and L_adv would be no more than G's own loss); the moments of Adam.

Reads ``baseline``: width, latent (of D), reconstruction_weight (G's), adversarial_weight.
"""

from __future__ import annotations

import torch
from torch import Tensor

from panda_core.config import Config
from panda_core.detectors.base import Phase
from panda_core.detectors.game import game_phases
from panda_core.detectors.reconstructor import Reconstructor
from panda_core.nets import losses
from panda_core.nets.encoder_decoder import UNet, VectorAutoencoder
from panda_core.nets.perceptual import FrozenFeatures


class DaGan(Reconstructor):
    """recon = ||x - G(x)||. The discriminator is for training only."""

    def __init__(self, config: Config, features: FrozenFeatures | None) -> None:
        super().__init__(config, features)
        size, numbers = config.data.size, config.baseline
        self.generator = UNet(size, numbers.width)
        self.critic = VectorAutoencoder(size, numbers.width, numbers.latent)

    def phases(self) -> tuple[Phase, ...]:
        """Discriminator and generator in turn."""
        return game_phases(self.config, self.critic, self.generator)

    def loss(self, phase: str, x: Tensor, step: int) -> dict[str, Tensor]:
        """D's reconstruction less the weighted L_adv ("critic"), or G's weighted reconstruction and L_adv ("generator")."""
        weights = self.config.baseline
        if phase == "critic":
            with torch.no_grad():
                image = self.reconstruct(x)
            of_real = self.critic(x)
            apart = losses.root_mean_square(of_real - self.critic(image)).mean()
            return {"rec": losses.root_mean_square(x - of_real).mean(), "adv": -weights.adversarial_weight * apart}
        image = self.reconstruct(x)
        with torch.no_grad():
            of_real = self.critic(x)
        apart = losses.root_mean_square(of_real - self.critic(image)).mean()
        rec = losses.root_mean_square(x - image).mean()
        return {"rec": weights.reconstruction_weight * rec, "adv": weights.adversarial_weight * apart}
