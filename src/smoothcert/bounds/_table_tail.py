"""Probabilities of sets of paired votes, rounded up, in machine code.

Given the cached votes, n10 ~ Bin(k1, a) and n01 ~ Bin(k0, b) are independent. The sets here are staircases: for
every n01 = y they hold n10 = 0..reach[y] with a non-decreasing reach, so that their probability falls in a and
rises in b.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

__all__ = ["compiled", "fill_reach", "probability_above"]

Array = NDArray[np.float64]
_Function = TypeVar("_Function", bound=Callable[..., Any])

_ROUNDING = 1 + 1e-9
"""More than the arithmetic can lose: a few thousand steps of a recurrence at 4e-16 each."""


def compiled(function: _Function) -> _Function:
    """Compile for one thread without the interpreter's lock, and keep the machine code where a folder is found."""
    try:
        return cast("_Function", numba.njit(nogil=True, cache=True)(function))
    except RuntimeError:
        return cast("_Function", numba.njit(nogil=True)(function))


@compiled
def fill_reach(n10: int, n01: int, k1: int, kappa: float, z: float, reach: NDArray[np.int64]) -> None:
    """Write the staircase of all tables that speak at least as strongly against a loss as the observed one.

    They are ordered by an approximate upper limit of k1 (a - s b), increasing in x and non-increasing in y:
    x - kappa y + z sqrt(x + kappa^2 y + h) with h = z^2 max(1, kappa^2) / 4. Ties, and what rounding could make a
    tie, belong to the set, and where rounding would bend the staircase it is straightened upwards.
    """
    h = z * z * max(1.0, kappa * kappa) / 4
    observed = n10 - kappa * n01 + z * np.sqrt(n10 + kappa * kappa * n01 + h)
    highest = -1
    for y in range(len(reach)):
        right = observed + kappa * y
        inside = z * z / 4 + right + kappa * kappa * y + h
        if inside >= 0:
            margin = 1e-9 * (1 + abs(right) + z * np.sqrt(inside))
            x = right + z * z / 2 - z * np.sqrt(inside) + margin
            # At x = -h the square root is 0; below it the ordering is not defined.
            if x >= 0:
                highest = max(highest, min(int(x), k1))
        if y == n01:
            highest = max(highest, n10)
        reach[y] = highest


@compiled
def _fill(trials: int, p: float, cut: float, weight: Array) -> tuple[int, int, float, float]:
    """Write Bin(trials, p) relative to its mode, as far as it is above `cut` or the buffer allows.

    Returns the first and last count written, and bounds of what lies below and above, in the same units.
    """
    mode = min(int((trials + 1) * p), trials)
    if p <= 0 or p >= 1:
        weight[0] = 1.0
        return mode, mode, 0.0, 0.0
    base = max(0, mode - (len(weight) - 1) // 2)
    odds = p / (1 - p)
    w, first = 1.0, mode
    weight[mode - base] = 1.0
    while first > base and w > cut:
        w *= first / ((trials - first + 1) * odds)
        first -= 1
        weight[first - base] = w
    below = 0.0
    if first > 0:
        ratio = first / ((trials - first + 1) * odds)
        below = w * ratio / (1 - ratio) if ratio < 1 else np.inf
    w, last = 1.0, mode
    end = min(trials, base + len(weight) - 1)
    while last < end and w > cut:
        w *= (trials - last) * odds / (last + 1)
        last += 1
        weight[last - base] = w
    above = 0.0
    if last < trials:
        ratio = (trials - last) * odds / (last + 1)
        above = w * ratio / (1 - ratio) if ratio < 1 else np.inf
    for i in range(last - first + 1):  # to the front of the buffer
        weight[i] = weight[first - base + i]
    return first, last, below, above


@compiled
def probability_above(
    k1: int, a: float, k0: int, b: float, reach: NDArray[np.int64], cut: float, buffer: Array
) -> float:
    """Return at least P(n10 <= reach[n01]); `cut` is what tails are followed down to, relative to the mode.

    Beyond the end of `reach`, and where a tail is cut off, the set is taken to hold everything.
    """
    x_first, x_last, x_below, _ = _fill(k1, a, cut, buffer[0])
    total, below = 0.0, x_below
    for i in range(x_last - x_first + 1):
        total += buffer[0, i]
        buffer[0, i] = below + total
    y_first, y_last, y_below, y_above = _fill(k0, b, cut, buffer[1])
    inside, y_total = y_below + y_above, 0.0
    for i in range(y_last - y_first + 1):
        weight, y = buffer[1, i], y_first + i
        y_total += weight
        x = reach[y] if y < len(reach) else k1
        if x >= x_last:
            inside += weight
        elif x >= x_first:
            inside += weight * min(buffer[0, x - x_first] / total, 1.0)
        elif x >= 0:
            inside += weight * min(x_below / total, 1.0)
    return min(inside / y_total * _ROUNDING, 1.0)
