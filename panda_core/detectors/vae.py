"""A plain VAE: the generator alone, scored by its reconstruction error. The smallest detector; the one to read first.

Reads ``generator`` and ``loss.kl_weight``, nothing of ``baseline``.
"""

from __future__ import annotations

from torch import Tensor

from panda_core.config import Config
from panda_core.detectors.base import Phase
from panda_core.detectors.reconstructor import Reconstructor
from panda_core.nets import losses
from panda_core.nets.generator import Generator
from panda_core.nets.perceptual import FrozenFeatures


class Vae(Reconstructor):
    """One phase, one error."""

    generator: Generator

    def __init__(self, config: Config, features: FrozenFeatures | None) -> None:
        super().__init__(config, features)
        self.generator = Generator(config.generator)

    def phases(self) -> tuple[Phase, ...]:
        """A single phase for all steps."""
        return (Phase("warmup", (self.generator,), self.config.train.warmup_lr),)

    def loss(self, phase: str, x: Tensor, step: int) -> dict[str, Tensor]:
        """Terms of a beta-VAE: root mean square in the place of the square, and a small weight on the KL term (``loss.kl_weight``)."""
        made = self.generator(x)
        divergence = losses.kl_divergence(made.low) + (0 if made.high is None else losses.kl_divergence(made.high))
        kl = self.config.loss.kl_weight * divergence.mean() / x[0].numel()
        return {"rec": losses.root_mean_square(x - made.image).mean(), "kl": kl}

    def reconstruct(self, x: Tensor) -> Tensor:
        """x' from the mean of z (evaluation mode) or from a sample (training mode)."""
        image: Tensor = self.generator(x).image
        return image
