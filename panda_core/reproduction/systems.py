"""The rows of the tables: which preset and which changes make each system. Presets are looked up when they are needed, by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from panda_core.config import Config
from panda_core.presets import PRESETS, preset
from panda_core.rivals import TITLES

Role = Literal["rival", "panda", "ablation", "trivial"]
TRIVIAL = "trivial"
PERCEPT_ERRORS = ("percept", "percept_pooled")


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """One row. The name is also that of the folder of its records."""

    name: str
    title: str
    role: Role
    preset: str
    """"" for the trivial baseline, which learns no network."""
    overrides: Mapping[str, Any] = field(default_factory=dict)
    """Configuration fields by dotted name, on top of the preset."""
    trained_as: str = ""
    """The system whose training gives this one's record, too; "" for a training of its own."""
    without: tuple[str, ...] = ()
    """Errors and maps of that training that this system does not have."""
    paper: str = ""
    """How the paper's tables call it; "" where it is not in them."""

    def exists(self) -> bool:
        """Whether this version has the preset."""
        return not self.preset or self.preset in PRESETS

    def config(self) -> Config:
        """Preset with the system's changes. Raises ConfigError where there is no such preset."""
        return preset(self.preset).override(**self.overrides)


PIXEL = {"loss.reconstruction": "pixel", "loss.pixel_weight": 0.0}
SPECIFIC = {"loss.reconstruction": "perceptual-specific"}
LOSSES: dict[str, dict[str, Any]] = {"pixel": PIXEL, "general": {}, "specific": SPECIFIC}
"""L_rec of Table III: PWL, PL_g, PL_ps, as changes of the preset `balanced`."""
FLAT = {"generator.high_level": False, "generator.reencode_high": False}
NETWORKS: dict[str, tuple[dict[str, Any], str]] = {
    "flat": (FLAT | {"generator.reencode_low": False}, "one latent, no re-encoder"),
    "flat-low": (FLAT, "one latent, E_low^1"),
    "deep": ({"generator.reencode_high": False, "generator.reencode_low": False}, "two latents, no re-encoder"),
    "deep-low": ({"generator.reencode_high": False}, "two latents, E_low^1"),
    "deep-high": ({"generator.reencode_low": False}, "two latents, E_high^1"),
    "full": ({}, "two latents, E_high^1, E_low^1"),
    "dcgan": ({"critic.kind": "dcgan"}, "the same with a DCGAN critic"),
}
"""The rows of Table III in its order: changes, and what they are."""


def _rival(name: str, paper: str = "") -> System:
    return System(name=name, title=TITLES[name], role="rival", preset=name, paper=paper)


def _ablations() -> tuple[System, ...]:
    return tuple(
        System(
            name=f"ablation-{loss}-{network}",
            title=f"{loss} loss, {what}",
            role="ablation",
            preset="balanced",
            overrides=changes | more,
            paper=f"{loss}/{network}",
        )
        for network, (changes, what) in NETWORKS.items()
        for loss, more in LOSSES.items()
    )


_ALL = (
    _rival("vae", "VAE"),
    _rival("anogan", "AnoGAN"),
    _rival("egbad", "EGBAD"),
    _rival("ganomaly", "GANomaly"),
    _rival("f-anogan", "f-AnoGAN"),
    _rival("skip-ganomaly", "Skip-GANomaly"),
    _rival("da-gan", "DA-GAN"),
    _rival("unet", "U-Net"),
    _rival("dadugt"),
    _rival("csi"),
    System(name="panda-pixel", title="PANDA, pixel loss", role="panda", preset="balanced", overrides=PIXEL, paper="PANDA-GAN PWL"),
    System(
        name="panda-general",
        title="PANDA, general perceptual loss",
        role="panda",
        preset="balanced",
        trained_as="best",
        without=PERCEPT_ERRORS,
        paper="PANDA-GAN PL_g",
    ),
    System(
        name="panda-specific",
        title="PANDA, specific perceptual loss",
        role="panda",
        preset="balanced",
        overrides=SPECIFIC,
        paper="PANDA-GAN PL_ps",
    ),
    System(name="panda-dcgan", title="PANDA, DCGAN critic", role="panda", preset="balanced", overrides={"critic.kind": "dcgan"}),
    System(name="best", title="PANDA with perceptual evidence (not in the paper)", role="panda", preset="best"),
    *_ablations(),
    System(name=TRIVIAL, title="trivial: Mahalanobis on colour statistics", role="trivial", preset=""),
)
SYSTEMS: dict[str, System] = {system.name: system for system in _ALL}
PEERS = {
    "anomalib-patchcore": "PatchCore (anomalib)",
    "anomalib-padim": "PaDiM (anomalib)",
    "anomalib-efficientad": "EfficientAD (anomalib)",
    "anomalib-ganomaly": "GANomaly (anomalib)",
}
"""Titles of systems whose records come from `benchmarks/peers.py`."""


def of_role(*roles: Role) -> tuple[System, ...]:
    """Systems of these roles, in the order of the tables."""
    return tuple(system for system in _ALL if system.role in roles)


def records_of(training: str) -> tuple[System, ...]:
    """The systems that one training gives records of: itself, then those that share it."""
    return (SYSTEMS[training], *(system for system in _ALL if system.trained_as == training))
