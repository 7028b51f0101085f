"""Layers compiled for bf16 training on a CPU compute what PyTorch computes, whatever the number of threads."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from timm.layers.conv2d_same import Conv2dSame
from timm.layers.norm_act import BatchNormAct2d
from torch import Tensor, nn
from torch.nn import functional

from panda_core.kernels import running
from panda_core.nets.frozen import FrozenNorm, StridedDepthwise, quicken
from panda_core.nets.normalisation import GroupNorm, has_kernels, join, normalise_and_activate
from panda_core.nets.pooling import MaxPool

HALF = 2.0**-8
"""Distance between neighbouring bf16 numbers, relative to them."""


def images(*shape: int, seed: int = 0) -> Tensor:
    x = torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).bfloat16()
    return x.to(memory_format=torch.channels_last).requires_grad_(True)


def gradients(y: Tensor, of: list[Tensor]) -> list[Tensor]:
    direction = torch.randn(y.shape, generator=torch.Generator().manual_seed(9), dtype=torch.float32)
    return [y.detach(), *torch.autograd.grad(y, of, direction.to(y.dtype))]


def assert_close(ours: list[Tensor], exact: list[Tensor]) -> None:
    for one, other in zip(ours, exact, strict=True):
        torch.testing.assert_close(one.double(), other.double(), rtol=2 * HALF, atol=2 * HALF * float(other.abs().max()))


@pytest.mark.parametrize("slope", [0.0, 0.2])
@pytest.mark.parametrize("side", [1, 7, 40])
def test_normalisation_with_its_activation(slope: float, side: int) -> None:
    layer, nothing_left = normalise_and_activate(16, "group", slope)
    assert isinstance(layer, GroupNorm) and isinstance(nothing_left, nn.Identity)
    x, exact = images(3, 16, side, side), nn.GroupNorm(2, 16).double()
    wide = x.detach().double().requires_grad_(True)
    wanted = gradients(functional.leaky_relu(exact(wide), slope), [wide, *exact.parameters()])
    assert_close(gradients(layer(x), [x, *layer.parameters()]), wanted)
    plain = functional.leaky_relu(nn.GroupNorm(2, 16)(x.float()), slope)
    assert torch.equal(layer(x.float()), plain), "in float32 it is PyTorch's own"


def test_batch_normalisation_keeps_its_activation() -> None:
    x = torch.randn(4, 16, 5, 5)
    for slope, wanted in ((0.0, nn.ReLU()), (0.2, nn.LeakyReLU(0.2))):
        norm, act = normalise_and_activate(16, "batch", slope)
        assert torch.equal(act(norm(x)), wanted(nn.BatchNorm2d(16)(x)))


@pytest.mark.parametrize("side", [1, 9])
def test_the_end_of_a_residual_block(side: int) -> None:
    layer, x, shortcut = GroupNorm(2, 16), images(3, 16, side, side), images(3, 16, side, side, seed=1)
    exact = nn.GroupNorm(2, 16).double()
    wide, added = x.detach().double().requires_grad_(True), shortcut.detach().double().requires_grad_(True)
    wanted = gradients(torch.relu(exact(wide) + added), [wide, added, *exact.parameters()])
    assert_close(gradients(join(layer, x, shortcut), [x, shortcut, *layer.parameters()]), wanted)


def test_a_shortcut_of_another_shape_or_kind_is_added_by_pytorch() -> None:
    layer, x = GroupNorm(2, 16), images(3, 16, 6, 6)
    for shortcut in (torch.ones(1, 16, 1, 1), images(3, 16, 6, 6).float()):
        torch.testing.assert_close(join(layer, x, shortcut), torch.relu(layer(x) + shortcut))


@pytest.mark.parametrize("size", [(64, 64), (7, 10), (10, 7), (1, 1)])
def test_pooling_is_pytorchs_to_the_bit(size: tuple[int, int]) -> None:
    x = images(2, 24, *size)
    wide = x.detach().double().requires_grad_(True)
    # In double precision, because PyTorch rounds every one of up to four gradients that a pixel gets.
    y, gradient = gradients(functional.max_pool2d(wide, 3, stride=2, padding=1), [wide])
    ours, of_x = gradients(MaxPool()(x), [x])
    assert torch.equal(ours.double(), y)
    assert_close([of_x], [gradient])


def test_what_is_not_a_number_stays_visible() -> None:
    x = images(1, 16, 8, 8).detach()
    x[0, 3, 4, 4] = torch.nan
    x.requires_grad_(True)
    relu6 = FrozenNorm(BatchNormAct2d(16, act_layer=nn.ReLU6).eval())
    for layer in (MaxPool(), GroupNorm(2, 16, slope=0.0), relu6.requires_grad_(False)):
        assert layer(x).isnan().any(), layer


@pytest.mark.parametrize("act", [nn.ReLU6, nn.Identity])
def test_frozen_batch_normalisation(act: type[nn.Module]) -> None:
    timms = BatchNormAct2d(16, eps=1e-3, act_layer=act).eval().requires_grad_(False)
    for statistics in (timms.running_mean, timms.running_var, timms.weight, timms.bias):
        assert isinstance(statistics, Tensor)
        nn.init.uniform_(statistics, 0.5, 3.0)
    ours = FrozenNorm(timms)
    assert ours.state_dict().keys() == timms.state_dict().keys()
    x = images(3, 16, 6, 5)
    wide = x.detach().double().requires_grad_(True)
    wanted = gradients(timms.double()(wide), [wide])
    assert_close(gradients(FrozenNorm(timms.float())(x), [x]), wanted)
    with torch.no_grad():
        assert torch.equal(ours(x), timms(x)), "inspection computes what timm computes"


@pytest.mark.parametrize(("kernel", "size"), [(3, (16, 16)), (5, (16, 16)), (3, (7, 8)), (5, (8, 7))])
def test_strided_depthwise_convolution(kernel: int, size: tuple[int, int]) -> None:
    timms = Conv2dSame(24, 24, kernel, stride=2, groups=24, bias=False).requires_grad_(False)
    x = images(2, 24, *size)
    wide = x.detach().double().requires_grad_(True)
    exact = Conv2dSame(24, 24, kernel, stride=2, groups=24, bias=False).double()
    exact.weight.data = timms.weight.data.bfloat16().double()
    ours = StridedDepthwise(timms)
    assert_close(gradients(ours(x), [x]), gradients(exact(wide), [wide]))
    assert torch.equal(ours(x.float()), timms(x.float()))


def test_only_what_is_slow_is_replaced() -> None:
    network = nn.Sequential(
        Conv2dSame(3, 24, 3, stride=2),
        BatchNormAct2d(24, act_layer=nn.ReLU6),
        Conv2dSame(24, 24, 3, stride=2, groups=24, bias=False),
        BatchNormAct2d(24, act_layer=nn.ReLU),
    )
    quicken(network)
    assert [type(layer) for layer in network] == [Conv2dSame, FrozenNorm, StridedDepthwise, BatchNormAct2d]


def test_the_result_does_not_depend_on_the_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, x = GroupNorm(2, 16, slope=0.0), images(5, 16, 9, 9)

    def results() -> list[Tensor]:
        return gradients(layer(x), [x, *layer.parameters()])

    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        many = results()
        monkeypatch.setattr(running, "_parallel", None)  # as where PyTorch brings another OpenMP
        assert all(torch.equal(one, other) for one, other in zip(many, results(), strict=True))
        torch.set_num_threads(1)
        assert all(torch.equal(one, other) for one, other in zip(many, results(), strict=True))
    finally:
        torch.set_num_threads(before)


def test_the_result_does_not_depend_on_where_a_threads_memory_lies() -> None:
    layer, channels = GroupNorm(8, 64), torch.arange(64)
    x = images(8, 64, 8, 8).detach()
    with torch.no_grad():
        layer.weight.normal_(1, 0.3, generator=torch.Generator().manual_seed(1))
        # Of each channel one value comes out at almost zero: what is left there is rounding, and bf16 shows all of it.
        layer.bias.copy_(-layer(x.float())[channels % 8, channels, 0, 0])
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        first, held = layer(x), []
        for number in range(200):
            held.append(torch.empty(100 + 7 * number))
            assert torch.equal(layer(x), first), f"call {number} rounds otherwise than the first"
    finally:
        torch.set_num_threads(before)


def test_infinity_does_not_pass_a_closed_gate() -> None:
    layer, x, shortcut = GroupNorm(2, 16), images(1, 16, 8, 8), images(1, 16, 8, 8, seed=1).detach()
    shortcut[0, 0, 0, 0] = -torch.inf
    y = join(layer, x, shortcut)
    direction = torch.zeros_like(y)
    direction[0, 0, 0, 0] = torch.inf
    assert y.isfinite().all()
    assert all(gradient.isfinite().all() for gradient in torch.autograd.grad(y, [x, *layer.parameters()], direction))


def test_pooling_of_nothing_but_minus_infinity_gives_the_gradient_to_the_first() -> None:
    x = images(1, 16, 7, 8).detach().fill_(-torch.inf).requires_grad_(True)
    wide = x.detach().float().requires_grad_(True)
    for one, other in zip(gradients(MaxPool()(x), [x]), gradients(functional.max_pool2d(wide, 3, 2, 1), [wide]), strict=True):
        torch.testing.assert_close(one.float(), other, rtol=2 * HALF, atol=2 * HALF)


def test_defaults_of_the_process_do_not_change_what_kernels_write() -> None:
    layer, x = GroupNorm(2, 16), images(3, 16, 5, 5)
    wanted = gradients(layer(x), [x, *layer.parameters()])
    torch.set_default_dtype(torch.float64)
    try:
        again = gradients(layer(x), [x, *layer.parameters()])
    finally:
        torch.set_default_dtype(torch.float32)
    assert all(torch.equal(one, other) for one, other in zip(again, wanted, strict=True))


def test_images_with_another_number_of_channels_are_refused() -> None:
    with pytest.raises(RuntimeError):
        GroupNorm(2, 32)(images(3, 16, 5, 5))


@pytest.mark.parametrize("layer", [GroupNorm(2, 16), MaxPool()], ids=["normalisation", "pooling"])
def test_a_batch_may_be_empty(layer: Callable[[Tensor], Tensor]) -> None:
    x = images(0, 16, 8, 8)
    assert gradients(layer(x), [x])[1].shape == x.shape


def test_kernels_are_for_bf16_images_in_channels_last_order() -> None:
    x = images(2, 16, 4, 4)
    assert has_kernels(x)
    assert not has_kernels(x.float()) and not has_kernels(x.contiguous())
