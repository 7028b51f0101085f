"""The presets: configurations as data, never branches in code."""

from __future__ import annotations

from dataclasses import replace

from panda_core.config import (
    BaselineConfig,
    Config,
    CriticConfig,
    DataConfig,
    GeneratorConfig,
    LossConfig,
    PerceptConfig,
    ScoringConfig,
    TrainConfig,
)
from panda_core.errors import ConfigError
from panda_core.rivals import RIVALS
from panda_core.strict import nearest

PAPER = Config(preset="paper", generator=GeneratorConfig(norm="batch"), scoring=ScoringConfig(fusion="sum"))
BALANCED = replace(
    PAPER,
    preset="balanced",
    generator=GeneratorConfig(norm="group"),
    critic=CriticConfig(stages=3, norm="group", width=32),
    loss=LossConfig(
        reconstruction="perceptual-general",
        backbone="efficientnet-lite0",
        pixel_weight=1.0,
        adversarial_weight=0.05,
        latent_weight=0.1,
        kl_weight=1e-3,
        attention_weight=0.1,
        feature_matching=1.0,
        critic_accuracy_cap=0.85,
        settling_accuracy_cap=0.95,
    ),
    scoring=ScoringConfig(fusion="weighted"),
    train=TrainConfig(
        warmup_steps=600,
        adversarial_steps=440,
        settling_share=0.1,
        adversarial_batch=8,
        warmup_lr=1e-3,
        generator_lr=1e-4,
        critic_lr=1e-4,
        ema=0.99,
        clip=1.0,
    ),
)
BEST = replace(BALANCED, preset="best", percept=PerceptConfig(enabled=True, pooled=True))
TINY = replace(
    BALANCED,
    preset="tiny",
    data=DataConfig(size=32, validation_fraction=0.3, minimum=8),
    generator=GeneratorConfig(width=8, low_channels=4, high_channels=8),
    critic=CriticConfig(stages=3, norm="group", width=8, attention_maps=4, filters=4),
    baseline=BaselineConfig(width=8, latent=8, inversion_steps=10),
    loss=replace(BALANCED.loss, reconstruction="pixel", pixel_weight=0.0),
    train=replace(BALANCED.train, warmup_steps=6, adversarial_steps=4, settling_share=0.25, batch=4, adversarial_batch=4),
)

TUNING_STEPS = 4
"""A fine-tuned model takes this fraction of the parent's steps, at half its learning rates: it knows most of it already."""


def tuned(parent: Config, *, again: bool = False) -> Config:
    """The configuration of a fine-tuning: the parent's networks, losses and scoring, a short schedule, gentle steps.

    ``again``: the parent was fine-tuned itself. Its schedule, which is short and gentle already, is kept: in a few generations
    nothing would be left of it.

    A parent of several kinds of image has Gaussians for each (``percept.modes``). The folder it is tuned on is taken for one kind: it
    may be too small to be divided, and that would only show at the end of the training.
    """
    train, one_kind = parent.train, replace(parent.percept, modes=PerceptConfig().modes)
    if again:
        return replace(parent, percept=one_kind)
    return replace(
        parent,
        percept=one_kind,
        train=replace(
            train,
            warmup_steps=max(1, train.warmup_steps // TUNING_STEPS) if train.warmup_steps else 0,
            adversarial_steps=max(1, train.adversarial_steps // TUNING_STEPS) if train.adversarial_steps else 0,
            warmup_lr=train.warmup_lr / 2,
            generator_lr=train.generator_lr / 2,
            critic_lr=train.critic_lr / 2,
        ),
    )


PRESETS: dict[str, Config] = {"paper": PAPER, "balanced": BALANCED, "best": BEST, "tiny": TINY} | RIVALS


def preset(name: str) -> Config:
    """The named preset. Raises ConfigError that lists the known ones."""
    if name not in PRESETS:
        raise ConfigError(f"No preset '{name}'.{nearest(name, list(PRESETS))} Presets: {', '.join(PRESETS)}.")
    return PRESETS[name]
