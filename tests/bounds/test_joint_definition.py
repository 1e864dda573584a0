"""The joint bound against its definition in docs/guarantees.md, evaluated on a dense grid of nulls by SciPy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binom, norm

from smoothcert.bounds import joint_lower_bound, lower_confidence_bound, upper_confidence_bound
from smoothcert.bounds._joint_levels import P_BINS, joint_levels, tau_index

Array = NDArray[np.float64]
SHARED = 0.4  # quantiles of levels this close have one ordering of the tables
NULLS = 300


@dataclass(frozen=True)
class Votes:
    K: int
    n: int
    k1: int
    n10: int
    n01: int
    m: int

    @property
    def k0(self) -> int:
        return self.m - self.k1

    def limits(self, g: float) -> tuple[float, float]:
        """Between which k1 a + k0 b is looked for."""
        total = self.n10 + self.n01
        low = min(self.m * lower_confidence_bound(total, self.m, g / 2), total - 1)
        high = max(self.m * upper_confidence_bound(total, self.m, g / 2), total + 1)
        return max(low, 0), min(high, self.m)

    def staircase(self, z: float) -> NDArray[np.int64]:
        """For each n01, the largest n10 of a table that speaks as strongly as the observed one; -1 for none."""
        kappa = (self.n - self.K) / self.K * self.k1 / max(self.k0, 1)
        x, y = np.meshgrid(np.arange(self.k1 + 1.0), np.arange(self.k0 + 1.0))
        value = x - kappa * y + z * np.sqrt(x + kappa**2 * y + z**2 * max(1, kappa**2) / 4)
        return np.asarray((value <= value[self.n01, self.n10] + 1e-9).sum(axis=1) - 1)

    def standard_error(self) -> float:
        p = self.K / self.n
        pairs = (p / self.k1) ** 2 * (self.n10 + 1) + ((1 - p) / max(self.k0, 1)) ** 2 * (self.n01 + 1)
        return float(np.sqrt(p * (1 - p) / self.n + pairs))


def cells(v: Votes, alpha: float, candidates: int) -> Iterator[tuple[float, float, float, float]]:
    """Yield each cell of p that the base does not exclude: its ends, its level and the z of its ordering."""
    prepared = joint_levels(float(np.nextafter(alpha * 0.99, 0)), candidates)
    edges = np.asarray(lower_confidence_bound(v.K, v.n, prepared.u))
    low, high = np.append(0, edges), np.append(edges, 1)
    tau = tau_index(np.array([float(v.n)]))[0]
    touches = (np.append(0, P_BINS)[:, None] <= high) & (np.append(P_BINS, 1)[:, None] >= low)
    levels = np.where(touches, prepared.level[tau], 2).min(axis=0)
    tested = np.flatnonzero(levels < 1)
    z = np.maximum(norm.isf(np.minimum(levels, 1)), 0)
    while len(tested):
        block = tested[z[tested] - z[tested[0]] < SHARED]
        block = block[: np.argmax(np.append(np.diff(block) != 1, True)) + 1]
        for j in block:
            yield low[j], high[j], levels[j], (z[block[0]] + z[block[-1]]) / 2
        tested = tested[len(block) :]


def rejected(v: Votes, t: float, alpha: float, candidates: int, *, room: float) -> bool:
    """Whether every cell gives the staircase at most its level, at all nulls of a grid."""
    least, most = v.limits(alpha / 100 / candidates)
    b = np.linspace(0, min(1, most / max(v.k0, 1)), NULLS) if v.k0 else np.zeros(1)
    for p_low, p_high, level, z in cells(v, alpha, candidates):
        # The smallest a with p (1 - a) + (1 - p) b <= t for some p of the cell, within the limits.
        a = np.minimum(*(1 - b + (b - t) / p for p in (p_low, p_high)))
        a = np.maximum(np.maximum(a, 0), (least - v.k0 * b) / v.k1)
        kept = (a <= 1) & (v.k1 * a + v.k0 * b <= most)
        x = binom.cdf(v.staircase(z), v.k1, a[kept, None])
        inside = np.asarray(x * binom.pmf(np.arange(v.k0 + 1), v.k0, b[kept, None])).sum(axis=1)
        if inside.max(initial=0) > level * room:
            return False
    return True


@pytest.mark.parametrize("candidates", [1, 10])
@pytest.mark.parametrize("alpha", [0.2, 0.002])
@pytest.mark.parametrize(
    "v",
    [
        Votes(80, 100, 8, 1, 0, 10),
        Votes(700, 1000, 35, 2, 3, 50),
        Votes(990, 1000, 95, 0, 1, 100),
        Votes(60, 100, 30, 12, 6, 50),
        Votes(1000, 1000, 40, 1, 0, 40),
        Votes(21, 40, 21, 0, 7, 40),
    ],
    ids=str,
)
def test_it_is_the_largest_t_at_which_every_null_is_rejected(v: Votes, alpha: float, candidates: int) -> None:
    bound = float(joint_lower_bound(v.K, v.n, v.k1, v.n10, v.n01, v.m, alpha, candidates=candidates))
    assert 0 < bound < 1
    assert rejected(v, bound, alpha, candidates, room=1 + 1e-9)
    assert not rejected(v, bound + 0.02 * v.standard_error(), alpha, candidates, room=1)
