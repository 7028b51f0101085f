"""Max-pooling that is quick in bf16 on a CPU."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from panda_core.kernels.running import run
from panda_core.nets.normalisation import has_kernels


class MaxPool(nn.Module):
    """ResNet's: 3 x 3, stride 2, padding 1. The results are PyTorch's."""

    def forward(self, x: Tensor) -> Tensor:
        """B x C x H x W -> B x C x ceil(H / 2) x ceil(W / 2)."""
        if has_kernels(x) and torch.is_grad_enabled():
            quick: Tensor = _ChannelsLast.apply(x)
            return quick
        return functional.max_pool2d(x, 3, stride=2, padding=1)


class _ChannelsLast(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        from panda_core.kernels import layers

        count, channels, height, width = x.shape
        shape = count, channels, (height + 1) // 2, (width + 1) // 2
        y = torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
        places = torch.empty(shape, dtype=torch.uint8, device=x.device, memory_format=torch.channels_last)
        run(layers.max_pool, count, height, width, channels, x, y, places)
        ctx.save_for_backward(places)
        ctx.size = height, width
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        from panda_core.kernels import layers

        (places,) = ctx.saved_tensors
        (count, channels), size = gradient.shape[:2], ctx.size
        dx = torch.empty((count, channels, *size), dtype=gradient.dtype, device=gradient.device, memory_format=torch.channels_last)
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        run(layers.max_pool_backward, count, *size, channels, gradient, places, dx)
        return dx
