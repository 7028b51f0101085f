"""Which device computes, and whether it computes bf16 in hardware."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch

from panda_core.config import Precision
from panda_core.errors import PandaError


def available() -> list[str]:
    """Devices of this machine, best first: "cuda", "mps", "cpu"."""
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    return [name for name, there in present.items() if there]


def pick_device(name: str = "auto") -> torch.device:
    """ "auto" (the best there is), "cpu", "cuda", "cuda:1" or "mps". Raises PandaError where it is absent, naming what there is."""
    if name == "auto":
        return torch.device(available()[0])
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise PandaError(f"No device '{name}'. Choose auto, {', '.join(available())}.") from error
    absent = device.type not in available()
    if absent or (device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count()):
        raise PandaError(f"This machine has no device '{name}'. Choose auto, {', '.join(available())}.")
    return device


def autocast_dtype(device: torch.device, precision: Precision = "auto") -> torch.dtype | None:
    """torch.bfloat16 where autocast pays, else None (fp32).

    ``auto`` takes bf16 only on a CPU that multiplies it: emulated without AMX or AVX512-BF16 a ResNet-50 step was measured twelve
    times slower than fp32. A GPU computes in fp32 (convolutions in TF32): a training waits there for its kernels to be started,
    and autocast starts more of them. On an H100 a step of the game took 1.1 to 1.4 times as long with it (64 to 256 px).
    """
    if precision == "fp32":
        return None
    if precision == "bf16":
        return torch.bfloat16
    return torch.bfloat16 if device.type == "cpu" and _cpu_multiplies_bf16() else None


@contextmanager
def exact_float32(device: torch.device) -> Iterator[None]:
    """float32 as it is written: without autocast, and on CUDA without TF32 in convolutions.

    For statistics that are fitted on one machine and measured on another: where normal images hardly differ, the rounding
    of half precision is larger than what is usual among them.
    """
    with torch.autocast(device.type, enabled=False), _TF32.off() if device.type == "cuda" else nullcontext():
        yield


class _Tf32Switch:
    """cuDNN's use of TF32, which is one switch for the whole process: the first thread turns it off, the last one back."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._before = True

    @contextmanager
    def off(self) -> Iterator[None]:
        with self._lock:
            if self._users == 0:
                self._before, torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.allow_tf32, False
            self._users += 1
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if self._users == 0:
                    torch.backends.cudnn.allow_tf32 = self._before


_TF32 = _Tf32Switch()


def _cpu_multiplies_bf16() -> bool:
    probes = (getattr(torch.cpu, name, None) for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"))
    return any(probe() for probe in probes if probe is not None)
