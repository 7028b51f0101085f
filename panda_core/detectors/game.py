"""What the detectors that play GANomaly's game share: a DCGAN discriminator, two phases in turn, and what is logged of them."""

from __future__ import annotations

from torch import Tensor, nn

from panda_core.config import Config, CriticConfig
from panda_core.detectors.base import Phase
from panda_core.nets import losses
from panda_core.nets.dcgan import DcganCritic

GAME_BETAS = (0.5, 0.999)
"""DCGAN's moments of Adam, for networks that play against each other *(open in PANDA's paper, which says Adam)*."""


def dcgan_discriminator(config: Config) -> DcganCritic:
    """The discriminator of DCGAN, ``baseline.width`` wide, with batch normalisation."""
    return DcganCritic(CriticConfig(kind="dcgan", norm="batch", width=config.baseline.width), config.data.size)


def game_phases(config: Config, critic: nn.Module, *generators: nn.Module) -> tuple[Phase, ...]:
    """Critic and generator in turn at every step, warm-up steps included: these systems have none."""
    train = config.train
    return (
        Phase("critic", (critic,), train.critic_lr, betas=GAME_BETAS),
        Phase("generator", generators, train.generator_lr, betas=GAME_BETAS),
    )


def critic_terms(real: Tensor, fake: Tensor) -> dict[str, Tensor]:
    """-log D(x) - log(1 - D(x')) from logits B, and what a person may watch of it."""
    loss = losses.critic(real, fake)
    accuracy = 0.5 * ((real > 0).float().mean() + (fake < 0).float().mean())
    watch = {"_L_C": loss, "_C_x": real.sigmoid().mean(), "_C_rec": fake.sigmoid().mean(), "_accuracy": accuracy}
    return {"critic": loss} | {name: value.detach() for name, value in watch.items()}
