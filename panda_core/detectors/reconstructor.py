"""The detectors that are scored by what their generator does not give back; a new one adds its networks, phases and losses."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from panda_core.config import Config
from panda_core.detectors.base import Examination, Phase
from panda_core.detectors.state import load_parts, parts_state
from panda_core.nets import losses
from panda_core.nets.perceptual import FrozenFeatures


class Reconstructor(nn.Module):
    """One error, recon = ||x - x'||_2 per image, of a ``generator`` that the heir builds."""

    error_names: tuple[str, ...] = ("recon",)
    kept: tuple[str, ...] = ("generator",)
    """Names of the parts that inference needs."""
    generator: nn.Module

    def __init__(self, config: Config, features: FrozenFeatures | None) -> None:
        """``features`` is not used: the image distance is one of pixels."""
        super().__init__()
        self.config = config

    def phases(self) -> tuple[Phase, ...]:
        """As in the protocol."""
        raise NotImplementedError

    def loss(self, phase: str, x: Tensor, step: int) -> dict[str, Tensor]:
        """As in the protocol."""
        raise NotImplementedError

    def reconstruct(self, x: Tensor) -> Tensor:
        """x -> x', B x 3 x S x S in [-1, 1]."""
        image: Tensor = self.generator(x)
        return image

    def after_step(self, step: int) -> None:
        """Nothing moves between steps."""

    @torch.no_grad()
    def examine(self, x: Tensor) -> Examination:
        """recon: root mean square of x - x'; residual: |x - x'|, mean over channels."""
        self.eval()
        image = self.reconstruct(x)
        error = (x - image).abs().float()
        return Examination(image, {"recon": losses.root_mean_square(error)}, error.mean(dim=1, keepdim=True))

    def inference_state(self) -> dict[str, Tensor]:
        """The tensors of the ``kept`` parts."""
        return parts_state({name: self.get_submodule(name) for name in self.kept})

    def load_inference_state(self, state: Mapping[str, Tensor]) -> None:
        """Inverse of ``inference_state``. Raises ModelError."""
        load_parts({name: self.get_submodule(name) for name in self.kept}, state)
