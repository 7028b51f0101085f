"""Networks between an image and a latent vector: what the AnoGAN family is made of, after DCGAN (arXiv 1511.06434).

Generators and encoders have batch normalisation, as there; at inference its running averages hold, so images do not see each other.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from panda_core.nets.blocks import initialise, up
from panda_core.nets.dcgan import LARGEST_WIDTH, Contraction, halvings
from panda_core.nets.normalisation import normalise

PAIR_WIDTH = 512
"""Units of the two dense layers that judge a pair (image, z): EGBAD's for z; its joint layer has twice as many."""
PAIR_DROPOUT = 0.5
"""Share of what these layers see that is left out in training."""


class LatentGenerator(nn.Module):
    """z -> image: B x latent -> B x 3 x S x S in [-1, 1]; the mirror image of `dcgan.Contraction`."""

    def __init__(self, width: int, latent: int, size: int) -> None:
        super().__init__()
        channels = [min(width * 2**n, LARGEST_WIDTH) for n in reversed(range(halvings(size)))]
        first = nn.ConvTranspose2d(latent, channels[0], size // 2 ** halvings(size), bias=False)
        self.body = nn.Sequential(
            nn.Sequential(first, normalise(channels[0], "batch"), nn.ReLU(inplace=True)),
            *(up(coarse, fine, "batch") for coarse, fine in pairwise(channels)),
            nn.ConvTranspose2d(width, 3, 4, stride=2, padding=1),
            nn.Tanh(),
        )
        self.apply(initialise)

    def forward(self, z: Tensor) -> Tensor:
        """z: B x latent."""
        image: Tensor = self.body(z[:, :, None, None])
        return image


class LatentEncoder(nn.Module):
    """Image -> z: B x 3 x S x S in [-1, 1] -> B x latent, unbounded."""

    def __init__(self, width: int, latent: int, size: int) -> None:
        super().__init__()
        body = Contraction(width, size, "batch")
        self.body = nn.Sequential(body, nn.Conv2d(body.channels, latent, body.side), nn.Flatten())
        self.apply(initialise)

    def forward(self, x: Tensor) -> Tensor:
        """x: B x 3 x S x S."""
        z: Tensor = self.body(x)
        return z


class PairDiscriminator(nn.Module):
    """BiGAN's discriminator: do image and z belong together as an image and its encoding do?"""

    def __init__(self, width: int, latent: int, size: int) -> None:
        super().__init__()
        self.of_image = Contraction(width, size, "group")
        self.of_z = nn.Sequential(nn.Linear(latent, PAIR_WIDTH), nn.LeakyReLU(0.2))
        # Without dropout the discriminator of a few hundred images is right after some steps, and encoder and generator learn nothing.
        self.forget = nn.Dropout(PAIR_DROPOUT)
        seen = self.of_image.channels * self.of_image.side**2
        self.join = nn.Sequential(nn.Linear(seen + PAIR_WIDTH, 2 * PAIR_WIDTH), nn.LeakyReLU(0.2))
        self.judge = nn.Linear(2 * PAIR_WIDTH, 1)
        self.apply(initialise)

    def forward(self, x: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        """(logit B, features B x 1024 of the last hidden layer), both float32; a high logit says (x, E(x)), a low one (G(z), z)."""
        features = self.join(self.forget(torch.cat([self.of_image(x).flatten(1), self.of_z(z)], dim=1)))
        return self.judge(self.forget(features)).flatten().float(), features.float()
