"""Normalisation layers, and a group normalisation that is quick where PyTorch's is slow.

PyTorch 2.14 normalises bf16 images in channels_last order on a CPU with a backward pass five to ten times slower than in contiguous
order, which took half of a training step. `GroupNorm` computes the same from sums over the pixels; everywhere else it is PyTorch's own.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from panda_core.config import Norm

LARGE_MAP = 1024
"""Pixels from which PyTorch's own forward pass is quick in channels_last order, too."""


def normalise(channels: int, norm: Norm) -> nn.Module:
    """A normalisation layer for ``channels`` feature maps."""
    if norm == "batch":
        return nn.BatchNorm2d(channels)
    # At least 8 channels a group: with fewer, a group on a 1 x 1 map would normalise its only values away.
    return GroupNorm(math.gcd(channels, max(1, channels // 8)), channels)


class GroupNorm(nn.GroupNorm):
    """``nn.GroupNorm``, with the same parameters and, but for rounding, the same results."""

    def forward(self, input: Tensor) -> Tensor:
        """B x C x H x W -> the same shape and memory order."""
        slow = input.device.type == "cpu" and input.dtype == torch.bfloat16 and input.is_contiguous(memory_format=torch.channels_last)
        if not slow or not torch.is_grad_enabled():
            return super().forward(input)
        normalised: Tensor = _ChannelsLast.apply(input, self.weight, self.bias, self.num_groups, self.eps)
        return normalised


class _ChannelsLast(torch.autograd.Function):
    """Group normalisation of B x C x H x W in channels_last order: as B x HW x C, whose sums over pixels are sums of rows."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, groups: int, eps: float) -> Tensor:
        count, channels, height, width = x.shape
        if height * width >= LARGE_MAP:
            y, mean, rstd = torch.native_group_norm(x, weight, bias, count, channels, height * width, groups, eps)
            mean, rstd = mean.float(), rstd.float()
        else:
            rows = _rows(x).float()
            mean = _grouped(rows.sum(1), groups) / (rows.shape[1] * channels // groups)
            square = _grouped(rows.square().sum(1), groups) / (rows.shape[1] * channels // groups)
            rstd = ((square - mean.square()).clamp_min(0) + eps).rsqrt()
            scale = _spread(rstd, channels) * weight
            shift = bias - _spread(mean, channels) * scale
            y = torch.empty_like(x)  # and not a view of the rows, which what follows could not change in place
            _rows(y).copy_((rows * scale[:, None]).add_(shift[:, None]))
        ctx.save_for_backward(x, weight, mean, rstd)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, rstd = ctx.saved_tensors
        channels, groups = x.shape[1], mean.shape[1]
        rows, gradients = _rows(x).float(), _rows(gradient).float()
        total, product = gradients.sum(1), (gradients * rows).sum(1)
        # y = weight * (x - mean) * rstd + bias; mean and rstd depend on every x of their group.
        size = rows.shape[1] * channels // groups
        along = (_grouped(total * weight, groups) * mean - _grouped(product * weight, groups)) * rstd.pow(3) / size
        constant = -along * mean - _grouped(total * weight, groups) * rstd / size
        through = gradients.mul_((_spread(rstd, channels) * weight)[:, None])
        through.addcmul_(rows, _spread(along, channels)[:, None]).add_(_spread(constant, channels)[:, None])
        of_weight = ((product - total * _spread(mean, channels)) * _spread(rstd, channels)).sum(0)
        return _images(through.to(x.dtype), x.shape), of_weight.to(weight.dtype), total.sum(0).to(weight.dtype), None, None


def _rows(x: Tensor) -> Tensor:
    """B x C x H x W -> B x HW x C; a view in channels_last order."""
    return x.permute(0, 2, 3, 1).flatten(1, 2)


def _images(rows: Tensor, shape: torch.Size) -> Tensor:
    """Inverse of `_rows`."""
    count, channels, height, width = shape
    return rows.view(count, height, width, channels).permute(0, 3, 1, 2)


def _grouped(values: Tensor, groups: int) -> Tensor:
    """B x C -> B x groups, summed."""
    return values.view(len(values), groups, -1).sum(2)


def _spread(values: Tensor, channels: int) -> Tensor:
    """B x groups -> B x C."""
    spread: Tensor = values.repeat_interleave(channels // values.shape[1], dim=1)
    return spread
