"""The search of the joint bound, in machine code: the largest t at which every null hypothesis is rejected.

A null hypothesis is a (p, a, b) with p (1 - a) + (1 - p) b <= t. Cells of p carry a level each; within a cell,
every (a, b) of the nuisance set must give the observed staircase at most that probability. ``docs/guarantees.md``
has the proof; the names are its symbols.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smoothcert.bounds._table_tail import compiled, fill_reach, probability_above

__all__ = ["largest_rejected"]

Array = NDArray[np.float64]

_GAP = 0.01  # to what the bound over a cell of b may exceed the values at its ends, logarithmically
_CURVED = 2.0  # beyond it the bound of a piece is that of its corner
_SPREAD = 0.4  # quantiles of levels that share an ordering of the tables
_DEPTH = 64
_SLACK = 1e-15


@compiled
def _null_a(b: float, t: float, p: float) -> float:
    """Return the a with p (1 - a) + (1 - p) b = t, rounded down; 0 where it is negative."""
    return float(max(1 - b + (b - t) / p - _SLACK * (1 + 1 / p), 0.0))


@compiled
def _line_meets(total: float, t: float, p_low: float, p_high: float, k1: int, k0: int) -> tuple[float, float]:
    """Return the b at which the line of smallest a meets k1 a + k0 b = total, and what rounding may add to it."""
    p = p_low if total <= k1 * (1 - t) + k0 * t else p_high
    slope = k0 + k1 * (1 - p) / p
    if slope <= 0:
        return np.inf, 0.0
    return (total - k1 * (1 - t / p)) / slope, 1e-14 * (total + k1 * (1 + t / p)) / slope


@compiled
def _variance(low: float, high: float) -> float:
    """Return the largest x (1 - x) for x between the two."""
    if high <= 0.5:
        return high * (1 - high)
    return low * (1 - low) if low >= 0.5 else 0.25


@compiled
def _log_gap(a0: float, b0: float, a1: float, b1: float, slope: float, k1: int, k0: int) -> float:
    """Bound log of the largest probability on the null line between two points, less the larger end's log.

    Log-convexity in the logits along the chord, and the distance of the line from the chord.
    """
    if a0 <= 0 or b0 <= 0 or a1 >= 1 or b1 >= 1:
        return np.inf
    da = np.log(a1 / a0 * ((1 - a0) / (1 - a1)))
    db = np.log(b1 / b0 * ((1 - b0) / (1 - b1)))
    convexity = k1 * _variance(a0, a1) * da * da + k0 * _variance(b0, b1) * db * db
    steepest = slope * _variance(b0, b1) / min(a0 * (1 - a0), a1 * (1 - a1))
    flattest = slope * min(b0 * (1 - b0), b1 * (1 - b1)) / _variance(a0, a1)
    turn = (1 - 2 * a1) * (flattest if a1 <= 0.5 else steepest)
    bend = steepest * max(0.0, 1 - 2 * b0 - turn)
    return float((convexity + bend * db * db * k1 * a1) / 8)


@compiled
def _range_of_b(
    t: float, p_low: float, p_high: float, k1: int, k0: int, low: float, high: float
) -> tuple[float, float]:
    """Return between which b the largest probability of a null in the nuisance set is; an empty range for no null.

    The null with the smallest a to a given b is on a line, which is cut at a = 0. Left of the first end, smaller b
    mean larger or equal a, because of the nuisance set, or still a = 0: the end has the largest probability.
    """
    end = min(1.0, t / (1 - p_high)) if p_high < 1 else 1.0
    last, slack = _line_meets(high, t, p_low, p_high, k1, k0)
    last = min(last + slack, end)
    if k0 > 0:
        last = min(last, high / k0 * (1 + _SLACK))
    first, slack = _line_meets(low, t, p_low, p_high, k1, k0)
    first = max(0.0, min(first - slack, end))
    reaches_zero = (t - p_low) / (1 - p_low) - _SLACK
    if reaches_zero > first:
        first = min(reaches_zero, last)
    return first, last


@compiled
def _line_rejected(
    first: float,
    last: float,
    t: float,
    p: float,
    level: float,
    k1: int,
    k0: int,
    reach: NDArray[np.int64],
    buffer: Array,
) -> bool:
    """Tell whether all nulls (p, a(b), b), b from first to last, give the staircase at most probability `level`.

    A doubt within rounding or `_GAP` counts as no. The line is walked from left to right; a piece whose bound is
    too large is halved.
    """
    cut = 1e-6 * level
    a0, b0 = _null_a(first, t, p), first
    g0 = probability_above(k1, a0, k0, b0, reach, cut, buffer)
    if g0 > level or k0 == 0:
        return g0 <= level
    ends = np.empty(_DEPTH)
    count = min(1 + int(1.4 * (np.sqrt(k0 * last) - np.sqrt(k0 * first))), _DEPTH // 2)
    for i in range(count):
        root = np.sqrt(last) + i / count * (np.sqrt(first) - np.sqrt(last))
        ends[i] = root * root if i else last
    while count:
        b1 = ends[count - 1]
        a1 = _null_a(b1, t, p)
        g1 = probability_above(k1, a1, k0, b1, reach, cut, buffer)
        if g1 > level:
            return False
        gap = _log_gap(a0, b0, a1, b1, (1 - p) / p, k1, k0)
        small = gap < _CURVED and max(g0, g1) * np.exp(gap) <= level
        if gap >= _CURVED:  # near a or b of 0 or 1, where logits run away
            small = probability_above(k1, a0, k0, b1, reach, cut, buffer) <= level
        if small:
            a0, b0, g0 = a1, b1, g1
            count -= 1
            continue
        if gap < _GAP or count == _DEPTH or k1 * (a1 - a0) + k0 * (b1 - b0) < 1e-5:
            return False
        root = (np.sqrt(b0) + np.sqrt(b1)) / 2
        ends[count] = root * root
        count += 1
    return True


@compiled
def _cell_rejected(
    t: float,
    p_low: float,
    p_high: float,
    level: float,
    k1: int,
    k0: int,
    low: float,
    high: float,
    reach: NDArray[np.int64],
    buffer: Array,
) -> bool:
    """Tell whether every null with p in the cell is rejected: of its a, the smallest is at p_low up to b = t."""
    first, last = _range_of_b(t, p_low, p_high, k1, k0, low, high)
    if first > last:
        return True
    if first <= t and not _line_rejected(first, min(last, t), t, p_low, level, k1, k0, reach, buffer):
        return False
    return last <= t or _line_rejected(max(first, t), last, t, p_high, level, k1, k0, reach, buffer)


@compiled
def _block_rejected(
    t: float,
    first: int,
    last: int,
    edges: Array,
    levels: Array,
    k1: int,
    k0: int,
    low: float,
    high: float,
    reach: NDArray[np.int64],
    buffer: Array,
) -> bool:
    """Tell whether the cells first..last are rejected at t, taking them together as long as that suffices."""
    stack = np.empty((_DEPTH, 2), np.int64)
    stack[0, 0], stack[0, 1] = first, last
    count = 1
    while count:
        count -= 1
        i, j = stack[count, 0], stack[count, 1]
        p_low, p_high = edges[i - 1], edges[j] if j < len(edges) else 1.0
        if p_low <= 0:
            return False
        level = levels[i : j + 1].min()
        if _cell_rejected(t, p_low, p_high, level, k1, k0, low, high, reach, buffer):
            continue
        if i == j:
            return False
        middle = (i + j) // 2
        stack[count, 0], stack[count, 1] = middle + 1, j
        stack[count + 1, 0], stack[count + 1, 1] = i, middle
        count += 2
    return True


@compiled
def _largest_in_block(
    t: float,
    step: float,
    smallest_step: float,
    first: int,
    last: int,
    edges: Array,
    levels: Array,
    k1: int,
    k0: int,
    low: float,
    high: float,
    reach: NDArray[np.int64],
    buffer: Array,
) -> float:
    """Return a t, not above the given one, at which the block is rejected; the largest but for smallest_step."""
    if _block_rejected(t, first, last, edges, levels, k1, k0, low, high, reach, buffer):
        return t
    fails = t
    while True:
        t = max(fails - step, 0.0)
        if _block_rejected(t, first, last, edges, levels, k1, k0, low, high, reach, buffer):
            break
        if t <= 0:
            return 0.0
        fails, step = t, 2 * step
    while fails - t > smallest_step:
        middle = (fails + t) / 2
        if _block_rejected(middle, first, last, edges, levels, k1, k0, low, high, reach, buffer):
            t = middle
        else:
            fails = middle
    return t


@compiled
def _cell_levels(
    edges: Array, bins: Array, tau: NDArray[np.int64], prepared: Array, prepared_z: Array, levels: Array, z: Array
) -> None:
    """Write each cell's level and its quantile: the smallest level over the bins of p that the cell touches."""
    cells = len(edges) + 1
    high = 0
    for j in range(cells):
        low, high = high, np.searchsorted(bins, edges[j], side="right") if j < len(edges) else len(bins)
        best = tau[low]
        for b in range(low + 1, high + 1):
            if prepared[tau[b], j] < prepared[best, j]:
                best = tau[b]
        levels[j], z[j] = prepared[best, j], prepared_z[best, j]


@compiled
def largest_rejected(
    edges: Array,
    bins: Array,
    tau: NDArray[np.int64],
    prepared: Array,
    prepared_z: Array,
    tables: NDArray[np.int64],
    nuisance: Array,
    estimate: Array,
    bound: Array,
) -> None:
    """Write the joint bound of every input.

    tables has the columns k1, k0, n10, n01; nuisance the limits of k1 a + k0 b; estimate the columns p, p', the
    standard error of p, that of the paired part, and kappa. Only the first two arrays bear on validity with p.
    """
    cells = edges.shape[1] + 1
    levels, z = np.empty(cells), np.empty(cells)
    for i in range(len(bound)):
        k1, k0, n10, n01 = tables[i]
        low, high = nuisance[i]
        p_hat, p_new, s_base, s_pair, kappa = estimate[i]
        _cell_levels(edges[i], bins, tau[i], prepared, prepared_z, levels, z)
        size = int(high + 14 * np.sqrt(high)) + 64
        reach = np.empty(min(size, k0) + 1, np.int64)
        buffer = np.empty((2, 2 * size))
        begin, t = 1, 2.0
        for j in range(1, cells):
            if levels[j] >= 1:
                begin = j + 1
                continue
            guess = p_new - (p_hat - edges[i, j - 1]) - z[j] * s_pair
            if guess < t:
                t, binding = guess, j
        step = 0.3 * np.sqrt(s_base * s_base + s_pair * s_pair)
        t = min(max(t, 0.0) + step, 1.0)
        # The block that probably binds comes first, so that the others mostly pass as they are.
        for turn in range(2):
            first = begin
            while first < cells and t > 0:
                last = first
                while last + 1 < cells and z[last + 1] - z[first] < _SPREAD:
                    last += 1
                if (first <= binding <= last) == (turn == 0):
                    fill_reach(n10, n01, k1, kappa, (z[first] + z[last]) / 2, reach)
                    if turn == 0:
                        while t < 1 and _block_rejected(
                            t, first, last, edges[i], levels, k1, k0, low, high, reach, buffer
                        ):
                            t = min(t + step, 1.0)
                    t = _largest_in_block(
                        t,
                        step if turn == 0 else step / 200,
                        step / 200,
                        first,
                        last,
                        edges[i],
                        levels,
                        k1,
                        k0,
                        low,
                        high,
                        reach,
                        buffer,
                    )
                first = last + 1
        bound[i] = max(t, 0.0)
