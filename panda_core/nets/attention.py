"""Attention-guided augmentation of WS-DAN (paper III-B): crop to, or drop, what one attention map looks at."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

CROP_RANGE = (0.4, 0.6)
"""theta_c ~ U[0.4, 0.6]."""
DROP_RANGE = (0.2, 0.5)
"""theta_d ~ U[0.2, 0.5]."""
PADDING = 0.1
"""Share of the image's side added around the crop."""


def pick_maps(attention: Tensor) -> Tensor:
    """One map a sample, drawn with p_k in proportion to sqrt(mass of A_k), min-max normalised.

    B x M x h x w -> B x 1 x h x w in [0, 1].
    """
    mass = attention.flatten(2).sum(dim=2).clamp_min(0).sqrt() + 1e-6
    chosen = torch.multinomial(mass, 1)
    picked = attention[torch.arange(len(attention), device=attention.device), chosen.squeeze(1)].unsqueeze(1).float()
    low, high = picked.amin(dim=(2, 3), keepdim=True), picked.amax(dim=(2, 3), keepdim=True)
    return (picked - low) / (high - low).clamp_min(1e-6)


def _thresholds(count: int, bounds: tuple[float, float], like: Tensor) -> Tensor:
    return torch.empty(count, 1, 1, 1, device=like.device).uniform_(*bounds)


@torch.no_grad()
def attention_crop(x: Tensor, attention: Tensor) -> Tensor:
    """The padded bounding box of A* > theta_c of each image, resized to the full size: B x 3 x S x S -> the same shape."""
    size = x.shape[-1]
    maps = functional.interpolate(pick_maps(attention), size=size, mode="bilinear", align_corners=False)
    above = (maps >= _thresholds(len(x), CROP_RANGE, x)).squeeze(1)
    views = []
    for image, mask in zip(x, above, strict=True):
        rows, columns = torch.nonzero(mask.any(dim=1)).flatten(), torch.nonzero(mask.any(dim=0)).flatten()
        if len(rows) == 0:
            views.append(image)
            continue
        pad = round(PADDING * size)
        top, bottom = max(0, int(rows[0]) - pad), min(size, int(rows[-1]) + 1 + pad)
        left, right = max(0, int(columns[0]) - pad), min(size, int(columns[-1]) + 1 + pad)
        view = image[None, :, top:bottom, left:right]
        views.append(functional.interpolate(view, size=(size, size), mode="bilinear", align_corners=False)[0])
    return torch.stack(views)


@torch.no_grad()
def attention_drop(x: Tensor, attention: Tensor) -> Tensor:
    """Each image with A* > theta_d set to zero (mid-grey): B x 3 x S x S -> the same shape."""
    maps = functional.interpolate(pick_maps(attention), size=x.shape[-1], mode="bilinear", align_corners=False)
    return x * (maps < _thresholds(len(x), DROP_RANGE, x)).to(x.dtype)
