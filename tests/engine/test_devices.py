"""The device argument, and that half precision is only taken where the hardware computes it."""

from __future__ import annotations

import pytest
import torch

from panda_core.devices import autocast_dtype, available, pick_device
from panda_core.errors import PandaError

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
