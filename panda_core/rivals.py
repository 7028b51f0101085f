"""Presets of the systems PANDA is compared with: each its paper's losses and its own way to a score.

The schedule is one for all of a kind and tuned to no data set: what a minute or two of one core allows at 64 pixels, far less than
the papers' own trainings. No weights are fitted to errors (``scoring.fusion = "sum"``): a rival is neither a straw man nor improved.
"""

from __future__ import annotations

from dataclasses import replace

from panda_core.config import BaselineConfig, Config, LossConfig, ScoringConfig, TrainConfig

LITERAL = ScoringConfig(fusion="sum")
GAME = TrainConfig(adversarial_steps=800, batch=16, adversarial_batch=16, generator_lr=2e-4, critic_lr=2e-4)
"""Adam at DCGAN's learning rate; every step a step of the game."""
QUICK = replace(GAME, generator_lr=1e-3, critic_lr=1e-3, warmup_lr=1e-3)
"""The rate of DA-GAN's paper, for its U-Net without a discriminator as well, and of the VAE that PANDA's own warm-up trains."""

ENCODER_DECODERS: dict[str, Config] = {
    "vae": Config(preset="vae", detector="vae", loss=LossConfig(kl_weight=1e-3), scoring=LITERAL, train=QUICK),
    "ganomaly": Config(
        preset="ganomaly", detector="ganomaly", baseline=BaselineConfig(reconstruction_weight=50.0), scoring=LITERAL, train=GAME
    ),
    "skip-ganomaly": Config(
        preset="skip-ganomaly",
        detector="skip-ganomaly",
        baseline=BaselineConfig(reconstruction_weight=40.0, feature_share=0.1),
        scoring=LITERAL,
        train=GAME,
    ),
    "da-gan": Config(preset="da-gan", detector="da-gan", baseline=BaselineConfig(reconstruction_weight=40.0), scoring=LITERAL, train=QUICK),
    "unet": Config(preset="unet", detector="unet", baseline=BaselineConfig(), scoring=LITERAL, train=QUICK),
}

RIVALS: dict[str, Config] = {**ENCODER_DECODERS}
