"""A plain VAE: the generator alone, scored by its reconstruction error. The smallest detector; the one to read first."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from panda_core.config import Config
from panda_core.detectors.base import Examination, Phase
from panda_core.detectors.state import load_parts, parts_state
from panda_core.nets import losses
from panda_core.nets.generator import Generator
from panda_core.nets.perceptual import FrozenFeatures


class Vae(nn.Module):
    """One phase, one error: recon = ||x - x'||_2 per image."""

    error_names: tuple[str, ...] = ("recon",)

    def __init__(self, config: Config, features: FrozenFeatures | None) -> None:
        """``features`` is not used: a VAE is trained on pixels."""
        super().__init__()
        self.config = config
        self.generator = Generator(config.generator)

    def phases(self) -> tuple[Phase, ...]:
        """A single phase for all steps."""
        return (Phase("warmup", (self.generator,), self.config.train.warmup_lr),)

    def loss(self, phase: str, x: Tensor, step: int) -> dict[str, Tensor]:
        """Reconstruction and KL terms of the evidence lower bound."""
        made = self.generator(x)
        divergence = losses.kl_divergence(made.low) + (0 if made.high is None else losses.kl_divergence(made.high))
        kl = self.config.loss.kl_weight * divergence.mean() / x[0].numel()
        return {"rec": losses.root_mean_square(x - made.image).mean(), "kl": kl}

    def after_step(self, step: int) -> None:
        """Nothing moves between steps."""

    @torch.no_grad()
    def examine(self, x: Tensor) -> Examination:
        """recon: root mean square of x - x'; residual: |x - x'|, mean over channels."""
        self.eval()
        image = self.generator(x).image
        error = (x - image).abs().float()
        return Examination(image, {"recon": losses.root_mean_square(error)}, error.mean(dim=1, keepdim=True))

    def inference_state(self) -> dict[str, Tensor]:
        """The generator."""
        return parts_state({"generator": self.generator})

    def load_inference_state(self, state: Mapping[str, Tensor]) -> None:
        """Inverse of ``inference_state``. Raises ModelError."""
        load_parts({"generator": self.generator}, state)
