"""The perceptual network f (paper III-A, perceptual loss): frozen convolutional features of an image.

Architectures only; `panda_core.pretrained` finds their weights.
"""

from __future__ import annotations

from typing import cast

import timm
import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import vgg19

from panda_core.errors import ConfigError
from panda_core.nets.frozen import quicken

VGG_LAYERS = {"conv3_3": 14, "conv5_2": 30}
"""Index into vgg19().features of the convolution. *(open: "the 14th layer" is features[14], conv3_3, or the 14th convolution, conv5_2.)*"""
VGG_PYRAMID = (8, 17, 26)
"""ReLU2_2, ReLU3_4 and ReLU4_4: strides 2, 4 and 8, for perceptual evidence."""
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class InputScale(nn.Module):
    """x in [-1, 1] -> the mean and standard deviation that the weights were trained with."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """B x 3 x H x W -> the same shape."""
        scaled: Tensor = ((x + 1) / 2 - self.mean) / self.std
        return scaled


class FrozenFeatures(nn.Module):
    """Base of f: always in evaluation mode, never trained."""

    channels: tuple[int, ...]

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.scale = InputScale(mean, std)

    def freeze(self) -> None:
        """No gradients to the weights; gradients to x still flow."""
        self.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> FrozenFeatures:
        """Stays in evaluation mode: its batch statistics belong to its pre-training."""
        return super().train(False)


class Vgg19Features(FrozenFeatures):
    """VGG19 (paper [29]) at one or several of its layers."""

    def __init__(self, layers: tuple[int, ...]) -> None:
        super().__init__(IMAGENET_MEAN, IMAGENET_STD)
        self.layers = layers
        self.features = vgg19(weights=None).features[: max(layers) + 1]
        for module in self.features:
            if isinstance(module, nn.ReLU):
                module.inplace = False  # an in-place ReLU would overwrite the convolution output that is returned
        self.channels = tuple(next(m.out_channels for m in reversed(self.features[: n + 1]) if isinstance(m, nn.Conv2d)) for n in layers)
        self.freeze()

    def forward(self, x: Tensor) -> list[Tensor]:
        """B x 3 x H x W in [-1, 1] -> activations of the chosen layers."""
        x, out = self.scale(x), []
        for index, module in enumerate(self.features):
            x = module(x)
            if index in self.layers:
                out.append(x)
        return out


class EfficientNetLite0Features(FrozenFeatures):
    """EfficientNet-Lite0 after blocks 2, 4 and 10: strides 4, 8, 16 with 24, 40, 112 channels."""

    def __init__(self) -> None:
        super().__init__((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
        self.body = timm.create_model("tf_efficientnet_lite0", pretrained=False, features_only=True, out_indices=(1, 2, 3))
        self.body.blocks = cast(nn.Sequential, self.body.blocks)[:5]  # later blocks feed none of the three maps
        quicken(self.body)
        self.channels = (24, 40, 112)
        self.freeze()

    def forward(self, x: Tensor) -> list[Tensor]:
        """B x 3 x H x W in [-1, 1] -> three feature maps, finest first."""
        maps: list[Tensor] = self.body(self.scale(x))
        return maps


def build_features(name: str, *, layer: str = "conv3_3", pyramid: bool = False) -> FrozenFeatures:
    """f without weights. VGG19 gives one layer for the loss, or three (``pyramid``) for perceptual evidence.

    Raises ConfigError for a name that is not concrete ("auto" must have been resolved before).
    """
    if name == "efficientnet-lite0":
        return EfficientNetLite0Features()
    if name == "vgg19":
        return Vgg19Features(VGG_PYRAMID if pyramid else (VGG_LAYERS[layer],))
    raise ConfigError(f"No perceptual network '{name}'. Known: vgg19, efficientnet-lite0.")


def perceptual_distance(first: list[Tensor], second: list[Tensor], *, size: tuple[int, int] | None = None) -> Tensor:
    """||f(x) - f(x')||_2^2 at each location, mean over layers: lists of B x C_l x h_l x w_l -> B x 1 x h x w (finest layer, or ``size``).

    Features are scaled to unit length along the channels first, so that no layer outweighs the others: the square lies in [0, 4]. The
    paper's norm has no square *(our choice: a root has no finite gradient where nothing differs)*.
    """
    size = size or (first[0].shape[-2], first[0].shape[-1])
    total = None
    for a, b in zip(first, second, strict=True):
        a, b = functional.normalize(a.float(), dim=1), functional.normalize(b.float(), dim=1)
        distance = (a - b).square().sum(dim=1, keepdim=True)
        distance = (
            distance if distance.shape[-2:] == size else functional.interpolate(distance, size=size, mode="bilinear", align_corners=False)
        )
        total = distance if total is None else total + distance
    if total is None:
        raise ConfigError("The perceptual network gave no features to compare.")
    return total / len(first)
