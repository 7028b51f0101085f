"""Layers of a frozen EfficientNet, as quick in bf16 on a CPU as they can be while a gradient has to pass through them to the image.

Parameters and results are those of timm's layers, and everywhere else so is the code that computes them.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from timm.layers.conv2d_same import Conv2dSame
from timm.layers.norm_act import BatchNormAct2d
from timm.layers.padding import pad_same
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from panda_core.kernels.running import run
from panda_core.nets.normalisation import has_kernels, sides


def quicken(network: nn.Module) -> None:
    """Replaces strided depthwise convolutions and batch normalisations of a timm network that is never trained."""
    for parent in list(network.modules()):
        for name, layer in list(parent.named_children()):
            if isinstance(layer, BatchNormAct2d) and isinstance(layer.act, (nn.ReLU6, nn.Identity)):
                setattr(parent, name, FrozenNorm(layer))
            elif isinstance(layer, Conv2dSame) and layer.groups == layer.in_channels == layer.out_channels and layer.bias is None:
                setattr(parent, name, StridedDepthwise(layer))


def _has_kernels_for(x: Tensor, weight: Tensor) -> bool:
    # Where no gradient is recorded images are inspected, alone as in a batch, and scores do not change for speed.
    frozen = torch.is_grad_enabled() and not weight.requires_grad
    return frozen and has_kernels(x) and x.shape[1] == len(weight)


class StridedDepthwise(nn.Module):
    """A depthwise convolution with TensorFlow's padding ("same").

    PyTorch 2.14 takes twenty to forty times as long for the gradient to its input as for the convolution (19 against 1 ms for 15 x 96 x
    65 x 65, two threads). That gradient is itself a depthwise convolution, of the gradient to the output with zeros between its values.
    """

    def __init__(self, layer: Conv2dSame) -> None:
        """Takes over the weight of ``layer``, which has as many groups as channels, no bias and a square stride."""
        super().__init__()
        self.weight = layer.weight
        self.stride = layer.stride[0]

    def forward(self, x: Tensor) -> Tensor:
        """B x C x H x W -> B x C x ceil(H / stride) x ceil(W / stride)."""
        kernel = self.weight.shape[-1]
        if not _has_kernels_for(x, self.weight):
            padded: Tensor = pad_same(x, [kernel, kernel], [self.stride, self.stride])
            return functional.conv2d(padded, self.weight, stride=self.stride, groups=len(self.weight))
        # Where one more row is padded behind than before, the same number goes before, and the kernel has a row of zeros in front.
        total = [max((-(-side // self.stride) - 1) * self.stride + kernel - side, 0) for side in x.shape[-2:]]
        padding = [-(-both // 2) for both in total]
        weight = functional.pad(self.weight, (total[1] % 2, 0, total[0] % 2, 0))
        quick: Tensor = _QuickDepthwise.apply(x, weight.to(x.dtype), self.stride, padding)
        return quick


class _QuickDepthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int, padding: list[int]) -> Tensor:
        ctx.save_for_backward(weight)
        ctx.stride, ctx.padding, ctx.size = stride, padding, x.shape[-2:]
        return functional.conv2d(x, weight, stride=stride, padding=padding, groups=len(weight))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        (weight,) = ctx.saved_tensors
        kernel = weight.shape[-2:]
        # As large as what a convolution without stride makes of x; of that, the stride keeps every other value.
        sides = [side + 2 * pad - k + 1 for side, pad, k in zip(ctx.size, ctx.padding, kernel, strict=True)]
        spread = torch.empty(
            (*gradient.shape[:2], *sides), dtype=gradient.dtype, device=gradient.device, memory_format=torch.channels_last
        ).zero_()
        spread[:, :, :: ctx.stride, :: ctx.stride] = gradient
        padding = [k - 1 - pad for k, pad in zip(kernel, ctx.padding, strict=True)]
        return functional.conv2d(spread, weight.flip(2, 3), padding=padding, groups=len(weight)), None, None, None


class FrozenNorm(nn.Module):
    """Batch normalisation with the statistics of its pre-training, and the activation behind it (ReLU6 or none)."""

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, layer: BatchNormAct2d) -> None:
        """Takes over parameters and statistics of ``layer``."""
        super().__init__()
        self.weight, self.bias, self.eps, self.act = layer.weight, layer.bias, layer.eps, layer.act
        for name, buffer in layer.named_buffers(recurse=False):
            self.register_buffer(name, buffer)

    def forward(self, x: Tensor) -> Tensor:
        """B x C x H x W -> the same shape."""
        if _has_kernels_for(x, self.weight):
            limits = (0.0, 6.0) if isinstance(self.act, nn.ReLU6) else (-math.inf, math.inf)
            quick: Tensor = _QuickNorm.apply(x, self.weight, self.bias, self.running_mean, self.running_var, self.eps, limits)
            return quick
        activated: Tensor = self.act(functional.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps))
        return activated


class _QuickNorm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, variance: Tensor, eps: float, limits: tuple[float, float]
    ) -> Tensor:
        from panda_core.kernels import layers

        scale = weight.float() * (variance.float() + eps).rsqrt()
        shift = bias.float() - mean.float() * scale
        y = torch.empty_like(x)
        run(layers.affine, *sides(x), *limits, x, scale, shift, y)
        ctx.save_for_backward(x, scale, shift)
        ctx.limits = limits
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        from panda_core.kernels import layers

        x, scale, shift = ctx.saved_tensors
        dx = torch.empty_like(x)
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        run(layers.affine_backward, *sides(x), *ctx.limits, gradient, x, scale, shift, dx)
        return dx, None, None, None, None, None, None
