"""The detectors that are scored by what their generator does not give back; a new one adds its networks, phases and losses."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from panda_core.detectors.base import Examination, Phase
from panda_core.detectors.state import DetectorOfParts
from panda_core.nets import losses


class Reconstructor(DetectorOfParts):
    """One error, recon = ||x - x'||_2 per image, of a ``generator`` that the heir builds."""

    error_names: tuple[str, ...] = ("recon",)
    kept: tuple[str, ...] = ("generator",)
    generator: nn.Module

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

    @torch.no_grad()
    def examine(self, x: Tensor) -> Examination:
        """recon: root mean square of x - x'; residual: |x - x'|, mean over channels."""
        self.eval()
        image = self.reconstruct(x)
        error = (x - image).abs().float()
        return Examination(image, {"recon": losses.root_mean_square(error)}, error.mean(dim=1, keepdim=True))
