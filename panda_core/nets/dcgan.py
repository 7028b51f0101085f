"""The DCGAN critic (paper [23], as in GANomaly): the ablation in Table III's last row, and the pyramid that encoders share with it."""

from __future__ import annotations

import math
from itertools import pairwise

from torch import Tensor, nn

from panda_core.config import CriticConfig, Norm
from panda_core.nets.blocks import down, initialise
from panda_core.nets.critic import Critique

WIDEST = 512
"""Channels double where the side halves, up to this many."""


def pyramid_channels(size: int, width: int) -> list[int]:
    """Channels after each halving of the side S, down to a last side of 4 to 7 (4 where S is a power of two)."""
    return [min(width * 2**halving, WIDEST) for halving in range(int(math.log2(size // 4)))]


def pyramid(size: int, width: int, norm: Norm) -> nn.Sequential:
    """Strided convolutions, B x 3 x S x S -> B x C x s x s with C the last of ``pyramid_channels`` and s of 4 to 7."""
    channels = pyramid_channels(size, width)
    first = [nn.Conv2d(3, channels[0], 4, stride=2, padding=1), nn.LeakyReLU(0.2, inplace=True)]
    return nn.Sequential(*first, *(down(inputs, outputs, norm) for inputs, outputs in pairwise(channels)))


class DcganCritic(nn.Module):
    """Strided convolutions down to 4 x 4, then one logit."""

    def __init__(self, config: CriticConfig, size: int) -> None:
        super().__init__()
        channels = pyramid_channels(size, config.width)
        self.body = pyramid(size, config.width, config.norm)
        self.judge = nn.Conv2d(channels[-1], 1, size // 2 ** len(channels))
        self.apply(initialise)

    def forward(self, x: Tensor) -> Critique:
        """x: B x 3 x S x S in [-1, 1]."""
        logit, features = self.look(x)
        return Critique(logit, None, None, None, features.mean(dim=(2, 3)))

    def look(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(logit: B, features before it: B x C x s x s), float32: GANomaly compares features place by place."""
        features = self.body(x)
        return self.judge(features).flatten().float(), features.float()
