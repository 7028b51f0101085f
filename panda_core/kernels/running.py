"""Starts a compiled kernel in PyTorch's own threads."""

from __future__ import annotations

import ctypes
import os
import struct
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

_INT64, _FLOAT64 = struct.Struct("=q"), struct.Struct("=d")
_Call = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


def run(kernel: Any, *arguments: Tensor | int | float) -> None:
    """Calls ``kernel`` in as many threads as PyTorch uses. Tensors are given by their memory, which has to be as the kernel expects it."""
    numbers = [_number(argument) for argument in arguments]
    task = (ctypes.c_int64 * (1 + len(numbers)))(0, *numbers)  # the first is the next image: a thread that is free takes it
    threads = torch.get_num_threads()
    if threads > 1 and _parallel is not None:
        _parallel(kernel.address, ctypes.addressof(task), threads, 0)
        return
    call = _Call(kernel.address)
    others = [_pool().submit(call, ctypes.addressof(task)) for _ in range(threads - 1)]
    call(ctypes.addressof(task))
    for other in others:
        other.result()


@cache
def _pool() -> ThreadPoolExecutor:
    """Threads of our own, where PyTorch's cannot be asked; they cost more to wake."""
    return ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="kernels")


def _number(argument: Tensor | int | float) -> int:
    """Of a tensor its address, of a float its bits."""
    if isinstance(argument, int):
        return argument
    if isinstance(argument, float):
        return int(_INT64.unpack(_FLOAT64.pack(argument))[0])
    return argument.data_ptr()


def _find_parallel() -> Any:
    """OpenMP's call that runs a function in a team of threads, from the library that PyTorch uses; None where that is another kind."""
    library = Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"
    try:
        found = ctypes.CDLL(os.fspath(library)).GOMP_parallel
    except (OSError, AttributeError):
        return None
    found.restype, found.argtypes = None, (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint)
    return found


_parallel = _find_parallel()
