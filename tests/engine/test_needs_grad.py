"""A detector may search by gradient while it examines, if it says so; all others run without gradients."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from panda_core.checkpoint import Model
from panda_core.detectors import Examination
from panda_core.inspector import Inspector, examine_images


class MeanColour(nn.Module):
    """Reconstructs an image as its mean colour, found by one step down the gradient of the squared error."""

    def __init__(self, *, needs_grad: bool) -> None:
        super().__init__()
        self.needs_grad = needs_grad
        self.register_buffer("zero", torch.zeros(1))

    def inference_state(self) -> dict[str, Tensor]:
        return {"zero": self.zero}  # type: ignore[dict-item]

    def examine(self, x: Tensor) -> Examination:
        colour = torch.zeros(len(x), 3, 1, 1, requires_grad=True)
        (gradient,) = torch.autograd.grad((x - colour).square().mean(dim=(2, 3)).sum() / 2, colour, create_graph=True)
        image = (colour - gradient).expand_as(x)
        error = (x - image).abs().mean(dim=1, keepdim=True)
        return Examination(image, {"recon": error.mean(dim=(1, 2, 3))}, error)


def model_with(detector: Any, inspector: Inspector) -> Model:
    return replace(inspector.model, detector=detector, percept=None)


def test_a_detector_that_needs_gradients_gets_them(inspector: Inspector, normal_pictures: list[np.ndarray]) -> None:
    (seen,) = examine_images(model_with(MeanColour(needs_grad=True), inspector), normal_pictures[:1])
    assert np.abs(seen.reconstruction.mean(axis=(0, 1)) - normal_pictures[0].mean(axis=(0, 1))).max() < 2
    assert np.ptp(seen.reconstruction, axis=(0, 1)).max() == 0


def test_a_detector_that_does_not_say_so_gets_none(inspector: Inspector, normal_pictures: list[np.ndarray]) -> None:
    with pytest.raises(RuntimeError, match="does not require grad"):
        list(examine_images(model_with(MeanColour(needs_grad=False), inspector), normal_pictures[:1]))
