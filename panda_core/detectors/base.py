"""What every detector promises, and the two records that carry it: Phase (for the loop) and Examination (for scoring)."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Phase:
    """One optimiser of the loop: which modules it moves, how fast, and when."""

    name: str
    modules: tuple[nn.Module, ...]
    lr: float
    start: int = 0
    """First step (inclusive) of this phase."""
    stop: int | None = None
    """Step (exclusive) at which the phase ends; None never ends."""

    betas: tuple[float, float] = (0.9, 0.999)
    """Adam's moment decays; games between networks want a shorter first one."""

    every: int = 1
    """The phase runs at its first step and then at each such step only."""

    def active(self, step: int) -> bool:
        """Whether the phase runs at this step."""
        return step >= self.start and (self.stop is None or step < self.stop) and (step - self.start) % self.every == 0

    def parameters(self) -> list[nn.Parameter]:
        """The parameters this phase moves."""
        return [p for module in self.modules for p in module.parameters()]


@dataclass(frozen=True, slots=True)
class Examination:
    """What a detector says about a batch, still as tensors."""

    reconstruction: Tensor
    """B x 3 x S x S in [-1, 1]."""
    errors: Mapping[str, Tensor]
    """Name -> B float32; larger = stranger."""
    residual: Tensor
    """B x 1 x S x S float32 >= 0."""

    @classmethod
    def of_score(cls, x: Tensor, reconstruction: Tensor, score: Tensor) -> Examination:
        """One error, ``score`` (B), for systems whose paper says how its parts are added; residual |x - x'|, mean over channels."""
        residual = (x - reconstruction).abs().float().mean(dim=1, keepdim=True)
        return cls(reconstruction, {"score": score.float()}, residual)


class Detector(Protocol):
    """An nn.Module. x is B x 3 x S x S in [-1, 1].

    A detector may also have ``unscored``, names of errors that are reported and never join the score, and ``needs_grad``, True
    where ``examine`` descends a gradient.
    """

    error_names: tuple[str, ...]

    def phases(self) -> tuple[Phase, ...]:
        """The optimisers of the loop, in the order they step."""

    def loss(self, phase: str, x: Tensor, step: int) -> dict[str, Tensor]:
        """Weighted scalar terms of this phase; the loop adds, checks, logs and steps. Names with a leading "_" are logged only."""

    def after_step(self, step: int) -> None:
        """Moving averages and the like; called once all phases have stepped."""

    def examine(self, x: Tensor) -> Examination:
        """Errors, reconstruction and residual map of a batch, in evaluation mode."""

    def inference_state(self) -> dict[str, Tensor]:
        """The tensors an exported model needs: without E_high^1, E_low^1 and training-only parts."""

    def load_inference_state(self, state: Mapping[str, Tensor]) -> None:
        """Inverse of ``inference_state``. Raises ModelError on missing, foreign or misshapen tensors."""


def searches(detector: object) -> bool:
    """Whether ``examine`` descends a gradient for each image: it says so by an attribute ``needs_grad``, and costs accordingly."""
    return bool(getattr(detector, "needs_grad", False))


def examining(detector: object) -> AbstractContextManager[object]:
    """The mode to call ``examine`` in: with gradients for a detector that searches, without for all others, which are faster so."""
    return torch.enable_grad() if searches(detector) else torch.inference_mode()
