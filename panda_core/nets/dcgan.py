"""The DCGAN critic (paper [23], as in GANomaly): the ablation in Table III's last row."""

from __future__ import annotations

import math

from torch import Tensor, nn

from panda_core.config import CriticConfig
from panda_core.nets.blocks import down, initialise
from panda_core.nets.critic import Critique


class DcganCritic(nn.Module):
    """Strided convolutions down to 4 x 4, then one logit."""

    def __init__(self, config: CriticConfig, size: int) -> None:
        super().__init__()
        halvings = int(math.log2(size // 4))
        width = config.width
        layers: list[nn.Module] = [nn.Conv2d(3, width, 4, stride=2, padding=1), nn.LeakyReLU(0.2, inplace=True)]
        for _ in range(halvings - 1):
            layers.append(down(width, min(2 * width, 512), config.norm))
            width = min(2 * width, 512)
        self.body = nn.Sequential(*layers)
        self.judge = nn.Conv2d(width, 1, size // 2**halvings)
        self.apply(initialise)

    def forward(self, x: Tensor) -> Critique:
        """x: B x 3 x S x S in [-1, 1]."""
        features = self.body(x)
        return Critique(self.judge(features).flatten().float(), None, None, None, features.float().mean(dim=(2, 3)))
