"""The detectors by name, and how one is built from a configuration."""

from __future__ import annotations

from typing import TypeAlias

from torch import Tensor

from panda_core.config import Config
from panda_core.detectors.anogan import AnoGan
from panda_core.detectors.base import Detector, Examination, Phase
from panda_core.detectors.csi import Csi
from panda_core.detectors.da_gan import DaGan
from panda_core.detectors.dadugt import Dadugt
from panda_core.detectors.egbad import Egbad
from panda_core.detectors.fanogan import FAnoGan
from panda_core.detectors.ganomaly import Ganomaly
from panda_core.detectors.panda import Panda
from panda_core.detectors.reconstructor import Reconstructor
from panda_core.detectors.skip_ganomaly import SkipGanomaly
from panda_core.detectors.unet import UnetDenoiser
from panda_core.detectors.vae import Vae
from panda_core.errors import ConfigError
from panda_core.nets.perceptual import FrozenFeatures, build_features
from panda_core.pretrained import load_imagenet, load_specific, resolve_backbone

__all__ = ["DETECTORS", "Detector", "Examination", "Phase", "build_detector"]

AnyDetector: TypeAlias = Panda | Reconstructor | AnoGan | FAnoGan | Egbad | Dadugt | Csi

DETECTORS: dict[str, type[AnyDetector]] = {
    "panda": Panda,
    "vae": Vae,
    "anogan": AnoGan,
    "f-anogan": FAnoGan,
    "egbad": Egbad,
    "ganomaly": Ganomaly,
    "skip-ganomaly": SkipGanomaly,
    "da-gan": DaGan,
    "unet": UnetDenoiser,
    "dadugt": Dadugt,
    "csi": Csi,
}


def build_detector(config: Config, *, pretrained: bool, specific: dict[str, Tensor] | None = None) -> AnyDetector:
    """The configured detector with random weights.

    ``pretrained`` loads the perceptual network's weights (training); without it, all weights follow by
    ``load_inference_state``. ``specific`` are self-supervised VGG19 weights for ``perceptual-specific``.

    Raises ConfigError for an unknown detector, WeightsError where pre-trained weights are absent.
    """
    if config.detector not in DETECTORS:
        raise ConfigError(f"No detector '{config.detector}'. Known: {', '.join(DETECTORS)}.")
    return DETECTORS[config.detector](config, _loss_features(config, pretrained=pretrained, specific=specific))


def _loss_features(config: Config, *, pretrained: bool, specific: dict[str, Tensor] | None) -> FrozenFeatures | None:
    if config.detector != "panda" or config.loss.reconstruction == "pixel":
        return None
    if config.loss.reconstruction == "perceptual-specific":
        features = build_features("vgg19", layer=config.loss.layer)
        if pretrained:
            if specific is None:
                raise ConfigError("loss.reconstruction = perceptual-specific needs self-supervised weights. `panda train` makes them.")
            load_specific(features, specific)
        return features
    name = resolve_backbone(config.loss.backbone)
    features = build_features(name, layer=config.loss.layer)
    if pretrained:
        load_imagenet(features, name)
    return features
