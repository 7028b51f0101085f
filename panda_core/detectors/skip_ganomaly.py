"""Skip-GANomaly (Akcay, Atapour-Abarghouei, Breckon: IJCNN 2019, arXiv 1901.08954): a U-Net; the discriminator's features are the latent.

Literal: U-Net generator and DCGAN discriminator; L_adv from the discriminator's decision (weight 1), L_con = ||x - x'||_1 (40),
L_lat = ||f(x) - f(x')||_2 on the discriminator's last features (1); the score lambda L_con + (1 - lambda) L_lat with lambda 0.9.
Norms are means over elements and L2 is squared, as in the authors' code; L_con is L1 in the score, too, as in the paper (their
code squares it). That code also lets the discriminator learn from L_lat and scales scores by the extremes of the test set; neither
is in the losses of the paper, and neither is here.

The two errors carry their shares, lambda and 1 - lambda. Added as they are (``scoring.fusion = "sum"``) they are the paper's score,
and a person sees what each contributed.

Reads ``baseline``: width (64 in the paper), reconstruction_weight, latent_weight, adversarial_weight, feature_share (1 - lambda).
"""

from __future__ import annotations

import torch
from torch import Tensor

from panda_core.config import Config
from panda_core.detectors.base import Examination, Phase
from panda_core.detectors.game import critic_terms, dcgan_discriminator, game_phases
from panda_core.detectors.reconstructor import Reconstructor
from panda_core.nets import losses
from panda_core.nets.encoder_decoder import UNet
from panda_core.nets.perceptual import FrozenFeatures


class SkipGanomaly(Reconstructor):
    """recon = lambda ||x - x'||, latent = (1 - lambda) ||f(x) - f(x')||; their sum is the score."""

    error_names: tuple[str, ...] = ("recon", "latent")
    kept: tuple[str, ...] = ("generator", "critic")

    def __init__(self, config: Config, features: FrozenFeatures | None) -> None:
        super().__init__(config, features)
        self.generator = UNet(config.data.size, config.baseline.width)
        self.critic = dcgan_discriminator(config)

    def phases(self) -> tuple[Phase, ...]:
        """Discriminator and generator in turn."""
        return game_phases(self.config, self.critic, self.generator)

    def loss(self, phase: str, x: Tensor, step: int) -> dict[str, Tensor]:
        """The discriminator's cross-entropy ("critic") or the weighted L_con, L_lat and L_adv ("generator")."""
        if phase == "critic":
            with torch.no_grad():
                image = self.reconstruct(x)
            return critic_terms(self.critic.look(x)[0], self.critic.look(image)[0])
        image = self.reconstruct(x)
        weights = self.config.baseline
        logit, made = self.critic.look(image)
        with torch.no_grad():
            wanted = self.critic.look(x)[1]
        return {
            "rec": weights.reconstruction_weight * losses.mean_absolute(x - image).mean(),
            "latent": weights.latent_weight * losses.mean_square(made - wanted).mean(),
            "adv": weights.adversarial_weight * losses.adversarial(logit),
        }

    @torch.no_grad()
    def examine(self, x: Tensor) -> Examination:
        """recon and latent with their shares of the score; residual: |x - x'|, mean over channels."""
        self.eval()
        image = self.reconstruct(x)
        error, share = (x - image).abs().float(), self.config.baseline.feature_share
        distance = losses.mean_square(self.critic.look(x)[1] - self.critic.look(image)[1])
        errors = {"recon": (1 - share) * losses.mean_absolute(error), "latent": share * distance}
        return Examination(image, errors, error.mean(dim=1, keepdim=True))
