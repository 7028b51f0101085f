"""The device argument, and that half precision is only taken where the hardware computes it."""

from __future__ import annotations

import pytest
import torch

from panda_core.devices import autocast_dtype, available, exact_float32, pick_device
from panda_core.errors import PandaError
from panda_core.nets.dirichlet import Dirichlets
from panda_core.pooled import PooledGaussian
from panda_core.watching import _logits

CPU, CUDA, MPS = torch.device("cpu"), torch.device("cuda"), torch.device("mps")
PROBES = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")


def pretend(monkeypatch: pytest.MonkeyPatch, *, cuda: int = 0, mps: bool = False) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


@pytest.mark.parametrize(("cuda", "mps", "best"), [(2, False, "cuda"), (0, True, "mps"), (0, False, "cpu"), (1, True, "cuda")])
def test_auto_takes_the_best_device(monkeypatch: pytest.MonkeyPatch, cuda: int, mps: bool, best: str) -> None:
    pretend(monkeypatch, cuda=cuda, mps=mps)
    assert pick_device("auto").type == best == available()[0]


@pytest.mark.parametrize("name", ["cpu", "cuda", "cuda:1"])
def test_a_device_that_is_there_is_taken_by_name(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    pretend(monkeypatch, cuda=2)
    assert pick_device(name) == torch.device(name)


@pytest.mark.parametrize("name", ["cuda:2", "mps", "meta", "gpu", "cuda:x", ""])
def test_a_device_that_is_not_there_names_those_that_are(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    pretend(monkeypatch, cuda=2)
    with pytest.raises(PandaError, match="auto, cuda, cpu"):
        pick_device(name)


@pytest.mark.parametrize("hardware", [None, *PROBES])
def test_a_processor_gets_bf16_only_if_it_multiplies_it(monkeypatch: pytest.MonkeyPatch, hardware: str | None) -> None:
    for probe in PROBES:
        monkeypatch.setattr(torch.cpu, probe, lambda found=probe == hardware: found, raising=False)
    assert autocast_dtype(CPU) == (torch.bfloat16 if hardware else None)


def test_an_older_torch_without_the_probes_computes_fp32(monkeypatch: pytest.MonkeyPatch) -> None:
    for probe in PROBES:
        monkeypatch.delattr(torch.cpu, probe, raising=False)
    assert autocast_dtype(CPU) is None


@pytest.mark.parametrize("device", [CUDA, MPS])
def test_a_gpu_computes_fp32_by_itself(monkeypatch: pytest.MonkeyPatch, device: torch.device) -> None:
    for probe in PROBES:  # of its host's processor, which does not count
        monkeypatch.setattr(torch.cpu, probe, lambda: True, raising=False)
    assert autocast_dtype(device) is None


def test_a_precision_asked_for_is_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    for probe in PROBES:
        monkeypatch.setattr(torch.cpu, probe, lambda: True, raising=False)
    assert autocast_dtype(CPU, "fp32") is None
    assert autocast_dtype(CPU, "bf16") is autocast_dtype(CUDA, "bf16") is torch.bfloat16


class WithoutFloat64(torch.Tensor):
    """Stands for a tensor on MPS: its numbers must come to the processor before they become float64."""

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        answer = super().__torch_function__(func, types, args, kwargs or {})
        if func is torch.Tensor.cpu:
            return answer.as_subclass(torch.Tensor)
        if isinstance(answer, cls) and answer.dtype == torch.float64:
            raise TypeError("This device has no float64.")
        return answer


def on_mps(values: torch.Tensor) -> torch.Tensor:
    return values.as_subclass(WithoutFloat64)


def test_the_stand_in_refuses_float64() -> None:
    with pytest.raises(TypeError, match="no float64"):
        on_mps(torch.rand(4)).double()
    assert on_mps(torch.rand(4)).cpu().double().dtype == torch.float64


def test_nothing_asks_a_device_for_float64() -> None:
    images = torch.rand(8, 6, generator=torch.Generator().manual_seed(0))
    assert _logits(on_mps(images[0])) == _logits(images[0])
    far, near = PooledGaussian(6), PooledGaussian(6)
    far.fit(on_mps(images))
    near.fit(images)
    assert torch.equal(far.whitening, near.whitening)
    answers = images[:6].log_softmax(dim=1)
    densities = Dirichlets(6)
    densities.fit(on_mps(answers))
    expected = densities.strangeness(answers.expand(2, 6, 6))
    densities.concentration = on_mps(densities.concentration)
    assert torch.equal(densities.strangeness(on_mps(answers.expand(2, 6, 6))).as_subclass(torch.Tensor), expected)


def test_tf32_stays_off_until_the_last_thread_is_done() -> None:
    before = torch.backends.cudnn.allow_tf32
    first, second = exact_float32(CUDA), exact_float32(CUDA)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert torch.backends.cudnn.allow_tf32 is False
    second.__exit__(None, None, None)
    assert torch.backends.cudnn.allow_tf32 is before
