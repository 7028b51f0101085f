"""Presets of the systems PANDA is compared with, as data: numbers of their papers where our budget allows, else said otherwise here.

None is tuned on a data set. The score of each is combined as in its own paper and reaches the fusion as one error, so
``standardised`` only shifts and scales it. Budgets are reduced: some minutes of one core at 64 pixels.
"""

from __future__ import annotations

from panda_core.config import Augment, BaselineConfig, Config, DataConfig, ScoringConfig, TrainConfig


def _rival(name: str, *, steps: int, batch: int, lr: float, baseline: BaselineConfig, augment: Augment = "flip") -> Config:
    """The preset and detector ``name``: one learning rate for all its networks, no warm-up, none of PANDA's aids."""
    return Config(
        preset=name,
        detector=name,
        data=DataConfig(size=64, augment=augment),
        baseline=baseline,
        scoring=ScoringConfig(fusion="standardised"),
        train=TrainConfig(adversarial_steps=steps, batch=batch, adversarial_batch=batch, generator_lr=lr, critic_lr=lr, warmup_lr=lr),
    )


RIVALS: dict[str, Config] = {
    rival.preset: rival
    for rival in (
        # DCGAN's rates; the paper searches for 500 steps.
        _rival("anogan", steps=2000, batch=16, lr=2e-4, baseline=BaselineConfig(inversion_steps=80)),
        # kappa = 1 and five critic steps for one of the generator, as the paper.
        _rival("f-anogan", steps=3000, batch=16, lr=1e-4, baseline=BaselineConfig(latent=128)),
        _rival("egbad", steps=1500, batch=16, lr=2e-4, baseline=BaselineConfig()),
        # What these two learn are turns (and mirror images): an augmentation by them would take their meaning.
        _rival("dadugt", steps=600, batch=16, lr=1e-3, baseline=BaselineConfig(), augment="none"),
        _rival("csi", steps=600, batch=16, lr=1e-3, baseline=BaselineConfig(), augment="none"),
    )
}
