"""Layers of bf16 images in channels_last order on a CPU, compiled by Numba: each map is read and written as seldom as can be.

Images are B x pixels x C, 16 bits each; sums are kept in float32 along a row of pixels and in float64 beyond. One thread takes whole
images, so that results do not depend on the number of threads. No freedom with arithmetic is given to the compiler: it would take it in
vectors and not in single numbers, and which of the two runs depends on where the memory of a thread happens to lie.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numba import types

from panda_core.kernels.primitives import bits_of, double_of, float_of, memory, take

ROW = 64
"""Pixels whose sum is kept in float32."""


def _kernel(function: Callable[[Any], None]) -> Any:
    signature = types.void(types.CPointer(types.int64))
    options = {"nopython": True, "error_model": "numpy"}
    try:
        return numba.cfunc(signature, cache=True, **options)(function)
    except (RuntimeError, OSError):  # nowhere to keep the machine code, or no space: each process makes it anew
        return numba.cfunc(signature, **options)(function)


def _inlined(function: Callable[..., Any]) -> Any:
    return numba.njit(inline="always", error_model="numpy")(function)


@_inlined
def _wide(half: Any) -> Any:
    return float_of(np.uint32(np.uint32(half) << np.uint32(16)))


@_inlined
def _half(value: Any) -> Any:
    """To the nearest bf16, ties to even."""
    bits = bits_of(value)
    rounded = np.uint16((bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16))
    return rounded if value == value else np.uint16(0x7FC0)


@_inlined
def _gated(signal: Any, value: Any, slope: Any) -> Any:
    """LeakyReLU of ``value`` for a signal. With slope 0 nothing passes, not even infinity; NaN opens the gate."""
    weak = signal * slope if slope != 0 else np.float32(0)
    return weak if value <= 0 else signal


@_inlined
def _maps(address: Any, count: Any, pixels: Any, channels: Any) -> Any:
    return numba.carray(memory(address), (count, pixels, channels), np.uint16)


@_inlined
def _floats(address: Any, rows: Any, columns: Any) -> Any:
    return numba.carray(memory(address), (rows, columns), np.float32)


@_kernel
def group_norm(task: Any) -> None:
    """y = act(weight * (x - mean) * rstd + bias + shortcut), with the arguments

    images, pixels, channels, groups, slope, eps; x, weight, bias; y, statistics (out); shortcut, as x, or 0 for none.
    ``slope`` is that of the activation below 0: 0 for ReLU, 1 for none. The statistics are 2 x B x groups: mean, then 1 / deviation.
    """
    head = numba.carray(task, 13)
    count, pixels, channels, groups = head[1], head[2], head[3], head[4]
    slope, eps = np.float32(double_of(head[5])), double_of(head[6])
    x, y = _maps(head[7], count, pixels, channels), _maps(head[10], count, pixels, channels)
    weight, bias = _floats(head[8], 1, channels)[0], _floats(head[9], 1, channels)[0]
    statistics = _floats(head[11], 2 * count, groups)
    mean, rstd = statistics[:count], statistics[count:]
    each = channels // groups
    size = pixels * each
    total, square = np.empty(channels), np.empty(channels)
    row_total, row_square = np.empty(channels, np.float32), np.empty(channels, np.float32)
    scale, shift = np.empty(channels, np.float32), np.empty(channels, np.float32)
    b = take(task)
    while b < count:
        total[:], square[:] = 0, 0
        for start in range(0, pixels, ROW):
            row_total[:], row_square[:] = 0, 0
            for p in range(start, min(start + ROW, pixels)):
                for c in range(channels):
                    value = _wide(x[b, p, c])
                    row_total[c] += value
                    row_square[c] += value * value
            for c in range(channels):
                total[c] += row_total[c]
                square[c] += row_square[c]
        for g in range(groups):
            first, last = g * each, (g + 1) * each
            middle = total[first:last].sum() / size
            variance = max(square[first:last].sum() / size - middle * middle, 0.0)
            mean[b, g], rstd[b, g] = middle, 1 / np.sqrt(variance + eps)
            for c in range(first, last):
                scale[c] = rstd[b, g] * weight[c]
                shift[c] = bias[c] - mean[b, g] * scale[c]
        if head[12]:
            shortcut = _maps(head[12], count, pixels, channels)
            for p in range(pixels):
                for c in range(channels):
                    value = _wide(x[b, p, c]) * scale[c] + shift[c] + _wide(shortcut[b, p, c])
                    y[b, p, c] = _half(_gated(value, value, slope))
        else:
            for p in range(pixels):
                for c in range(channels):
                    value = _wide(x[b, p, c]) * scale[c] + shift[c]
                    y[b, p, c] = _half(_gated(value, value, slope))
        b = take(task)


@_kernel
def group_norm_backward(task: Any) -> None:
    """With the arguments

    images, pixels, channels, groups, slope; dy, x, weight, bias, statistics; dx (out); the gradient to weight and bias, 2 x B x C (out);
    with a shortcut y and dshortcut (out), else 0 twice.
    """
    head = numba.carray(task, 15)
    count, pixels, channels, groups, slope = head[1], head[2], head[3], head[4], np.float32(double_of(head[5]))
    dy, x = _maps(head[6], count, pixels, channels), _maps(head[7], count, pixels, channels)
    weight, bias = _floats(head[8], 1, channels)[0], _floats(head[9], 1, channels)[0]
    statistics, of_layer = _floats(head[10], 2 * count, groups), _floats(head[12], 2 * count, channels)
    mean, rstd, dweight, dbias = statistics[:count], statistics[count:], of_layer[:count], of_layer[count:]
    dx = _maps(head[11], count, pixels, channels)
    y, dshortcut = _maps(head[13], count, pixels, channels), _maps(head[14], count, pixels, channels)
    each = channels // groups
    size = pixels * each
    total, product = np.empty(channels), np.empty(channels)
    row_total, row_product = np.empty(channels, np.float32), np.empty(channels, np.float32)
    scale, shift = np.empty(channels, np.float32), np.empty(channels, np.float32)
    along, constant = np.empty(channels, np.float32), np.empty(channels, np.float32)
    b = take(task)
    while b < count:
        for c in range(channels):
            scale[c] = rstd[b, c // each] * weight[c]
            shift[c] = bias[c] - mean[b, c // each] * scale[c]
        total[:], product[:] = 0, 0
        for start in range(0, pixels, ROW):
            row_total[:], row_product[:] = 0, 0
            end = min(start + ROW, pixels)
            if head[13]:
                for p in range(start, end):
                    for c in range(channels):
                        gradient = _wide(dy[b, p, c])
                        gradient = _gated(gradient, _wide(y[b, p, c]), slope)
                        dshortcut[b, p, c] = _half(gradient)
                        row_total[c] += gradient
                        row_product[c] += gradient * _wide(x[b, p, c])
            else:
                for p in range(start, end):
                    for c in range(channels):
                        value, gradient = _wide(x[b, p, c]), _wide(dy[b, p, c])
                        gradient = _gated(gradient, value * scale[c] + shift[c], slope)
                        row_total[c] += gradient
                        row_product[c] += gradient * value
            for c in range(channels):
                total[c] += row_total[c]
                product[c] += row_product[c]
        # mean and rstd depend on every x of their group: dx = scale * gradient + along * x + constant.
        for g in range(groups):
            first, last = g * each, (g + 1) * each
            middle, deviation = np.float64(mean[b, g]), np.float64(rstd[b, g])
            weighed, turn = 0.0, 0.0
            for c in range(first, last):
                weighed += total[c] * weight[c]
                turn -= product[c] * weight[c]
                dweight[b, c] = (product[c] - total[c] * middle) * deviation
                dbias[b, c] = total[c]
            turn = (turn + weighed * middle) * deviation**3 / size
            for c in range(first, last):
                along[c] = turn
                constant[c] = -turn * middle - weighed * deviation / size
        if head[13]:
            for p in range(pixels):
                for c in range(channels):
                    dx[b, p, c] = _half(_wide(dshortcut[b, p, c]) * scale[c] + _wide(x[b, p, c]) * along[c] + constant[c])
        else:
            for p in range(pixels):
                for c in range(channels):
                    value, gradient = _wide(x[b, p, c]), _wide(dy[b, p, c])
                    gradient = _gated(gradient, value * scale[c] + shift[c], slope)
                    dx[b, p, c] = _half(gradient * scale[c] + value * along[c] + constant[c])
        b = take(task)


@_kernel
def affine(task: Any) -> None:
    """y = x * scale + shift, between low and high: images, pixels, channels, low, high; x, scale, shift; y (out)."""
    head = numba.carray(task, 10)
    count, pixels, channels = head[1], head[2], head[3]
    low, high = np.float32(double_of(head[4])), np.float32(double_of(head[5]))
    x, y = _maps(head[6], count, pixels, channels), _maps(head[9], count, pixels, channels)
    scale, shift = _floats(head[7], 1, channels)[0], _floats(head[8], 1, channels)[0]
    b = take(task)
    while b < count:
        for p in range(pixels):
            for c in range(channels):
                value = _wide(x[b, p, c]) * scale[c] + shift[c]
                value = low if value < low else value  # not max and min, which lose NaN
                y[b, p, c] = _half(high if value > high else value)
        b = take(task)


@_kernel
def affine_backward(task: Any) -> None:
    """Images, pixels, channels, low, high; dy, x, scale, shift; dx (out)."""
    head = numba.carray(task, 11)
    count, pixels, channels = head[1], head[2], head[3]
    low, high = np.float32(double_of(head[4])), np.float32(double_of(head[5]))
    dy, x = _maps(head[6], count, pixels, channels), _maps(head[7], count, pixels, channels)
    scale, shift = _floats(head[8], 1, channels)[0], _floats(head[9], 1, channels)[0]
    dx = _maps(head[10], count, pixels, channels)
    b = take(task)
    while b < count:
        for p in range(pixels):
            for c in range(channels):
                value = _wide(x[b, p, c]) * scale[c] + shift[c]
                gradient = _wide(dy[b, p, c]) * scale[c]
                dx[b, p, c] = _half(gradient if low < value < high else np.float32(0))
        b = take(task)


@_kernel
def max_pool(task: Any) -> None:
    """3 x 3, stride 2, padding 1: images, height, width, channels; x; y and the place in its window, 0 to 8, of each y (out)."""
    head = numba.carray(task, 8)
    count, height, width, channels = head[1], head[2], head[3], head[4]
    down, right = (height + 1) // 2, (width + 1) // 2
    x, y = _maps(head[5], count, height * width, channels), _maps(head[6], count, down * right, channels)
    where = numba.carray(memory(head[7]), (count, down * right, channels), np.uint8)
    most = np.empty(channels, np.float32)
    b = take(task)
    while b < count:
        for p in range(down * right):
            top, left = 2 * (p // right) - 1, 2 * (p % right) - 1
            most[:] = -np.inf
            where[b, p, :] = np.uint8(3 * (max(top, 0) - top) + max(left, 0) - left)
            for h in range(max(top, 0), min(top + 3, height)):
                for w in range(max(left, 0), min(left + 3, width)):
                    place = np.uint8(3 * (h - top) + w - left)
                    for c in range(channels):
                        value = _wide(x[b, h * width + w, c])
                        more = value > most[c] or value != value  # NaN wins
                        most[c] = value if more else most[c]
                        where[b, p, c] = place if more else where[b, p, c]
            for c in range(channels):
                y[b, p, c] = _half(most[c])
        b = take(task)


@_kernel
def max_pool_backward(task: Any) -> None:
    """Images, height, width, channels; dy and the places; dx (out)."""
    head = numba.carray(task, 8)
    count, height, width, channels = head[1], head[2], head[3], head[4]
    down, right = (height + 1) // 2, (width + 1) // 2
    dy, dx = _maps(head[5], count, down * right, channels), _maps(head[7], count, height * width, channels)
    where = numba.carray(memory(head[6]), (count, down * right, channels), np.uint8)
    total = np.empty(channels, np.float32)
    b = take(task)
    while b < count:
        for p in range(height * width):
            h, w = p // width, p % width
            total[:] = 0
            for v in range(h // 2, min((h + 1) // 2 + 1, down)):
                for u in range(w // 2, min((w + 1) // 2 + 1, right)):
                    place = np.uint8(3 * (h - 2 * v + 1) + w - 2 * u + 1)
                    for c in range(channels):
                        total[c] += _wide(dy[b, v * right + u, c]) if where[b, v * right + u, c] == place else np.float32(0)
            for c in range(channels):
                dx[b, p, c] = _half(total[c])
        b = take(task)
