"""Contrastive learning (SimCLR, arXiv 2002.05709): random views of an image, and the loss that brings them together."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

SMALLEST_CROP = 0.54
"""Least share of the area that a view shows: CSI's choice, milder than SimCLR's."""
JITTER = 0.4
"""Brightness, contrast and saturation are multiplied by 1 - this .. 1 + this."""
GREY_CHANCE = 0.2
GREY_WEIGHTS = (0.299, 0.587, 0.114)


def random_view(x: Tensor) -> Tensor:
    """A crop of each image, mirrored half of the time, its colours shifted: B x 3 x S x S in [-1, 1] -> the same."""
    return _recoloured(_cropped(x))


def _cropped(x: Tensor) -> Tensor:
    count = len(x)
    side = torch.empty(count, device=x.device).uniform_(SMALLEST_CROP, 1.0).sqrt()
    centre = (1 - side)[:, None] * torch.empty(count, 2, device=x.device).uniform_(-1, 1)
    mirror = torch.where(torch.rand(count, device=x.device) < 0.5, -1.0, 1.0)
    place = torch.zeros(count, 2, 3, device=x.device)
    place[:, 0, 0], place[:, 1, 1], place[:, :, 2] = side * mirror, side, centre
    grid = functional.affine_grid(place, list(x.shape), align_corners=False)
    return functional.grid_sample(x, grid, padding_mode="reflection", align_corners=False)


def _recoloured(x: Tensor) -> Tensor:
    brightness, contrast, saturation = (1 + JITTER * (2 * torch.rand(3, len(x), 1, 1, 1, device=x.device) - 1)).unbind()
    x = (x + 1) * brightness - 1
    mean = x.mean(dim=(1, 2, 3), keepdim=True)
    x = mean + contrast * (x - mean)
    grey = (x * x.new_tensor(GREY_WEIGHTS).view(1, 3, 1, 1)).sum(dim=1, keepdim=True)
    saturation = torch.where(torch.rand(len(x), 1, 1, 1, device=x.device) < GREY_CHANCE, 0.0, saturation)
    return (grey + saturation * (x - grey)).clamp(-1, 1)


def contrastive_loss(first: Tensor, second: Tensor, *, temperature: float) -> Tensor:
    """NT-Xent: row n of both is one pair, all other rows are what it must not resemble: two n x d -> scalar."""
    z = functional.normalize(torch.cat([first, second]).float(), dim=1)
    alike = (z @ z.T).float() / temperature
    alike = alike.masked_fill(torch.eye(len(z), dtype=torch.bool, device=z.device), -torch.inf)
    partners = torch.arange(len(z), device=z.device).roll(len(first))
    return functional.cross_entropy(alike, partners)
