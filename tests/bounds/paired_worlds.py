"""All outcomes of a small paired experiment and their exact probabilities, for tests that count failures."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

Counts = NDArray[np.int64]
Array = NDArray[np.float64]


@functools.cache
def table(n: int, p: float) -> Array:
    """Binomial probabilities of counts 0 to n (rows) of 0 to n draws (columns), computed once for many worlds."""
    size = np.arange(n + 1)
    found = np.asarray(binom.pmf(size[:, None], size, p))
    found.flags.writeable = False
    return found


@dataclass(frozen=True)
class World:
    """Probabilities: p of a vote of the base, a that the candidate loses it, b that it gains one."""

    p: float
    a: float
    b: float

    @property
    def candidate(self) -> float:
        """Probability of the candidate's vote."""
        return self.p * (1 - self.a) + (1 - self.p) * self.b


@dataclass(frozen=True)
class Outcomes:
    """Every (k1, n10, n01) of m pairs with every count of the n - m votes that are not paired."""

    n: int
    m: int
    k1: Counts
    n10: Counts
    n01: Counts
    count: Counts

    def probability(self, world: World) -> Array:
        """Probability of each outcome."""
        kept, rest = table(self.m, world.p)[:, -1], table(self.n - self.m, world.p)[:, -1]
        lost, gained = table(self.m, world.a), table(self.m, world.b)
        paired = kept[self.k1] * lost[self.n10, self.k1] * gained[self.n01, self.m - self.k1]
        return np.asarray(paired * rest[self.count - self.k1])


def all_outcomes(n: int, m: int) -> Outcomes:
    """List them."""
    rows = [
        (k1, n10, n01, k1 + rest)
        for k1 in range(m + 1)
        for n10 in range(k1 + 1)
        for n01 in range(m - k1 + 1)
        for rest in range(n - m + 1)
    ]
    k1, n10, n01, count = np.array(rows).T
    return Outcomes(n, m, k1, n10, n01, count)


def lattice() -> Iterator[World]:
    """Yield worlds: hardly any to complete disagreement, on one side or both, and unrelated candidates."""
    ps = (0.02, 0.2, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.98, 0.995, 0.999)
    shares = (0.0, 0.003, 0.02, 0.1, 0.3, 0.5, 0.8, 1.0)
    yield from (World(p, a, b) for p, a, b in itertools.product(ps, shares, (*shares, 0.9)))
    yield from (World(p, 1 - p, p) for p in ps)
    yield from (World(p, a, a * p / (1 - p)) for p in ps for a in (0.002, 0.01, 0.05) if a * p < 1 - p)
