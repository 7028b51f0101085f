"""Configuration: frozen, nested, strict, JSON-serialisable. Presets are data too: `panda_core.presets`.

What the paper (arXiv 2104.13702) leaves open is marked *(open)*: the value here is our choice.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal

from panda_core.errors import ConfigError
from panda_core.strict import build, dotted_names, nearest

Reconstruction = Literal["pixel", "perceptual-general", "perceptual-specific"]
Combine = Literal["add", "multiply", "concat"]
Norm = Literal["batch", "group"]
Fusion = Literal["sum", "standardised", "weighted"]
Augment = Literal["none", "flip", "flip-rotate"]
Backbone = Literal["auto", "vgg19", "efficientnet-lite0"]
Precision = Literal["auto", "fp32", "bf16"]


def _check(name: str, value: object, fits: bool, must: str) -> None:
    if not fits:
        raise ConfigError(f"{name} is {value}; it must {must}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class DataConfig:
    """How images reach the networks."""

    size: int = 128
    """Side S in pixels of the square the networks see; a multiple of 32 (the high latent is S/32)."""
    augment: Augment = "flip"
    """``none`` for oriented parts, ``flip`` for mirror symmetry, ``flip-rotate`` for leaves and other things without an upright."""
    validation_fraction: float = 0.15
    """Share of the normal images held out for validation and calibration; never trained on."""
    minimum: int = 20
    """Fewer usable normal images than this is an error."""

    def __post_init__(self) -> None:
        _check("data.size", self.size, self.size >= 32 and self.size % 32 == 0, "be a multiple of 32, at least 32")
        _check("data.validation_fraction", self.validation_fraction, 0.0 < self.validation_fraction < 0.9, "lie between 0 and 0.9")
        _check("data.minimum", self.minimum, self.minimum >= 4, "be at least 4: some images train, some calibrate")


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratorConfig:
    """Hierarchical VAE with a residual link (paper III-A)."""

    width: int = 32
    """Channels after the first convolution *(open)*."""
    low_channels: int = 16
    """C_l, channels of z_low at S/8 *(open)*."""
    high_channels: int = 64
    """C_h, channels of z_high at S/32 *(open)*."""
    combine: Combine = "add"
    """How D_high(z_high) meets z_low *(open: the paper writes a dot)*."""
    norm: Norm = "group"
    """Normalisation: ``batch`` is the literal choice, ``group`` trains stably with small batches."""
    high_level: bool = True
    """E_high^0 and D_high^0 (Table III switch)."""
    reencode_high: bool = True
    """E_high^1, training only (Table III switch)."""
    reencode_low: bool = True
    """E_low^1, training only (Table III switch)."""

    def __post_init__(self) -> None:
        _check(
            "generator.reencode_high",
            self.reencode_high,
            self.high_level or not self.reencode_high,
            "be off where generator.high_level is off",
        )
        smallest = min(self.width, self.low_channels, self.high_channels)
        _check("the smallest of generator.width, low_channels, high_channels", smallest, smallest >= 1, "be at least 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class CriticConfig:
    """Fine-grained critic (paper III-B) or the DCGAN ablation."""

    kind: Literal["fgvc", "dcgan"] = "fgvc"
    """``fgvc`` is the fine-grained critic, ``dcgan`` the ablation of Table III."""
    stages: int = 4
    """ResNet-50 stages kept: 4 is the whole backbone, 3 is finer and a third of the size."""
    attention_maps: int = 32
    """M *(open; 32 in WS-DAN)*."""
    filters: int = 20
    """1x1 filters of the discriminative filter bank *(open; 10 for each of real and fake)*."""
    norm: Norm = "batch"
    """As in the generator; ``batch`` is what ResNet-50 has."""
    crop: bool = True
    """Attention-guided crop of the normal images in training."""
    drop: bool = True
    """Attention-guided drop of the normal images in training."""
    width: int = 64
    """Channels after the first convolution (ResNet-50 and DCGAN: 64)."""

    def __post_init__(self) -> None:
        _check("critic.stages", self.stages, self.stages in (3, 4), "be 3 or 4")
        _check("critic.attention_maps", self.attention_maps, self.attention_maps >= 1, "be at least 1")
        _check("critic.width", self.width, self.width >= 1, "be at least 1")
        _check("critic.filters", self.filters, self.filters >= 1, "be at least 1")


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

    def __post_init__(self) -> None:
        for field_ in dataclasses.fields(self):
            if field_.name.endswith("weight") or field_.name == "feature_matching":
                value = getattr(self, field_.name)
                _check(f"loss.{field_.name}", value, value >= 0, "not be negative")
        _check("loss.label_smoothing", self.label_smoothing, 0.0 <= self.label_smoothing < 0.5, "lie in [0, 0.5)")
        _check("loss.critic_accuracy_cap", self.critic_accuracy_cap, 0.5 <= self.critic_accuracy_cap <= 1.0, "lie in [0.5, 1]")


@dataclass(frozen=True, slots=True, kw_only=True)
class PerceptConfig:
    """Perceptual evidence (beyond the paper): how unusual are frozen features of the image?"""

    enabled: bool = False
    """Whether the model has the error and the map ``percept``."""
    size: int = 224
    """Side in pixels of the square the frozen network sees; a multiple of 32."""
    backbone: Backbone = "efficientnet-lite0"
    """The frozen network f."""
    dimensions: int = 100
    """Feature channels kept per location (a fixed random subset, by seed)."""
    shrinkage: float = 0.1
    """Share of the pooled covariance mixed into each location's own."""
    modes: int = 1
    """Kinds of normal image (crops, product variants) with Gaussians of their own; an image is held against the nearest."""
    top: int = 40
    """The error is the mean of this many largest distances."""
    pooled: bool = False
    """Whether the model has the error ``percept_pooled``, too: how unusual the features are as a whole."""

    def __post_init__(self) -> None:
        _check("percept.size", self.size, self.size >= 32 and self.size % 32 == 0, "be a multiple of 32, at least 32")
        _check("percept.shrinkage", self.shrinkage, 0.0 < self.shrinkage <= 1.0, "lie in (0, 1]")
        _check("percept.modes", self.modes, 1 <= self.modes <= 16, "lie in 1..16")
        _check("percept.dimensions", self.dimensions, self.dimensions >= 2, "be at least 2")
        _check("percept.top", self.top, self.top >= 1, "be at least 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoringConfig:
    """Fusion and boundary (paper III-C)."""

    fusion: Fusion = "standardised"
    """``sum`` is literal; ``standardised`` divides by sigma; ``weighted`` also weighs, chosen on normal and synthetic validation images."""
    boundary: Literal["auto", "labelled", "synthetic", "tail"] = "auto"
    """``auto`` takes the first of labelled, synthetic, tail that gives a crossing."""
    false_alarm_rate: float = 0.05
    """Guaranteed rate of the ``tail`` boundary on exchangeable normal images."""
    smoothing: float = 2.0
    """Standard deviation in pixels (at S) of the Gaussian that smooths the maps."""
    pixel_false_alarm_rate: float = 0.002
    """Share of normal calibration pixels above the default pixel threshold."""

    def __post_init__(self) -> None:
        for name in ("false_alarm_rate", "pixel_false_alarm_rate"):
            _check(f"scoring.{name}", getattr(self, name), 0.0 < getattr(self, name) < 0.5, "lie between 0 and 0.5")
        _check("scoring.smoothing", self.smoothing, 0 <= self.smoothing <= 32, "lie in 0..32")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """The loop. Steps, not epochs: a step costs the same whatever the folder's size."""

    warmup_steps: int = 0
    """Steps of plain VAE training before the adversarial game begins."""
    adversarial_steps: int = 20000
    """Steps of the game between generator and critic, after the warm-up."""
    batch: int = 15
    """Images in a step, of all devices together."""
    adversarial_batch: int = 15
    """Images of each batch on which the adversarial game is played; the critic costs most of a step."""
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
    """``auto`` takes bf16 autocast only where the device computes bf16 in hardware."""
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
            _check(f"train.{name}", getattr(self, name), getattr(self, name) >= 0, "not be negative")
        steps = self.warmup_steps + self.adversarial_steps
        _check("train.warmup_steps + train.adversarial_steps", steps, steps >= 1, "be at least 1")
        for name in ("batch", "adversarial_batch"):
            _check(f"train.{name}", getattr(self, name), getattr(self, name) >= 2, "be at least 2")
        for name in ("weight_decay", "clip", "pretext_steps", "seed"):
            _check(f"train.{name}", getattr(self, name), getattr(self, name) >= 0, "not be negative")
        _check("train.seed", self.seed, self.seed < 2**63, "be smaller than 2^63")
        _check("train.ema", self.ema, 0.0 <= self.ema < 1.0, "lie in [0, 1)")
        for name in ("generator_lr", "critic_lr", "warmup_lr"):
            _check(f"train.{name}", getattr(self, name), getattr(self, name) > 0, "be positive")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Everything that defines a training, nested by part."""

    preset: str = "best"
    """The preset this configuration began as; a note, it decides nothing."""
    detector: str = "panda"
    """``panda``, or ``vae``: the generator alone, scored by its reconstruction error."""
    data: DataConfig = field(default_factory=DataConfig)
    generator: GeneratorConfig = field(default_factory=GeneratorConfig)
    critic: CriticConfig = field(default_factory=CriticConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    percept: PerceptConfig = field(default_factory=PerceptConfig)
    scoring: ScoringConfig = field(default_factory=ScoringConfig)
    train: TrainConfig = field(default_factory=TrainConfig)

    def to_dict(self) -> dict[str, Any]:
        """A nested dict of JSON types; ``Config.from_dict`` gives back an equal configuration."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Config:
        """Strict inverse of ``to_dict``; missing fields take their defaults.

        Raises ConfigError on an unknown field (with the nearest name), a wrong type or a value out of range.
        """
        return build(cls, values, "config")

    def override(self, **changes: Any) -> Config:
        """A copy with dotted fields replaced, e.g. ``override(**{"train.seed": 3})``. Raises ConfigError."""
        nested = self.to_dict()
        for dotted, value in changes.items():
            part = nested
            *path, last = dotted.split(".")
            for name in path:
                part = part.get(name, {}) if isinstance(part.get(name), dict) else {}
            if last not in part:
                raise ConfigError(f"No field '{dotted}'.{nearest(dotted, dotted_names(self.to_dict()))}")
            part[last] = value
        return Config.from_dict(nested)
