"""Building blocks shared by the networks: down, up, residual, reparameterisation, initialisation."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from panda_core.config import Norm
from panda_core.nets.normalisation import normalise


def down(inputs: int, outputs: int, norm: Norm) -> nn.Sequential:
    """B x inputs x H x W -> B x outputs x H/2 x W/2."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 4, stride=2, padding=1, bias=False), normalise(outputs, norm), nn.LeakyReLU(0.2, inplace=True)
    )


def up(inputs: int, outputs: int, norm: Norm) -> nn.Sequential:
    """B x inputs x H x W -> B x outputs x 2H x 2W."""
    return nn.Sequential(
        nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1, bias=False), normalise(outputs, norm), nn.ReLU(inplace=True)
    )


class Residual(nn.Module):
    """x + conv(act(norm(conv(x)))): B x C x H x W -> the same shape."""

    def __init__(self, channels: int, norm: Norm) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            normalise(channels, norm),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            normalise(channels, norm),
        )

    def forward(self, x: Tensor) -> Tensor:
        """B x C x H x W -> B x C x H x W."""
        out: Tensor = torch.relu(x + self.body(x))
        return out


def reparameterise(mean: Tensor, logvar: Tensor, *, sample: bool) -> Tensor:
    """z ~ N(mean, exp(logvar)) where ``sample``, else the mean (inference)."""
    return mean + torch.randn_like(mean) * torch.exp(0.5 * logvar) if sample else mean


def initialise(module: nn.Module) -> None:
    """DCGAN initialisation: convolutions N(0, 0.02), normalisation scales N(1, 0.02). For ``module.apply``."""
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, (nn.BatchNorm2d, nn.GroupNorm)) and module.weight is not None:
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)
