"""The networks of the compared systems: shapes at every size, a bottleneck in the one, skip connections in the other."""

from __future__ import annotations

import pytest
import torch

from panda_core.nets.dcgan import Contraction
from panda_core.nets.encoder_decoder import UNet, VectorAutoencoder

SIZES = [32, 64, 96, 128, 160]


@pytest.mark.parametrize("size", SIZES)
def test_both_autoencoders_give_back_the_size_they_get(size: int) -> None:
    x = torch.randn(2, 3, size, size)
    for network in (VectorAutoencoder(size, 4, 5), UNet(size, 4)):
        image = network(x)
        assert image.shape == x.shape and image.abs().max() <= 1


@pytest.mark.parametrize("size", SIZES)
def test_z_is_a_vector(size: int) -> None:
    assert VectorAutoencoder(size, 4, 5).encode(torch.randn(2, 3, size, size)).shape == (2, 5)


@pytest.mark.parametrize("size", SIZES)
def test_the_contraction_ends_where_it_says(size: int) -> None:
    contraction = Contraction(4, size, "batch")
    last = contraction(torch.randn(2, 3, size, size))
    assert last.shape[1:] == (contraction.channels, contraction.side, contraction.side) and 4 <= last.shape[-1] <= 7


def test_only_the_u_net_sees_past_its_bottleneck() -> None:
    x = torch.randn(2, 3, 32, 32, requires_grad=True)
    network, vector = UNet(32, 4).eval(), VectorAutoencoder(32, 4, 5).eval()
    network.downs[-1].register_forward_hook(lambda module, inputs, output: torch.zeros_like(output))
    vector.encode.register_forward_hook(lambda module, inputs, output: torch.zeros_like(output))
    (gradient,) = torch.autograd.grad(network(x).square().sum(), x)
    assert gradient.abs().amax(dim=(1, 2, 3)).min() > 0
    assert not vector(x).requires_grad or torch.autograd.grad(vector(x).sum(), x, allow_unused=True)[0] is None
