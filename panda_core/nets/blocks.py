"""Building blocks shared by the networks: down, up, residual, reparameterisation, initialisation."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from panda_core.config import Norm
from panda_core.nets.normalisation import join, normalise, normalise_and_activate


def down(inputs: int, outputs: int, norm: Norm) -> nn.Sequential:
    """B x inputs x H x W -> B x outputs x H/2 x W/2."""
    conv = nn.Conv2d(inputs, outputs, 4, stride=2, padding=1, bias=False)
    return nn.Sequential(conv, *normalise_and_activate(outputs, norm, slope=0.2))


def up(inputs: int, outputs: int, norm: Norm) -> nn.Sequential:
    """B x inputs x H x W -> B x outputs x 2H x 2W."""
    conv = nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1, bias=False)
    return nn.Sequential(conv, *normalise_and_activate(outputs, norm))


class Residual(nn.Module):
    """act(x + norm(conv(act(norm(conv(x)))))): B x C x H x W -> the same shape."""

    def __init__(self, channels: int, norm: Norm) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            *normalise_and_activate(channels, norm),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            normalise(channels, norm),
        )

    def forward(self, x: Tensor) -> Tensor:
        """B x C x H x W -> B x C x H x W."""
        *body, last = self.body
        out = x
        for layer in body:
            out = layer(out)
        return join(last, out, x)


def reparameterise(mean: Tensor, logvar: Tensor, *, sample: bool) -> Tensor:
    """z ~ N(mean, exp(logvar)) where ``sample``, else the mean (inference)."""
    if not sample:
        return mean
    # Drawn in contiguous order whatever the order of the mean: eight times as fast, and noise that does not depend on it.
    return mean + torch.randn_like(mean, memory_format=torch.contiguous_format) * torch.exp(0.5 * logvar)


def initialise(module: nn.Module) -> None:
    """DCGAN initialisation: convolutions N(0, 0.02), normalisation scales N(1, 0.02). For ``module.apply``."""
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, (nn.BatchNorm2d, nn.GroupNorm)) and module.weight is not None:
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)
