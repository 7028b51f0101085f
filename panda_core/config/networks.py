"""Fields of the networks: PANDA's generator and critic, and the systems it is compared with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from panda_core.config.ranges import check

Combine = Literal["add", "multiply", "concat"]
Norm = Literal["batch", "group"]


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
        check(
            "generator.reencode_high",
            self.reencode_high,
            self.high_level or not self.reencode_high,
            "be off where generator.high_level is off",
        )
        smallest = min(self.width, self.low_channels, self.high_channels)
        check("the smallest of generator.width, low_channels, high_channels", smallest, smallest >= 1, "be at least 1")


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
    """Channels of the first stage: 64 in ResNet-50, whose stem keeps 64, and in DCGAN."""

    def __post_init__(self) -> None:
        check("critic.stages", self.stages, self.stages in (3, 4), "be 3 or 4")
        check("critic.attention_maps", self.attention_maps, self.attention_maps >= 1, "be at least 1")
        check("critic.width", self.width, self.width >= 1, "be at least 1")
        check("critic.filters", self.filters, self.filters >= 1, "be at least 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineConfig:
    """The systems PANDA is compared with (all detectors but ``panda`` and ``vae``); each reads only the fields its module names."""

    width: int = 32
    """Channels after the first convolution of encoders, generators and discriminators."""
    latent: int = 100
    """Numbers in the latent vector z."""
    reconstruction_weight: float = 1.0
    """Weight of the image distance in the generator's loss."""
    latent_weight: float = 1.0
    """Weight of the distance of a latent to its re-encoding, or of the discriminator's features."""
    adversarial_weight: float = 1.0
    """Weight of the generator's adversarial term."""
    feature_share: float = 0.1
    """lambda in [0, 1]: share of the feature (or latent) distance in the score, the rest is the image distance."""
    noise: float = 0.4
    """Standard deviation of the noise that the U-Net learns to take off images in [-1, 1]; 0 lets it copy."""
    gradient_penalty: float = 10.0
    """Weight of the gradient penalty of a Wasserstein critic (f-AnoGAN)."""
    generator_every: int = 5
    """The generator of f-AnoGAN steps once in this many steps of its critic."""
    encoder_share: float = 0.4
    """Share of the steps, at the end, that train f-AnoGAN's encoder; generator and critic rest then."""
    inversion_steps: int = 100
    """Gradient steps by which AnoGAN looks for the z of an image."""
    inversion_lr: float = 0.05
    """Learning rate of these steps."""

    def __post_init__(self) -> None:
        for name in ("width", "latent", "generator_every", "inversion_steps"):
            check(f"baseline.{name}", getattr(self, name), getattr(self, name) >= 1, "be at least 1")
        for name in ("reconstruction_weight", "latent_weight", "adversarial_weight", "noise", "gradient_penalty"):
            check(f"baseline.{name}", getattr(self, name), getattr(self, name) >= 0, "not be negative")
        check("baseline.feature_share", self.feature_share, 0.0 <= self.feature_share <= 1.0, "lie in [0, 1]")
        check("baseline.encoder_share", self.encoder_share, 0.0 < self.encoder_share < 1.0, "lie between 0 and 1")
        check("baseline.inversion_lr", self.inversion_lr, self.inversion_lr > 0, "be positive")
