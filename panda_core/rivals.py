"""Presets of the systems PANDA is compared with: each its paper's losses and its own way to a score.

The schedules are one for all of a kind and tuned to no data set: what some minutes of one core allow at 64 pixels, far less than the
papers' own trainings. The score of each is combined as in its own paper and reaches the fusion as one error, so that it is only
shifted there (Skip-GANomaly's as two, which are added): a rival is neither a straw man nor improved.
"""

from __future__ import annotations

from panda_core.config import Augment, BaselineConfig, Config, DataConfig, LossConfig, ScoringConfig, TrainConfig


def _rival(
    name: str, baseline: BaselineConfig, *, steps: int, lr: float, augment: Augment = "flip", loss: LossConfig | None = None
) -> Config:
    """The preset and detector ``name``: one learning rate for all its networks, no warm-up, none of PANDA's aids."""
    return Config(
        preset=name,
        detector=name,
        data=DataConfig(size=64, augment=augment),
        baseline=baseline,
        loss=loss or LossConfig(),
        scoring=ScoringConfig(fusion="sum"),
        train=TrainConfig(adversarial_steps=steps, batch=16, adversarial_batch=16, generator_lr=lr, critic_lr=lr, warmup_lr=lr),
    )


RIVALS: dict[str, Config] = {
    rival.preset: rival
    for rival in (
        # The rate of PANDA's own warm-up, which trains the same network.
        _rival("vae", BaselineConfig(), steps=800, lr=1e-3, loss=LossConfig(kl_weight=1e-3)),
        # DCGAN's rates; the paper searches for 500 steps.
        _rival("anogan", BaselineConfig(inversion_steps=80), steps=2000, lr=2e-4),
        # kappa = 1 and five critic steps for one of the generator, as the paper: of 6,000 steps, 720 are the generator's.
        _rival("f-anogan", BaselineConfig(latent=128), steps=6000, lr=1e-4),
        _rival("egbad", BaselineConfig(), steps=3000, lr=2e-4),
        _rival("ganomaly", BaselineConfig(reconstruction_weight=50.0), steps=800, lr=2e-4),
        _rival("skip-ganomaly", BaselineConfig(reconstruction_weight=40.0, feature_share=0.1), steps=800, lr=2e-4),
        # The rate of DA-GAN's paper, for its U-Net without a discriminator as well.
        _rival("da-gan", BaselineConfig(reconstruction_weight=40.0), steps=800, lr=1e-3),
        _rival("unet", BaselineConfig(), steps=800, lr=1e-3),
        # What these two learn are turns (and mirror images): an augmentation by them would take their meaning.
        _rival("dadugt", BaselineConfig(), steps=600, lr=1e-3, augment="none"),
        _rival("csi", BaselineConfig(), steps=600, lr=1e-3, augment="none"),
    )
}

TITLES: dict[str, str] = {
    "vae": "VAE",
    "anogan": "AnoGAN",
    "f-anogan": "f-AnoGAN",
    "egbad": "EGBAD",
    "ganomaly": "GANomaly",
    "skip-ganomaly": "Skip-GANomaly",
    "da-gan": "DA-GAN",
    "unet": "U-Net, denoising",
    "dadugt": "DADUGT (turned images)",
    "csi": "CSI, reduced",
}
"""What people call them, by preset."""


def unread(detector: str) -> tuple[str, ...]:
    """The parts of a configuration that this detector does not read, so that nobody need be asked for their fields."""
    if detector == "panda":
        return ("baseline",)
    return ("baseline", "critic") if detector == "vae" else ("generator", "critic", "loss")
