"""Fields of learning: how images reach the networks, the losses, the loop."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal

from panda_core.config.ranges import check

Reconstruction = Literal["pixel", "perceptual-general", "perceptual-specific"]
Augment = Literal["none", "flip", "flip-rotate"]
Backbone = Literal["auto", "vgg19", "efficientnet-lite0"]
Precision = Literal["auto", "fp32", "bf16"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DataConfig:
    """How images reach the networks."""

    size: int = 128
    """Side S in pixels of the square the networks see; a multiple of 32 (the high latent is S/32)."""
    augment: Augment = "flip"
    """``none`` for oriented parts, ``flip`` for mirror symmetry, ``flip-rotate`` for leaves and other things without an upright."""
    validation_fraction: float = 0.15
    """Share of the normal images held out for validation and calibration; never trained on."""
    deep_low: float = 0.0
    """With ``deep_high`` one range for all images of more than 8 bits: this value and below become black. In the file's own units."""
    deep_high: float = 0.0
    """This value and above become white. 0 and 0: each image is stretched by its own darkest and brightest value."""
    minimum: int = 20
    """Fewer usable normal images than this is an error."""

    def __post_init__(self) -> None:
        check("data.size", self.size, self.size >= 32 and self.size % 32 == 0, "be a multiple of 32, at least 32")
        check("data.validation_fraction", self.validation_fraction, 0.0 < self.validation_fraction < 0.9, "lie between 0 and 0.9")
        ordered = self.deep_low < self.deep_high or self.deep_low == self.deep_high == 0.0
        check("data.deep_high", self.deep_high, ordered, f"be above data.deep_low, which is {self.deep_low:g}; or set both to 0")
        check("data.minimum", self.minimum, self.minimum >= 4, "be at least 4: some images train, some calibrate")


@dataclass(frozen=True, slots=True, kw_only=True)
class LossConfig:
    """Weights of Eq. 1 and Eq. 2 and of the terms that keep the game balanced; 1 everywhere is literal Eq. 1."""

    reconstruction: Reconstruction = "pixel"
    """L_rec: pixels (PWL), a perceptual network trained on ImageNet (PL_g), or one trained on this folder (PL_ps)."""
    backbone: Backbone = "auto"
    """Network of ``perceptual-general``: ``auto`` takes VGG19 where its weights are found, else EfficientNet-Lite0."""
    layer: Literal["conv3_3", "conv5_2"] = "conv3_3"
    """VGG19 layer of the perceptual loss *(open: "the 14th layer")*: features[14] or the 14th convolution."""
    reconstruction_weight: float = 1.0
    """Weight of L_rec."""
    pixel_weight: float = 0.0
    """Extra pixel term beside a perceptual reconstruction loss."""
    adversarial_weight: float = 1.0
    """Weight of C(x, x'), the generator's adversarial term."""
    latent_weight: float = 1.0
    """Weight of L_z, the distance of each latent to its re-encoding."""
    kl_weight: float = 0.0
    """beta of the KL term *(open)*: Eq. 1 omits it, 0 is literal."""
    attention_weight: float = 1.0
    """Attention regularisation sum_k ||f_k - c_k||^2 with moving centres (WS-DAN)."""
    feature_matching: float = 0.0
    """Weight of the distance between the critic's pooled features of x and of x'; 0 is literal."""
    label_smoothing: float = 0.0
    """Real targets become 1 - this, fake targets this."""
    critic_accuracy_cap: float = 1.0
    """The critic skips its step while its accuracy on the batch is above this; 1 never skips."""
    settling_accuracy_cap: float = 1.0
    """The same while the critic settles (``train.settling_share``)."""

    def __post_init__(self) -> None:
        for field_ in dataclasses.fields(self):
            if field_.name.endswith("weight") or field_.name == "feature_matching":
                value = getattr(self, field_.name)
                check(f"loss.{field_.name}", value, value >= 0, "not be negative")
        check("loss.label_smoothing", self.label_smoothing, 0.0 <= self.label_smoothing < 0.5, "lie in [0, 0.5)")
        for name in ("critic_accuracy_cap", "settling_accuracy_cap"):
            check(f"loss.{name}", getattr(self, name), 0.5 <= getattr(self, name) <= 1.0, "lie in [0.5, 1]")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """The loop. Steps, not epochs: a step costs the same whatever the folder's size."""

    warmup_steps: int = 0
    """Steps of plain VAE training before the adversarial game begins."""
    adversarial_steps: int = 20000
    """Steps of the game between generator and critic, after the warm-up."""
    settling_share: float = 0.0
    """Share of the adversarial steps, the last ones, in which PANDA's generator rests and its critic learns alone, from the
    reconstructions that will be scored."""
    batch: int = 15
    """Images in a step, of all devices together."""
    adversarial_batch: int = 15
    """Images of each device's part of a batch on which the adversarial game is played, at most; the critic costs most of a step.
    Several devices so play on more images, and each moves its own attention centres; the first one's are kept."""
    optimiser: Literal["adam", "adamw"] = "adam"
    """The paper has Adam."""
    generator_lr: float = 7e-6
    """Learning rate of generator and re-encoders in the game."""
    critic_lr: float = 1e-5
    """Learning rate of the critic."""
    warmup_lr: float = 3e-4
    """Learning rate of the warm-up."""
    weight_decay: float = 0.0
    """The optimiser's weight decay, for all networks."""
    ema: float = 0.0
    """Decay of the averaged generator weights used at inference; 0 switches averaging off."""
    clip: float = 0.0
    """Largest gradient norm; 0 does not clip."""
    precision: Precision = "auto"
    """``auto`` takes bf16 autocast only on a processor that computes bf16 in hardware; a GPU computes in fp32."""
    channels_last: bool = True
    """Memory order of images; a matter of speed only."""
    pretext_steps: int = 1000
    """Self-supervised steps of the specific perceptual network."""
    pretext_task: Literal["auto", "rotation", "jigsaw"] = "auto"
    """*(open)*: ``auto`` takes rotation, or jigsaw where the object has no upright (augment = flip-rotate)."""
    seed: int = 0
    """Of the split, the batches and all noise."""

    def __post_init__(self) -> None:
        for name in ("warmup_steps", "adversarial_steps"):
            check(f"train.{name}", getattr(self, name), getattr(self, name) >= 0, "not be negative")
        steps = self.warmup_steps + self.adversarial_steps
        check("train.warmup_steps + train.adversarial_steps", steps, steps >= 1, "be at least 1")
        for name in ("batch", "adversarial_batch"):
            check(f"train.{name}", getattr(self, name), getattr(self, name) >= 2, "be at least 2")
        for name in ("weight_decay", "clip", "pretext_steps", "seed"):
            check(f"train.{name}", getattr(self, name), getattr(self, name) >= 0, "not be negative")
        check("train.seed", self.seed, self.seed < 2**63, "be smaller than 2^63")
        check("train.settling_share", self.settling_share, 0.0 <= self.settling_share < 1.0, "lie in [0, 1)")
        check("train.ema", self.ema, 0.0 <= self.ema < 1.0, "lie in [0, 1)")
        for name in ("generator_lr", "critic_lr", "warmup_lr"):
            check(f"train.{name}", getattr(self, name), getattr(self, name) > 0, "be positive")
