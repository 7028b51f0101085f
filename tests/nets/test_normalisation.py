"""Our group normalisation is PyTorch's, but for rounding and speed."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from panda_core.nets.normalisation import GroupNorm, normalise


def passed(layer: nn.Module, x: torch.Tensor, direction: torch.Tensor) -> tuple[torch.Tensor, ...]:
    x = x.clone(memory_format=torch.preserve_format).requires_grad_(True)
    y = layer(x)
    y.backward(direction.to(y.dtype))
    assert x.grad is not None
    return y.detach(), x.grad, *(p.grad for p in layer.parameters() if p.grad is not None)


@pytest.mark.parametrize("side", [1, 8, 40], ids=["one pixel", "small map", "large map"])
@pytest.mark.parametrize("shift", [0.0, 3.0])
def test_in_channels_last_bf16_it_equals_pytorchs_in_double_precision(side: int, shift: float) -> None:
    torch.manual_seed(0)
    layer, exact = GroupNorm(2, 16), nn.GroupNorm(2, 16).double()
    for values in (layer.weight, layer.bias):
        nn.init.normal_(values, 1.0)
    exact.load_state_dict(layer.state_dict())
    x = (torch.randn(3, 16, side, side) + shift).bfloat16().to(memory_format=torch.channels_last)
    direction = torch.randn(3, 16, side, side).bfloat16()
    ours, wanted = passed(layer, x, direction), passed(exact, x.double(), direction.double())
    assert len(ours) == 4 and ours[0].dtype == torch.bfloat16
    for one, other in zip(ours, wanted, strict=True):
        torch.testing.assert_close(one.double(), other, rtol=0.02, atol=0.02 * float(other.abs().max()))


def test_elsewhere_it_is_pytorchs_own_to_the_bit() -> None:
    layer = normalise(16, "group")
    assert isinstance(layer, GroupNorm)
    x = torch.randn(2, 16, 8, 8).to(memory_format=torch.channels_last)
    assert torch.equal(layer(x), nn.GroupNorm(2, 16)(x))


def test_what_follows_may_change_its_result_in_place() -> None:
    layer = nn.Sequential(GroupNorm(2, 16), nn.ReLU(inplace=True))
    for side in (8, 40):
        x = torch.randn(2, 16, side, side).bfloat16().to(memory_format=torch.channels_last).requires_grad_(True)
        y = layer(x)
        y.float().sum().backward()
        assert x.grad is not None and y.is_contiguous(memory_format=torch.channels_last)


def test_a_second_derivative_is_refused_rather_than_wrong() -> None:
    x = torch.randn(2, 16, 8, 8).bfloat16().to(memory_format=torch.channels_last).requires_grad_(True)
    (first,) = torch.autograd.grad(GroupNorm(2, 16)(x).float().square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.float().sum().backward()
