"""The generator of PANDA-GAN (paper III-A): a hierarchical VAE with a residual link between its two latent levels.

    x -> E_low^0 -> z_low (S/8) -> E_high^0 -> z_high (S/32) -> D_high^0 -> (+) z_low -> D_low^0 -> x'

E_high^1 and E_low^1 re-encode D_high^0(z_high) and x'; they exist in training only.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from panda_core.config import GeneratorConfig, Norm
from panda_core.nets.blocks import Residual, down, reparameterise, up

LOG_VARIANCE_RANGE = (-12.0, 8.0)
"""Keeps exp(logvar) finite in half precision; far outside what a trained encoder gives."""

STARTING_LOG_VARIANCE = -4.0


@dataclass(frozen=True, slots=True)
class Gaussian:
    """Diagonal normal q(z|x): mean and log-variance, both B x C x h x w."""

    mean: Tensor
    logvar: Tensor

    def draw(self, *, sample: bool) -> Tensor:
        """One z: a sample in training, the mean at inference."""
        return reparameterise(self.mean, self.logvar, sample=sample)


@dataclass(frozen=True, slots=True)
class Reconstruction:
    """All that one pass through the generator gives."""

    image: Tensor
    """x': B x 3 x S x S in [-1, 1]."""
    low: Gaussian
    """B x C_l x S/8 x S/8."""
    high: Gaussian | None
    """B x C_h x S/32 x S/32; None without the high level."""
    decoded_high: Tensor | None
    """D_high^0(z_high): B x C_l x S/8 x S/8; None without the high level."""


class Encoder(nn.Module):
    """Convolutions that end in the mean and log-variance of a latent."""

    def __init__(self, body: nn.Sequential, channels: int, latent: int) -> None:
        super().__init__()
        self.body = body
        self.head = nn.Conv2d(channels, 2 * latent, 1)
        if self.head.bias is not None:
            # Little noise at first: at a log-variance of 0 it would drown the mean, and the decoder would learn to ignore z.
            self.head.bias.data[latent:] = STARTING_LOG_VARIANCE

    def forward(self, x: Tensor) -> Gaussian:
        """B x C x H x W -> Gaussian over the latent."""
        mean, logvar = self.head(self.body(x)).chunk(2, dim=1)
        return Gaussian(mean, logvar.clamp(*LOG_VARIANCE_RANGE))


def low_encoder(width: int, latent: int, norm: Norm) -> Encoder:
    """E_low: B x 3 x S x S -> z_low at S/8."""
    first = nn.Sequential(nn.Conv2d(3, width, 4, stride=2, padding=1), nn.LeakyReLU(0.2, inplace=True))
    body = nn.Sequential(first, down(width, 2 * width, norm), down(2 * width, 4 * width, norm), Residual(4 * width, norm))
    return Encoder(body, 4 * width, latent)


def high_encoder(width: int, low: int, high: int, norm: Norm) -> Encoder:
    """E_high: B x C_l x S/8 x S/8 -> z_high at S/32."""
    return Encoder(nn.Sequential(down(low, 2 * width, norm), down(2 * width, 4 * width, norm)), 4 * width, high)


def high_decoder(width: int, low: int, high: int, norm: Norm) -> nn.Sequential:
    """D_high: B x C_h x S/32 x S/32 -> B x C_l x S/8 x S/8."""
    return nn.Sequential(up(high, 4 * width, norm), up(4 * width, 2 * width, norm), nn.Conv2d(2 * width, low, 3, padding=1))


def low_decoder(width: int, inputs: int, norm: Norm) -> nn.Sequential:
    """D_low: B x inputs x S/8 x S/8 -> x' B x 3 x S x S in [-1, 1]."""
    return nn.Sequential(
        nn.Conv2d(inputs, 4 * width, 3, padding=1),
        nn.ReLU(inplace=True),
        Residual(4 * width, norm),
        up(4 * width, 2 * width, norm),
        up(2 * width, width, norm),
        nn.ConvTranspose2d(width, 3, 4, stride=2, padding=1),
        nn.Tanh(),
    )


class Generator(nn.Module):
    """Residual dual-level VAE. Strides and channel counts are *(open)* in the paper: GeneratorConfig."""

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        width, low, high, norm = config.width, config.low_channels, config.high_channels, config.norm
        self.combine = config.combine
        self.encode_low = low_encoder(width, low, norm)
        self.encode_high = high_encoder(width, low, high, norm) if config.high_level else None
        self.decode_high = high_decoder(width, low, high, norm) if config.high_level else None
        joined = 2 * low if config.high_level and config.combine == "concat" else low
        self.decode_low = low_decoder(width, joined, norm)

    def forward(self, x: Tensor) -> Reconstruction:
        """x: B x 3 x S x S in [-1, 1], S a multiple of 32. Samples z in training mode, takes the mean in evaluation mode."""
        low = self.encode_low(x)
        z_low = low.draw(sample=self.training)
        if self.encode_high is None or self.decode_high is None:
            return Reconstruction(self.decode_low(z_low), low, None, None)
        high = self.encode_high(z_low)
        decoded = self.decode_high(high.draw(sample=self.training))
        return Reconstruction(self.decode_low(self._join(decoded, z_low)), low, high, decoded)

    def _join(self, decoded: Tensor, z_low: Tensor) -> Tensor:
        if self.combine == "add":
            return decoded + z_low
        return decoded * z_low if self.combine == "multiply" else torch.cat([decoded, z_low], dim=1)


class ReEncoders(nn.Module):
    """E_high^1 and E_low^1 (training only): z'_high from D_high^0(z_high), z'_low from x'."""

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        width, low, high, norm = config.width, config.low_channels, config.high_channels, config.norm
        self.high = high_encoder(width, low, high, norm) if config.reencode_high else None
        self.low = low_encoder(width, low, norm) if config.reencode_low else None

    def forward(self, made: Reconstruction) -> list[tuple[Tensor, Tensor]]:
        """Pairs (re-encoded mean, encoded mean) of the levels that are switched on, high first."""
        pairs = []
        if self.high is not None and made.high is not None and made.decoded_high is not None:
            pairs.append((self.high(made.decoded_high).mean, made.high.mean))
        if self.low is not None:
            pairs.append((self.low(made.image).mean, made.low.mean))
        return pairs
