"""Normalisation layers, and a group normalisation that is quick where PyTorch's is slow.

PyTorch 2.14 normalises bf16 images in channels_last order on a CPU with a backward pass five to ten times slower than in contiguous
order, which took half of a training step. `GroupNorm` has its own kernels for that, with the activation behind it; everywhere else it is
PyTorch's own.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from panda_core.config import Norm
from panda_core.kernels.running import run


def normalise(channels: int, norm: Norm) -> nn.Module:
    """A normalisation layer for ``channels`` feature maps."""
    if norm == "batch":
        return nn.BatchNorm2d(channels)
    # At least 8 channels a group: with fewer, a group on a 1 x 1 map would normalise its only values away.
    return GroupNorm(math.gcd(channels, max(1, channels // 8)), channels)


def normalise_and_activate(channels: int, norm: Norm, slope: float = 0.0) -> tuple[nn.Module, nn.Module]:
    """The same with a LeakyReLU (ReLU for slope 0): two layers, of which the second may have nothing left to do.

    It is there all the same, because weights are stored under the numbers of the layers.
    """
    layer = normalise(channels, norm)
    if isinstance(layer, GroupNorm):
        layer.slope = slope
        return layer, nn.Identity()
    return layer, nn.LeakyReLU(slope, inplace=True) if slope else nn.ReLU(inplace=True)


class GroupNorm(nn.GroupNorm):
    """``nn.GroupNorm``, with the same parameters and, but for rounding, the same results; then LeakyReLU of ``slope`` (1: none)."""

    def __init__(self, num_groups: int, num_channels: int, *, slope: float = 1.0) -> None:
        super().__init__(num_groups, num_channels)
        self.slope = float(slope)

    def forward(self, input: Tensor) -> Tensor:
        """B x C x H x W -> the same shape and memory order."""
        if self.has_kernels_for(input):
            normalised: Tensor = _ChannelsLast.apply(input, self.weight, self.bias, None, self.num_groups, self.eps, self.slope)
            return normalised
        plain = super().forward(input)
        return plain if self.slope == 1 else functional.leaky_relu_(plain, self.slope) if self.slope else functional.relu_(plain)

    def has_kernels_for(self, x: Tensor) -> bool:
        """Not at inference, which takes the same forward pass wherever it runs."""
        fits = x.shape[1:2] == (self.num_channels,) and self.weight.dtype == self.bias.dtype == torch.float32
        return has_kernels(x) and fits and (self.training or torch.is_grad_enabled())


def has_kernels(x: Tensor) -> bool:
    """Whether it is bf16 in channels_last order on a CPU, where PyTorch is slow, above all at gradients."""
    return x.device.type == "cpu" and x.dtype == torch.bfloat16 and x.is_contiguous(memory_format=torch.channels_last)


def join(norm: nn.Module, x: Tensor, shortcut: Tensor) -> Tensor:
    """relu(norm(x) + shortcut), the end of a residual block: B x C x H x W both -> the same shape."""
    alike = has_kernels(shortcut) and shortcut.shape == x.shape
    if alike and isinstance(norm, GroupNorm) and norm.slope == 1 and norm.has_kernels_for(x):
        joined: Tensor = _ChannelsLast.apply(x, norm.weight, norm.bias, shortcut, norm.num_groups, norm.eps, 0.0)
        return joined
    return functional.relu_(norm(x) + shortcut)


class _ChannelsLast(torch.autograd.Function):
    """Group normalisation, shortcut and activation of B x C x H x W by `panda_core.kernels`."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, shortcut: Tensor | None, groups: int, eps: float, slope: float
    ) -> Tensor:
        from panda_core.kernels import layers  # late, because it takes half a second and only trainings in bf16 need it

        y, statistics = torch.empty_like(x), torch.empty(2, len(x), groups, dtype=torch.float32, device=x.device)
        added = 0 if shortcut is None else shortcut
        run(layers.group_norm, *sides(x), groups, slope, eps, x, weight, bias, y, statistics, added)
        ctx.save_for_backward(x, weight, bias, statistics, None if shortcut is None else y)
        ctx.slope = slope
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        from panda_core.kernels import layers

        x, weight, bias, statistics, y = ctx.saved_tensors
        dx, of_layer = torch.empty_like(x), torch.empty(2, *x.shape[:2], dtype=torch.float32, device=x.device)
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        dshortcut = None if y is None else torch.empty_like(x)
        joined = (0, 0) if dshortcut is None else (y, dshortcut)
        layer = weight, bias, statistics
        run(layers.group_norm_backward, *sides(x), statistics.shape[2], ctx.slope, gradient, x, *layer, dx, of_layer, *joined)
        dweight, dbias = of_layer.sum(1)
        return dx, dweight, dbias, dshortcut, None, None, None


def sides(x: Tensor) -> tuple[int, int, int]:
    """B x C x H x W -> images, pixels, channels."""
    count, channels, height, width = x.shape
    return count, height * width, channels
