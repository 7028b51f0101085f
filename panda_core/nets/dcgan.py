"""The DCGAN critic (paper [23], as in GANomaly): the ablation in Table III's last row, and the pyramid that encoders share with it."""

from __future__ import annotations

import math

from torch import Tensor, nn

from panda_core.config import CriticConfig, Norm
from panda_core.nets.blocks import down, initialise
from panda_core.nets.critic import Critique

LARGEST_WIDTH = 512
"""Channels double with each halving of the side, up to this many."""


def halvings(size: int) -> int:
    """How often a side of ``size`` pixels is halved: to 4, or to 5..7 where it is no power of two."""
    return int(math.log2(size // 4))


class Contraction(nn.Sequential):
    """Strided convolutions: B x 3 x S x S -> B x ``channels`` x ``side`` x ``side``."""

    def __init__(self, width: int, size: int, norm: Norm) -> None:
        self.channels, self.side = width, size // 2 ** halvings(size)
        layers: list[nn.Module] = [nn.Conv2d(3, width, 4, stride=2, padding=1), nn.LeakyReLU(0.2, inplace=True)]
        for _ in range(halvings(size) - 1):
            layers.append(down(self.channels, min(2 * self.channels, LARGEST_WIDTH), norm))
            self.channels = min(2 * self.channels, LARGEST_WIDTH)
        super().__init__(*layers)


class DcganCritic(nn.Module):
    """Strided convolutions down to 4 x 4, then one logit."""

    def __init__(self, config: CriticConfig, size: int) -> None:
        super().__init__()
        self.body = Contraction(config.width, size, config.norm)
        self.judge = nn.Conv2d(self.body.channels, 1, self.body.side)
        self.apply(initialise)

    def forward(self, x: Tensor) -> Critique:
        """x: B x 3 x S x S in [-1, 1]."""
        logit, features = self.look(x)
        return Critique(logit, None, None, None, features.mean(dim=(2, 3)))

    def look(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(logit: B, features before it: B x C x s x s), float32: GANomaly compares features place by place."""
        features = self.body(x)
        return self.judge(features).flatten().float(), features.float()
