"""The search of the joint bound, in machine code: the largest t at which every null hypothesis is rejected.

A null hypothesis is a (p, a, b) with p (1 - a) + (1 - p) b <= t. Given the cached votes, n10 ~ Bin(k1, a) and
n01 ~ Bin(k0, b) are independent. A null is rejected when it gives the tables that speak at least as strongly
against a loss as the observed one no more than the level of the cell of p that it is in. These tables are a
staircase: for every n01 = y they hold n10 = 0..reach[y] with a non-decreasing reach, so that their probability
falls in a and rises in b. ``docs/guarantees.md`` has the proof.

All compiled functions are in this file, because Numba looks only at the file of a function to see whether its
cached machine code is stale.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from smoothcert._machine_code import compiled

__all__ = ["largest_rejected"]

Array = NDArray[np.float64]
Integers = NDArray[np.int64]

_ROUNDING = 1 + 1e-9  # more than sums and recurrences lose: some thousand steps at 4e-16 each
_SLACK = 1e-15
_GAP = 0.01  # how closely the largest probability over a piece of the null line is bounded, logarithmically
_CURVED = 2.0  # where it would be looser than this, the bound is that of the piece's corner
_SPREAD = 0.4  # quantiles of levels that share an ordering of the tables
_DEPTH = 64
_FINENESS = 200  # steps of the search to a standard error


class Pairs(NamedTuple):
    """What was seen of the pairs, and the limits of the mean k1 a + k0 b that nulls are looked for in."""

    k1: int
    k0: int
    low: float
    high: float
    reach: Integers
    buffer: Array


class Cells(NamedTuple):
    """Cell j of p reaches from edges[j - 1] to edges[j], the last one to 1; levels, and their quantiles."""

    edges: Array
    levels: Array
    z: Array


@compiled
def fill_reach(n10: int, n01: int, k1: int, kappa: float, z: float, reach: Integers) -> None:
    """Write the staircase: of every y, the largest x whose table speaks as strongly as the observed one."""
    # Tables are ordered by an approximate upper limit of k1 (a - s b), increasing in x and non-increasing in y: x
    # - kappa y + z sqrt(x + kappa^2 y + h) with h = z^2 max(1, kappa^2) / 4. Ties, and what rounding could make a
    # tie, belong to the staircase, and where rounding would bend it, it is straightened upwards.
    h = z * z * max(1.0, kappa * kappa) / 4
    observed = n10 - kappa * n01 + z * np.sqrt(n10 + kappa * kappa * n01 + h)
    highest = -1
    for y in range(len(reach)):
        right = observed + kappa * y
        inside = z * z / 4 + right + kappa * kappa * y + h
        if inside >= 0:
            x = right + z * z / 2 - z * np.sqrt(inside)
            x += 1e-9 * (1 + abs(right) + z * np.sqrt(inside))
            if x >= 0:
                highest = max(highest, min(int(x), k1))
        if y == n01:
            highest = max(highest, n10)
        reach[y] = highest


@compiled
def _fill(trials: int, p: float, cut: float, weight: Array) -> tuple[int, int, float, float]:
    """Write Bin(trials, p) over its mode's; return the first and last count written, and bounds of the tails."""
    mode = min(int((trials + 1) * p), trials)
    if p <= 0 or p >= 1:
        weight[0] = 1.0
        return mode, mode, 0.0, 0.0
    base = max(0, mode - (len(weight) - 1) // 2)
    odds = p / (1 - p)
    weight[mode - base] = w = 1.0
    first = mode
    while first > base and w > cut:
        w *= first / ((trials - first + 1) * odds)
        first -= 1
        weight[first - base] = w
    below = 0.0
    if first > 0:  # the ratio of neighbours only falls from here: a geometric series
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
    for i in range(last - first + 1):
        weight[i] = weight[first - base + i]
    return first, last, below, above


@compiled
def staircase_probability(pairs: Pairs, a: float, b: float, cut: float) -> float:
    """Return at least P(n10 <= reach[n01]); `cut` is what tails are followed down to, relative to the mode."""
    # Beyond the end of `reach`, and where a tail is cut off, the staircase is taken to hold everything.
    cumulative, weights, reach = pairs.buffer[0], pairs.buffer[1], pairs.reach
    x_first, x_last, x_below, _ = _fill(pairs.k1, a, cut, cumulative)
    total = 0.0
    for i in range(x_last - x_first + 1):
        total += cumulative[i]
        cumulative[i] = x_below + total
    y_first, y_last, y_below, y_above = _fill(pairs.k0, b, cut, weights)
    inside, y_total = y_below + y_above, 0.0
    for i in range(y_last - y_first + 1):
        y_total += weights[i]
        x = reach[y_first + i] if y_first + i < len(reach) else pairs.k1
        if x >= x_last:
            inside += weights[i]
        elif x >= x_first:
            inside += weights[i] * min(cumulative[x - x_first] / total, 1.0)
        elif x >= 0:
            inside += weights[i] * min(x_below / total, 1.0)
    return min(inside / y_total * _ROUNDING, 1.0)


@compiled
def null_a(b: float, t: float, p: float) -> float:
    """Return the a with p (1 - a) + (1 - p) b = t, rounded down; 0 where it is negative."""
    return float(max(1 - b + (b - t) / p - _SLACK * (1 + 1 / p), 0.0))


@compiled
def _line_meets(mean: float, t: float, p_low: float, p_high: float, pairs: Pairs) -> tuple[float, float]:
    """Return the b at which the line of smallest a meets k1 a + k0 b = mean, and what rounding may add to it."""
    k1, k0 = pairs.k1, pairs.k0
    p = p_low if mean <= k1 * (1 - t) + k0 * t else p_high
    slope = k0 + k1 * (1 - p) / p
    if slope <= 0:
        return np.inf, 0.0
    return (mean - k1 * (1 - t / p)) / slope, 1e-14 * (mean + k1 * (1 + t / p)) / slope


@compiled
def range_of_b(t: float, p_low: float, p_high: float, pairs: Pairs) -> tuple[float, float]:
    """Return between which b the likeliest null within the limits of the mean is; an empty range for no null."""
    # The null with the smallest a to a given b is on a line, which is cut at a = 0. Left of the first end, smaller
    # b mean larger or equal a, because of the limits, or still a = 0: the end has the largest probability.
    end = min(1.0, t / (1 - p_high)) if p_high < 1 else 1.0
    last, slack = _line_meets(pairs.high, t, p_low, p_high, pairs)
    last = min(last + slack, end)
    if pairs.k0 > 0:
        last = min(last, pairs.high / pairs.k0 * (1 + _SLACK))
    first, slack = _line_meets(pairs.low, t, p_low, p_high, pairs)
    first = max(0.0, min(first - slack, end))
    reaches_zero = (t - p_low) / (1 - p_low) - _SLACK
    if reaches_zero > first:
        first = min(reaches_zero, last)
    return first, last


@compiled
def _variance(low: float, high: float) -> float:
    """Return the largest x (1 - x) for x between the two."""
    if high <= 0.5:
        return high * (1 - high)
    return low * (1 - low) if low >= 0.5 else 0.25


@compiled
def log_gap(a0: float, b0: float, a1: float, b1: float, slope: float, pairs: Pairs) -> float:
    """Bound log of the largest probability on the null line between two points, less the larger end's log."""
    # Two parts: log-convexity in the logits along the chord, and the distance of the line from the chord.
    if a0 <= 0 or b0 <= 0 or a1 >= 1 or b1 >= 1:
        return np.inf
    da = np.log(a1 / a0 * ((1 - a0) / (1 - a1)))
    db = np.log(b1 / b0 * ((1 - b0) / (1 - b1)))
    convexity = pairs.k1 * _variance(a0, a1) * da * da + pairs.k0 * _variance(b0, b1) * db * db
    steepest = slope * _variance(b0, b1) / min(a0 * (1 - a0), a1 * (1 - a1))
    flattest = slope * min(b0 * (1 - b0), b1 * (1 - b1)) / _variance(a0, a1)
    turn = (1 - 2 * a1) * (flattest if a1 <= 0.5 else steepest)
    bend = steepest * max(0.0, 1 - 2 * b0 - turn)
    return float((convexity + bend * db * db * pairs.k1 * a1) / 8)


@compiled
def _line_rejected(first: float, last: float, t: float, p: float, level: float, pairs: Pairs) -> bool:
    """Tell whether no null (p, a(b), b) with b from first to last gives the staircase more than `level`."""
    # A doubt within rounding or `_GAP` counts as no. The line is walked from left to right; a piece whose bound is
    # too large is halved.
    cut = 1e-6 * level
    a0, b0 = null_a(first, t, p), first
    g0 = staircase_probability(pairs, a0, b0, cut)
    if g0 > level or pairs.k0 == 0:
        return g0 <= level
    ends = np.empty(_DEPTH)
    count = min(1 + int(1.4 * (np.sqrt(pairs.k0 * last) - np.sqrt(pairs.k0 * first))), _DEPTH // 2)
    for i in range(count):
        root = np.sqrt(last) + i / count * (np.sqrt(first) - np.sqrt(last))
        ends[i] = root * root if i else last
    while count:
        b1 = ends[count - 1]
        a1 = null_a(b1, t, p)
        g1 = staircase_probability(pairs, a1, b1, cut)
        if g1 > level:
            return False
        gap = log_gap(a0, b0, a1, b1, (1 - p) / p, pairs)
        small = gap < _CURVED and max(g0, g1) * np.exp(gap) <= level
        if gap >= _CURVED:  # near a or b of 0 or 1, where logits run away
            small = staircase_probability(pairs, a0, b1, cut) <= level
        if small:
            a0, b0, g0 = a1, b1, g1
            count -= 1
            continue
        if gap < _GAP or count == _DEPTH or pairs.k1 * (a1 - a0) + pairs.k0 * (b1 - b0) < 1e-5:
            return False
        root = (np.sqrt(b0) + np.sqrt(b1)) / 2
        ends[count] = root * root
        count += 1
    return True


@compiled
def cell_rejected(t: float, p_low: float, p_high: float, level: float, pairs: Pairs) -> bool:
    """Tell whether every null with p in the cell is rejected: of its a, the smallest is at p_low up to b = t."""
    first, last = range_of_b(t, p_low, p_high, pairs)
    if first > last:
        return True
    if first <= t and not _line_rejected(first, min(last, t), t, p_low, level, pairs):
        return False
    return last <= t or _line_rejected(max(first, t), last, t, p_high, level, pairs)


@compiled
def _block_rejected(t: float, first: int, last: int, cells: Cells, pairs: Pairs) -> bool:
    """Tell whether the cells first..last are rejected at t, taking them together as long as that suffices."""
    stack = np.empty((_DEPTH, 2), np.int64)
    stack[0, 0], stack[0, 1] = first, last
    count = 1
    while count:
        count -= 1
        i, j = stack[count, 0], stack[count, 1]
        p_low, p_high = cells.edges[i - 1], cells.edges[j] if j < len(cells.edges) else 1.0
        if p_low > 0 and cell_rejected(t, p_low, p_high, cells.levels[i : j + 1].min(), pairs):
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
    t: float, step: float, finest: float, first: int, last: int, cells: Cells, pairs: Pairs
) -> float:
    """Return a t, not above the given one, at which the block is rejected, or 0; the largest but for `finest`."""
    # A bound of 0 claims nothing and needs no rejection.
    if _block_rejected(t, first, last, cells, pairs):
        return t
    fails = t
    t = max(fails - step, 0.0)
    while t > 0 and not _block_rejected(t, first, last, cells, pairs):
        fails, step = t, 2 * step
        t = max(fails - step, 0.0)
    while fails - t > finest:
        middle = (fails + t) / 2
        if _block_rejected(middle, first, last, cells, pairs):
            t = middle
        else:
            fails = middle
    return t


@compiled
def _fill_cells(bins: Array, tau: Integers, prepared: Array, prepared_z: Array, cells: Cells) -> None:
    """Write each cell's level: the smallest over the bins of p that the cell touches."""
    high = 0
    for j in range(len(cells.levels)):
        low, high = high, len(bins)
        if j < len(cells.edges):
            high = np.searchsorted(bins, cells.edges[j], side="right")
        best = tau[low]
        for i in range(low + 1, high + 1):
            if prepared[tau[i], j] < prepared[best, j]:
                best = tau[i]
        cells.levels[j], cells.z[j] = prepared[best, j], prepared_z[best, j]


@compiled
def _input_bound(n10: int, n01: int, cells: Cells, pairs: Pairs, estimate: Array) -> float:
    p, p_new, s_base, s_pair, kappa = estimate
    size = len(cells.levels)
    begin, binding, t = size, size, 2.0
    for j in range(1, size):
        if cells.levels[j] >= 1:  # the base alone excludes p
            continue
        begin = min(begin, j)
        guess = p_new - (p - cells.edges[j - 1]) - cells.z[j] * s_pair
        if guess < t:
            t, binding = guess, j
    step = 0.3 * np.sqrt(s_base * s_base + s_pair * s_pair)
    t = min(max(t, 0.0) + step, 1.0)
    # The block that probably binds comes first, so that the others mostly pass as they are.
    for turn in range(2):
        first = begin
        while first < size:
            last = first
            while last + 1 < size and cells.z[last + 1] - cells.z[first] < _SPREAD:
                last += 1
            if (first <= binding <= last) == (turn == 0):
                fill_reach(n10, n01, pairs.k1, kappa, (cells.z[first] + cells.z[last]) / 2, pairs.reach)
                while turn == 0 and t < 1 and _block_rejected(t, first, last, cells, pairs):
                    t = min(t + step, 1.0)
                begin_with = step if turn == 0 else step / _FINENESS
                t = _largest_in_block(t, begin_with, step / _FINENESS, first, last, cells, pairs)
            first = last + 1
    return t


@compiled
def largest_rejected(
    edges: Array,
    bins: Array,
    tau: Integers,
    prepared: Array,
    prepared_z: Array,
    tables: Integers,
    limits: Array,
    estimate: Array,
    bound: Array,
) -> None:
    """Write the joint bound of every input."""
    # Rows are inputs. tables has the columns k1, k0, n10, n01; limits those of the mean; estimate the columns p,
    # p', the standard errors of the base's and of the paired part, and kappa, which steer but do not bear on
    # validity. tau is the row of the prepared levels for each bin of p.
    size = edges.shape[1] + 1
    levels, z = np.empty(size), np.empty(size)
    for i in range(len(bound)):
        cells = Cells(edges[i], levels, z)
        _fill_cells(bins, tau[i], prepared, prepared_z, cells)
        k1, k0, n10, n01 = tables[i]
        low, high = limits[i]
        width = int(high + 14 * np.sqrt(high)) + 64
        reach, buffer = np.empty(min(width, k0) + 1, np.int64), np.empty((2, 2 * width))
        bound[i] = _input_bound(n10, n01, cells, Pairs(k1, k0, low, high, reach, buffer), estimate[i])
