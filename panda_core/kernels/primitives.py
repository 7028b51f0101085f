"""What compiled kernels need of the machine that Python does not offer.

Numba keeps machine code until the file of the kernel changes, and does not look at this one: who changes a function here renames it.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic


@intrinsic
def take(context: Any, task: Any) -> Any:
    """The next number of a task, and never the same to two threads."""
    one = ir.Constant(ir.IntType(64), 1)
    return types.int64(task), lambda _, builder, signature, values: builder.atomic_rmw("add", values[0], one, "monotonic")


@intrinsic
def memory(context: Any, address: Any) -> Any:
    return types.voidptr(types.int64), lambda _, builder, signature, values: builder.inttoptr(values[0], ir.IntType(8).as_pointer())


def _bitcast(to: Any, of: Any, kind: ir.Type) -> Any:
    """A function that takes the bits of one type as those of another."""

    @intrinsic
    def cast(context: Any, value: Any) -> Any:
        return to(of), lambda _, builder, signature, values: builder.bitcast(values[0], kind)

    return cast


float_of = _bitcast(types.float32, types.uint32, ir.FloatType())
bits_of = _bitcast(types.uint32, types.float32, ir.IntType(32))
double_of = _bitcast(types.float64, types.int64, ir.DoubleType())
