"""The fine-grained critic of PANDA-GAN (paper III-B), after WS-DAN [33] and the discriminative filter bank [34].

x -> ResNet-50 -> F (B x C x h x w)
F -> attention maps A (M) -> bilinear attention pooling -> P    (parts)
F -> filter bank (1x1) -> global max pooling                    (the most discriminative patch)
(P, patch responses) -> logit; C(x) = sigmoid(logit) is the probability that x is a real, normal sample
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn
from torchvision.models import resnet

from panda_core.config import CriticConfig
from panda_core.nets.normalisation import GroupNorm, join, normalise
from panda_core.nets.pooling import MaxPool

SMALLEST_MAP = 7
"""Side of F below which attention has too little to choose from."""
STAGE_DEPTHS = (3, 4, 6, 3)
PART_SCALE = 10.0
"""P has unit length, so its entries are of order 1e-3; this brings the parts' logit into the range of the patches'."""


@dataclass(frozen=True, slots=True)
class Critique:
    """What the critic says of a batch."""

    logit: Tensor
    """B; sigmoid(logit) = C(x)."""
    attention: Tensor | None
    """B x M x h x w >= 0; None for the DCGAN critic."""
    parts: Tensor | None
    """B x M x C, sign-sqrt and L2-normalised over M*C; None for the DCGAN critic."""
    patch: Tensor | None
    """B x filters x 2: column, row in F of each filter's strongest response; None for the DCGAN critic."""
    features: Tensor
    """B x C: pooled features, for feature matching."""

    def half(self, index: int) -> Critique:
        """The first (0) or second (1) half of the batch."""

        def part(value: Tensor) -> Tensor:
            # Not by chunk, whose number of parts an exported graph would fix for one size of the batch.
            halves: Tensor = value.unflatten(0, (2, -1))
            return halves[index]

        attention, parts, patch = (None if value is None else part(value) for value in (self.attention, self.parts, self.patch))
        return Critique(part(self.logit), attention, parts, patch, part(self.features))


class Bottleneck(resnet.Bottleneck):  # type: ignore[misc]  # torchvision ships no types
    """torchvision's, with the activations left to the normalisation where that can take them."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        if isinstance(self.bn1, GroupNorm):
            self.bn1.slope = self.bn2.slope = 0.0

    def forward(self, x: Tensor) -> Tensor:
        """B x C x H x W -> B x 4 planes x H' x W'."""
        if not isinstance(self.bn1, GroupNorm):
            return cast(Tensor, super().forward(x))
        out = self.conv3(self.bn2(self.conv2(self.bn1(self.conv1(x)))))
        return join(self.bn3, out, x if self.downsample is None else self.downsample(x))


class Backbone(resnet.ResNet):  # type: ignore[misc]  # torchvision ships no types
    """torchvision's ResNet-50 up to stage 3 or 4, with strides dropped until F is at least 7 x 7 for this input size."""

    def __init__(self, config: CriticConfig, size: int) -> None:
        self.scale = config.width
        strides = stage_strides(size, config.stages)
        self.stage_strides = iter(strides[2:])
        super().__init__(Bottleneck, list(STAGE_DEPTHS), norm_layer=partial(normalise, norm=config.norm))
        if isinstance(self.bn1, GroupNorm):
            self.bn1.slope, self.relu = 0.0, nn.Identity()
        self.channels = config.width * 4 * 2 ** (config.stages - 1)
        if strides[0] == 1:
            self.conv1.stride = (1, 1)
        self.maxpool = nn.Identity() if strides[1] == 1 else MaxPool()
        if config.stages == 3:
            self.layer4 = nn.Identity()
        self.fc = nn.Identity()

    def _make_layer(self, block: type, planes: int, blocks: int, stride: int = 1, dilate: bool = False) -> nn.Sequential:
        # torchvision fixes the planes at 64..512 and the strides at 1, 2, 2, 2; both are ours to choose here.
        layer: nn.Sequential = super()._make_layer(block, planes * self.scale // 64, blocks, next(self.stage_strides, 2), dilate)
        return layer

    def forward(self, x: Tensor) -> Tensor:
        """B x 3 x S x S -> F: B x C x h x w."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        out: Tensor = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return out


def stage_strides(size: int, stages: int) -> list[int]:
    """Strides of conv1, max-pool and each stage, the latest dropped first until F is at least 7 x 7."""
    strides = [2, 2, 1, 2, 2, 2][: stages + 2]
    for index in reversed(range(len(strides))):
        total = 1
        for stride in strides:
            total *= stride
        if size // total >= SMALLEST_MAP:
            break
        strides[index] = 1
    return strides


def bilinear_attention_pooling(features: Tensor, attention: Tensor) -> Tensor:
    """f_k = pool(A_k * F): features B x C x h x w, attention B x M x h x w -> parts B x M x C.

    Sign-sqrt, then L2-normalised over M*C (WS-DAN).
    """
    area = features.shape[-2] * features.shape[-1]
    parts = torch.einsum("bmhw,bchw->bmc", attention.float(), features.float()) / area
    parts = torch.sign(parts) * torch.sqrt(parts.abs() + 1e-12)
    return nn.functional.normalize(parts.flatten(1), dim=1).view_as(parts)


class FineGrainedCritic(nn.Module):
    """FGVC critic for S x S input; S is needed to keep F at least 7 x 7."""

    centres: Tensor

    def __init__(self, config: CriticConfig, size: int) -> None:
        super().__init__()
        self.backbone = Backbone(config, size)
        channels, maps = self.backbone.channels, config.attention_maps
        self.attend = nn.Sequential(nn.Conv2d(channels, maps, 1, bias=False), normalise(maps, config.norm), nn.ReLU())
        self.filter_bank = nn.Conv2d(channels, config.filters, 1)
        self.judge_parts = nn.Linear(maps * channels, 1, bias=False)
        self.judge_patch = nn.Linear(config.filters, 1)
        self.register_buffer("centres", torch.zeros(maps, channels))

    def forward(self, x: Tensor) -> Critique:
        """x: B x 3 x S x S in [-1, 1]."""
        features = self.backbone(x)
        attention = self.attend(features)
        parts = bilinear_attention_pooling(features, attention)
        responses = self.filter_bank(features)
        peak, where = responses.flatten(2).max(dim=2)
        logit = self.judge_parts(PART_SCALE * parts.flatten(1)) + self.judge_patch(peak)
        width = features.shape[-1]
        patch = torch.stack([where % width, where // width], dim=2)
        return Critique(logit.squeeze(1).float(), attention, parts, patch, features.float().mean(dim=(2, 3)))

    def attention_penalty(self, parts: Tensor) -> Tensor:
        """sum_k ||f_k - c_k||^2, mean over the batch: parts B x M x C -> scalar."""
        return (parts - self.centres).square().sum(dim=(1, 2)).mean()

    @torch.no_grad()
    def move_centres(self, parts: Tensor, *, rate: float = 0.05) -> None:
        """c_k += rate (mean f_k - c_k); parts B x M x C of normal images."""
        self.centres += rate * (parts.mean(dim=0) - self.centres)
