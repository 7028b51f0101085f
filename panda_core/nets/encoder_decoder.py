"""Networks that encode and decode an image, of the systems PANDA is compared with: one through a vector z, one with skip connections.

All have batch normalisation, as in the papers they come from, and DCGAN's initialisation.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from panda_core.nets.blocks import down, initialise, up
from panda_core.nets.latent import LatentEncoder, LatentGenerator

DEEPEST_WIDTH = 8
"""The U-Net's layers have at most this many times its first layer's channels."""


class VectorAutoencoder(nn.Module):
    """x -> z -> x'; ``encode`` and ``decode`` are there to be used alone."""

    def __init__(self, size: int, width: int, latent: int) -> None:
        super().__init__()
        self.encode = LatentEncoder(width, latent, size)
        self.decode = LatentGenerator(width, latent, size)

    def forward(self, x: Tensor) -> Tensor:
        """B x 3 x S x S -> x' of the same shape, in [-1, 1]."""
        image: Tensor = self.decode(self.encode(x))
        return image


class UNet(nn.Module):
    """An autoencoder each of whose decoder layers also sees the encoder layer of its side (Ronneberger et al. 2015).

    As in Skip-GANomaly: strided 4 x 4 convolutions instead of pooling, down to 1 x 1 where S is a power of two (else to an odd
    side). The innermost layer has no normalisation: on a 1 x 1 map, few images are no statistics.
    """

    def __init__(self, size: int, width: int) -> None:
        super().__init__()
        halvings = (size & -size).bit_length() - 1
        channels = [min(width * 2**halving, DEEPEST_WIDTH * width) for halving in range(halvings)]
        first = nn.Sequential(nn.Conv2d(3, width, 4, stride=2, padding=1), nn.LeakyReLU(0.2, inplace=True))
        inner = [down(inputs, outputs, "batch") for inputs, outputs in pairwise(channels[:-1])]
        last = nn.Sequential(nn.Conv2d(channels[-2], channels[-1], 4, stride=2, padding=1), nn.ReLU(inplace=True))
        self.downs = nn.ModuleList([first, *inner, last])
        joined = [channels[-1], *(2 * each for each in channels[-2:0:-1])]
        self.ups = nn.ModuleList(up(inputs, outputs, "batch") for inputs, outputs in zip(joined, channels[-2::-1], strict=True))
        self.paint = nn.Sequential(nn.ConvTranspose2d(2 * width, 3, 4, stride=2, padding=1), nn.Tanh())
        self.apply(initialise)

    def forward(self, x: Tensor) -> Tensor:
        """B x 3 x S x S in [-1, 1], S a multiple of 32 -> x' of the same shape."""
        seen: list[Tensor] = []
        for layer in self.downs:
            x = layer(x)
            seen.append(x)
        x = seen.pop()
        for layer in self.ups:
            x = torch.cat([layer(x), seen.pop()], dim=1)
        image: Tensor = self.paint(x)
        return image
