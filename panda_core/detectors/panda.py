"""PANDA-GAN (arXiv 2104.13702): dual-level VAE generator against a fine-grained critic, with a perceptual loss.

Every ablation of Table III is a field of the configuration: the high level, the re-encoders, the critic, the loss.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from panda_core.config import Config
from panda_core.detectors.base import Examination, Phase
from panda_core.detectors.game import GAME_BETAS
from panda_core.detectors.state import load_parts, parts_state
from panda_core.nets import losses
from panda_core.nets.attention import attention_crop, attention_drop
from panda_core.nets.critic import Critique, FineGrainedCritic
from panda_core.nets.dcgan import DcganCritic
from panda_core.nets.generator import Generator, Reconstruction, ReEncoders
from panda_core.nets.perceptual import FrozenFeatures, perceptual_distance


class Panda(nn.Module):
    """Generator, critic and frozen perceptual network; errors recon, adv_x and adv_rec (III-C)."""

    error_names: tuple[str, ...] = ("recon", "adv_x", "adv_rec")

    def __init__(self, config: Config, features: FrozenFeatures | None) -> None:
        """``features`` is f of the perceptual loss; None where the loss is ``pixel``."""
        super().__init__()
        self.config = config
        self.generator = Generator(config.generator)
        self.averaged = copy.deepcopy(self.generator).requires_grad_(False) if config.train.ema else None
        self.reencoders = ReEncoders(config.generator)
        build_critic = FineGrainedCritic if config.critic.kind == "fgvc" else DcganCritic
        self.critic: FineGrainedCritic | DcganCritic = build_critic(config.critic, config.data.size)
        self.features = features
        self._parts: Tensor | None = None

    def phases(self) -> tuple[Phase, ...]:
        """VAE warm-up, then critic and generator in turn, last the critic alone."""
        train, generator = self.config.train, (self.generator, self.reencoders)
        warm = train.warmup_steps
        return (
            Phase("warmup", (self.generator,), train.warmup_lr, stop=warm),
            Phase("critic", (self.critic,), train.critic_lr, start=warm, betas=GAME_BETAS),
            Phase("generator", generator, train.generator_lr, start=warm, stop=self._settles_from, betas=GAME_BETAS),
        )

    @property
    def _scored(self) -> Generator:
        """The generator whose reconstructions are scored."""
        return self.generator if self.averaged is None else self.averaged

    @property
    def _settles_from(self) -> int:
        """The first step at which the generator no longer moves."""
        train = self.config.train
        return train.warmup_steps + train.adversarial_steps - round(train.settling_share * train.adversarial_steps)

    def loss(self, phase: str, x: Tensor, step: int) -> dict[str, Tensor]:
        """Weighted terms of Eq. 1 ("warmup", "generator") or Eq. 2 ("critic")."""
        if phase != "warmup":
            x = x[: self.config.train.adversarial_batch]
        if phase == "critic":
            return self._critic_loss(x, step)
        made = self.generator(x)
        terms = self._reconstruction_loss(x, made)
        return terms if phase == "warmup" else terms | self._latent_loss(made) | self._adversarial_loss(x, made)

    def _reconstruction_loss(self, x: Tensor, made: Reconstruction) -> dict[str, Tensor]:
        weights = self.config.loss
        terms = {"rec": self._distance(x, made.image)[0].mean()}
        if weights.kl_weight:
            per_image = losses.kl_divergence(made.low) + (0 if made.high is None else losses.kl_divergence(made.high))
            # Divided by the number of pixel values, so that beta means the same at every image size.
            terms["kl"] = weights.kl_weight * per_image.mean() / x[0].numel()
        return terms

    def _latent_loss(self, made: Reconstruction) -> dict[str, Tensor]:
        # Not in the warm-up: pulling z and its re-encoding together before z carries anything shrinks both to nothing.
        pairs = self.reencoders(made)
        return {"latent": self.config.loss.latent_weight * losses.latent(pairs)} if pairs else {}

    def _adversarial_loss(self, x: Tensor, made: Reconstruction) -> dict[str, Tensor]:
        weights = self.config.loss
        real, fake = self._critique_pair(x, made.image)
        terms = {"adv": weights.adversarial_weight * losses.adversarial(fake.logit)}
        if weights.feature_matching:
            terms["match"] = weights.feature_matching * losses.root_mean_square(fake.features - real.features.detach()).mean()
        return terms

    def _critic_loss(self, x: Tensor, step: int) -> dict[str, Tensor]:
        weights, settles = self.config.loss, step >= self._settles_from
        # While it settles, the critic sees what it will be asked about: reconstructions of the scored generator, from mean latents.
        generator = self._scored.eval() if settles else self.generator
        with torch.no_grad():
            fake_image = generator(x).image
        real, fake = self._critique_pair(x, fake_image)
        accuracy = 0.5 * ((real.logit > 0).float().mean() + (fake.logit < 0).float().mean())
        eq2 = losses.critic(real.logit, fake.logit)
        watch = {"_L_C": eq2, "_C_x": real.logit.sigmoid().mean(), "_C_rec": fake.logit.sigmoid().mean(), "_accuracy": accuracy}
        watch = {name: value.detach() for name, value in watch.items()}
        self._parts = None if real.parts is None else real.parts.detach()
        if accuracy > (weights.settling_accuracy_cap if settles else weights.critic_accuracy_cap):
            return watch  # no term to descend: the critic waits until the generator has caught up
        terms = {"critic": losses.critic(real.logit, fake.logit, smoothing=weights.label_smoothing)}
        if isinstance(self.critic, FineGrainedCritic) and real.parts is not None and real.attention is not None:
            if weights.attention_weight:
                terms["attention"] = weights.attention_weight * self.critic.attention_penalty(real.parts)
            terms |= self._augmented_loss(x, real.attention.detach())
        return terms | watch

    def _augmented_loss(self, x: Tensor, attention: Tensor) -> dict[str, Tensor]:
        """-log C of the attention-guided crop and drop of the normal images."""
        config = self.config.critic
        views = [view(x, attention) for view, on in ((attention_crop, config.crop), (attention_drop, config.drop)) if on]
        if not views:
            return {}
        logit = self.critic(torch.cat(views)).logit
        target = torch.full_like(logit, 1.0 - self.config.loss.label_smoothing)
        return {"views": functional.binary_cross_entropy_with_logits(logit, target)}

    def _critique_pair(self, x: Tensor, reconstruction: Tensor) -> tuple[Critique, Critique]:
        # One pass over both halves: batch statistics taken over normal or generated images alone would tell them apart.
        both: Critique = self.critic(torch.cat([x, reconstruction]))
        return both.half(0), both.half(1)

    def _distance(self, x: Tensor, reconstruction: Tensor) -> tuple[Tensor, Tensor]:
        """The configured reconstruction distance: per image (B) and as a map (B x 1 x S x S)."""
        weights = self.config.loss
        error = (x - reconstruction).abs().float()
        if self.features is None:
            return weights.reconstruction_weight * losses.root_mean_square(error), error.mean(dim=1, keepdim=True)
        feature_map = perceptual_distance(self.features(x), self.features(reconstruction))
        per_image = weights.reconstruction_weight * feature_map.flatten(1).mean(dim=1)
        if weights.pixel_weight:
            per_image = per_image + weights.pixel_weight * losses.root_mean_square(error)
        enlarged = functional.interpolate(feature_map, size=x.shape[-2:], mode="bilinear", align_corners=False)
        return per_image, weights.reconstruction_weight * enlarged + weights.pixel_weight * error.mean(dim=1, keepdim=True)

    @torch.no_grad()
    def after_step(self, step: int) -> None:
        """Average the generator's weights; move the attention centres."""
        if self.averaged is not None and step < self._settles_from:
            # A young average follows faster, so that the untrained start is forgotten early.
            rate = 1.0 - min(self.config.train.ema, (1 + step) / (10 + step))
            for mean, now in zip(self.averaged.state_dict().values(), self.generator.state_dict().values(), strict=True):
                mean.lerp_(now, rate) if mean.is_floating_point() else mean.copy_(now)
        if self._parts is not None and isinstance(self.critic, FineGrainedCritic):
            self.critic.move_centres(self._parts)
            self._parts = None

    @torch.no_grad()
    def examine(self, x: Tensor) -> Examination:
        """Errors of III-C: recon (the configured distance), adv_x = 1 - C(x), adv_rec = 1 - C(x')."""
        self.eval()
        made = self._scored(x)
        recon, residual = self._distance(x, made.image)
        real, fake = self._critique_pair(x, made.image)
        errors = {"recon": recon.float(), "adv_x": torch.sigmoid(-real.logit), "adv_rec": torch.sigmoid(-fake.logit)}
        return Examination(made.image, errors, residual)

    def _inference_parts(self) -> dict[str, nn.Module]:
        parts: dict[str, nn.Module] = {"generator": self._scored, "critic": self.critic}
        return parts if self.features is None else parts | {"features": self.features}

    def inference_state(self) -> dict[str, Tensor]:
        """Generator (averaged where averaging is on), critic and f: no re-encoders."""
        return parts_state(self._inference_parts())

    def load_inference_state(self, state: Mapping[str, Tensor]) -> None:
        """Inverse of ``inference_state``; training from it starts at the averaged weights. Raises ModelError."""
        load_parts(self._inference_parts(), state)
        if self.averaged is not None:
            self.generator.load_state_dict(self.averaged.state_dict())
