"""A wide residual network of depth 10 (arXiv 1605.07146), the classifier of the self-supervised rivals."""

from __future__ import annotations

import torch
from torch import Tensor, nn

INNER_SIDE = 32
"""Side of the maps that the first block sees: the size for which the network was made."""
STEM = 16


class WideBlock(nn.Module):
    """Normalisation and ReLU before each of two convolutions, beside a 1 x 1 path: the three groups have one such block each."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.before = nn.Sequential(nn.BatchNorm2d(inputs), nn.ReLU(inplace=True))
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
        )
        self.beside = nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """B x inputs x H x W -> B x outputs x H/stride x W/stride."""
        x = self.before(x)
        out: Tensor = self.body(x) + self.beside(x)
        return out


class WideResNet(nn.Module):
    """B x 3 x S x S in [-1, 1] -> ``channels`` features of each image, float32: 4 ``width`` after a mean over all places.

    S is a multiple of 32; the first convolution, larger for larger images, brings every S to 32.
    """

    def __init__(self, width: int, size: int) -> None:
        super().__init__()
        stride = size // INNER_SIDE
        self.channels = 4 * width
        self.body = nn.Sequential(
            nn.Conv2d(3, STEM, 2 * stride + 1, stride=stride, padding=stride, bias=False),
            WideBlock(STEM, width, 1),
            WideBlock(width, 2 * width, 2),
            WideBlock(2 * width, self.channels, 2),
            nn.BatchNorm2d(self.channels),
            nn.ReLU(inplace=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        """x: B x 3 x S x S."""
        return torch.mean(self.body(x).float(), dim=(2, 3))
