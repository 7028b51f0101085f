"""A U-Net (Ronneberger et al. 2015, arXiv 1505.04597) that reconstructs, scored by what it changed.

Its skip connections make copying the easiest way to reconstruct, anomalies included. The usual remedy is to train it on corrupted
images: Kascenas et al. (MIDL 2022) add coarse Gaussian noise, drawn on a small grid and enlarged, and find the coarseness
decisive: fine noise can be averaged away without knowing what is normal. So here: the U-Net is to give back the clean image from
one with noise on a grid of S/8, rolled by a random offset so that the grid is no clue. At inference nothing is added.
It is fair because it is a published recipe for this very network, needs normal images only and is chosen for no data set.
``baseline.noise`` 0 gives the copying U-Net that Tang et al. compare DA-GAN with: their generator without a discriminator.

The network is that generator (`nets.encoder_decoder.UNet`), not the double convolutions of 2015. Reads ``baseline``: width, noise.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from panda_core.config import Config
from panda_core.detectors.base import Phase
from panda_core.detectors.reconstructor import Reconstructor
from panda_core.nets import losses
from panda_core.nets.encoder_decoder import UNet
from panda_core.nets.perceptual import FrozenFeatures

COARSENESS = 8
"""Pixels between two independent values of the noise (16 x 16 values on 128 pixels, as in Kascenas et al.)."""


def coarse_noise(x: Tensor, deviation: float) -> Tensor:
    """Gaussian noise for x, B x 3 x S x S: drawn every COARSENESS pixels, interpolated between, rolled by a random offset."""
    side = x.shape[-1] // COARSENESS
    grid = torch.randn(*x.shape[:2], side, side, device=x.device) * deviation
    noise = functional.interpolate(grid, size=x.shape[-2:], mode="bilinear", align_corners=False)
    down, right = torch.randint(x.shape[-1], (2,)).tolist()
    return noise.roll((down, right), dims=(2, 3))


class UnetDenoiser(Reconstructor):
    """recon = ||x - x'||, x' made of x without noise."""

    def __init__(self, config: Config, features: FrozenFeatures | None) -> None:
        super().__init__(config, features)
        self.generator = UNet(config.data.size, config.baseline.width)

    def phases(self) -> tuple[Phase, ...]:
        """A single phase for all steps."""
        return (Phase("generator", (self.generator,), self.config.train.generator_lr),)

    def loss(self, phase: str, x: Tensor, step: int) -> dict[str, Tensor]:
        """Distance of the clean image to what the network makes of the noisy one."""
        noise = self.config.baseline.noise
        given = x + coarse_noise(x, noise) if noise else x
        return {"rec": losses.root_mean_square(x - self.reconstruct(given)).mean()}
