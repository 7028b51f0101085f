"""Presets of the systems PANDA is compared with: each its paper's losses and its own way to a score.

The schedule is one for all of a kind and tuned to no data set. No weights are fitted to their errors (``scoring.fusion = "sum"``):
a rival is neither a straw man nor improved.
"""

from __future__ import annotations

from panda_core.config import Config, LossConfig, ScoringConfig, TrainConfig

ENCODER_DECODER = TrainConfig(adversarial_steps=1000, batch=16, generator_lr=2e-4, critic_lr=2e-4, warmup_lr=2e-4)
"""Of all rivals that encode and decode an image: Adam at DCGAN's learning rate, every step a step of the game."""

RIVALS: dict[str, Config] = {
    "vae": Config(
        preset="vae", detector="vae", loss=LossConfig(kl_weight=1e-3), scoring=ScoringConfig(fusion="sum"), train=ENCODER_DECODER
    ),
}
