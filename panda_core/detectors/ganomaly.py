"""GANomaly (Akcay, Atapour-Abarghouei, Breckon: ACCV 2018, arXiv 1805.06725): encode, decode, encode again.

Literal: the three sub-networks; losses L_adv = ||f(x) - f(x')||_2 on the discriminator's features (weight 1), L_con = ||x - x'||_1
(50), L_enc = ||z - z'||_2 (1); the score ||z - z'||_1. Norms are means over elements and L2 is squared, as in the authors' code,
for which the weights were found. That code forgets to switch to evaluation mode, so its scores depend on the other images of the
batch; here they do not. It also draws a new discriminator whenever the old one has won; that is in no paper and not here.

Reads ``baseline``: width (64 in the paper), latent, reconstruction_weight, latent_weight, adversarial_weight.
"""

from __future__ import annotations

import torch
from torch import Tensor

from panda_core.config import Config
from panda_core.detectors.base import Examination, Phase
from panda_core.detectors.game import critic_terms, dcgan_discriminator, game_phases
from panda_core.detectors.reconstructor import Reconstructor
from panda_core.nets import losses
from panda_core.nets.encoder_decoder import VectorAutoencoder
from panda_core.nets.latent import LatentEncoder
from panda_core.nets.perceptual import FrozenFeatures


class Ganomaly(Reconstructor):
    """The score is latent = ||z - z'||; recon = ||x - x'|| is reported beside it. The discriminator is for training only."""

    error_names: tuple[str, ...] = ("latent", "recon")
    unscored: tuple[str, ...] = ("recon",)
    kept: tuple[str, ...] = ("generator", "encode_again")
    generator: VectorAutoencoder

    def __init__(self, config: Config, features: FrozenFeatures | None) -> None:
        super().__init__(config, features)
        size, numbers = config.data.size, config.baseline
        self.generator = VectorAutoencoder(size, numbers.width, numbers.latent)
        self.encode_again = LatentEncoder(numbers.width, numbers.latent, size)
        self.critic = dcgan_discriminator(config)

    def phases(self) -> tuple[Phase, ...]:
        """Discriminator and generator in turn; the second encoder learns with the generator."""
        return game_phases(self.config, self.critic, self.generator, self.encode_again)

    def loss(self, phase: str, x: Tensor, step: int) -> dict[str, Tensor]:
        """The discriminator's cross-entropy ("critic") or the weighted L_con, L_enc and L_adv ("generator")."""
        if phase == "critic":
            with torch.no_grad():
                image = self.reconstruct(x)
            return critic_terms(self.critic.look(x)[0], self.critic.look(image)[0])
        z, image, again = self._pass(x)
        weights = self.config.baseline
        with torch.no_grad():
            wanted = self.critic.look(x)[1]
        return {
            "rec": weights.reconstruction_weight * losses.mean_absolute(x - image).mean(),
            "latent": weights.latent_weight * losses.mean_square(again - z).mean(),
            "adv": weights.adversarial_weight * losses.mean_square(self.critic.look(image)[1] - wanted).mean(),
        }

    def _pass(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """z, x' and z' of a batch."""
        z = self.generator.encode(x)
        image = self.generator.decode(z)
        return z, image, self.encode_again(image)

    @torch.no_grad()
    def examine(self, x: Tensor) -> Examination:
        """latent: mean |z - z'|; recon: mean |x - x'|; residual: |x - x'|, mean over channels."""
        self.eval()
        z, image, again = self._pass(x)
        error = (x - image).abs().float()
        errors = {"latent": losses.mean_absolute(again - z), "recon": losses.mean_absolute(error)}
        return Examination(image, errors, error.mean(dim=1, keepdim=True))
