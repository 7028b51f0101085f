"""Geometric transformations of square images, numbered: what self-supervised classifiers learn to tell apart."""

from __future__ import annotations

from itertools import product

import torch
from torch import Tensor
from torch.nn import functional

TRANSFORMATIONS = tuple(product((False, True), (-1, 0, 1), (-1, 0, 1), (0, 1, 2, 3)))
"""Mirrored or not, moved by a quarter of the side along x and along y, quarter turns: the 72 of arXiv 1805.10917."""


def transform(x: Tensor, number: int) -> Tensor:
    """x: B x C x S x S -> the same shape; what moves out of sight is replaced by the image's mirror image at its border."""
    mirrored, right, down, turns = TRANSFORMATIONS[number]
    if mirrored:
        x = x.flip(-1)
    if right or down:
        side = x.shape[-1]
        step = side // 4
        top, left = step * (1 - down), step * (1 - right)
        x = functional.pad(x, (step, step, step, step), mode="reflect")[..., top : top + side, left : left + side]
    return torch.rot90(x, turns, (-2, -1))


def transform_each(x: Tensor, numbers: Tensor) -> Tensor:
    """Image n under transformation ``numbers[n]``: B x C x S x S and B -> B x C x S x S."""
    pairs = zip(x, numbers.tolist(), strict=True)
    return torch.cat([transform(image[None], number) for image, number in pairs])
