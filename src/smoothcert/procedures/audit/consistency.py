"""Are cached votes like fresh ones? Exact tests of whether they are better than chance allows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smoothcert._results import Brief
from smoothcert.bounds import excess_p_values, pooled_excess_p_value
from smoothcert.sampling import votes_for
from smoothcert.votes import PairedCounts
from smoothcert.votes.store import CachedInput

__all__ = ["Consistency", "compare_counts", "compare_pairs"]


@dataclass(frozen=True, kw_only=True, repr=False)
class Consistency(Brief):
    """Exact tests of cached counts against fresh ones.

    Attributes
    ----------
    excess : ndarray of float64, shape (N,)
        For each input, the p-value of its cached count being too large; 1 where it could not be compared.
    pooled : float
        The p-value of all counts together being too large.
    """

    excess: NDArray[np.float64]
    pooled: float

    @property
    def p_value(self) -> float:
        """Of both tests and all inputs together (Bonferroni): at most u with probability at most u."""
        return min(1.0, 2 * min(self.pooled, float(self.excess.min()) * len(self.excess)))


def compare_counts(cached: list[CachedInput], counts: NDArray[np.int64], n: int, *, seed: int) -> Consistency:
    """Compare cached votes of f for the cached top class with n fresh ones of each input, (N, k) int64."""
    # From the selection votes: it was fixed before the votes that are compared.
    c_A = np.array([row.top_class for row in cached])
    known = c_A >= 0
    k = votes_for(c_A, np.stack([row.counts for row in cached]))[known]
    of = np.array([len(row.votes) for row in cached])[known]
    return _compare(known, k, of, votes_for(c_A, counts)[known], np.full(len(k), n), seed)


def compare_pairs(cached: PairedCounts, fresh: PairedCounts, *, seed: int) -> Consistency:
    """Compare what f^p keeps of f's votes for the cached top class with what it keeps of fresh ones, given f's."""
    # Inputs of which one cache has paired and the other has fresh votes are left out: the choice looked at f's
    # votes, and with them at what f^p was going to vote.
    comparable = (cached.top_class == fresh.top_class) & (cached.top_class >= 0) & (cached.fresh == fresh.fresh)
    comparable &= np.where(cached.fresh, cached.m > 0, (cached.k1 > 0) & (fresh.k1 > 0))
    k, of = _kept(cached)
    k_fresh, of_fresh = _kept(fresh)
    return _compare(comparable, k[comparable], of[comparable], k_fresh[comparable], of_fresh[comparable], seed)


def _kept(pairs: PairedCounts) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    # On noise beyond the cache there is nothing to keep: there the own votes of f^p for the class count.
    kept = np.where(pairs.fresh, pairs.n_direct, pairs.k1 - pairs.n10)
    return kept, np.where(pairs.fresh, pairs.m, pairs.k1)


def _compare(
    rows: NDArray[np.bool_],
    k: NDArray[np.int64],
    n: NDArray[np.int64],
    k_fresh: NDArray[np.int64],
    n_fresh: NDArray[np.int64],
    seed: int,
) -> Consistency:
    excess = np.ones(len(rows))
    if not rows.any():
        return Consistency(excess=excess, pooled=1.0)
    excess[rows] = excess_p_values(k, n, k_fresh, n_fresh)
    return Consistency(excess=excess, pooled=pooled_excess_p_value(k, n, k_fresh, n_fresh, seed=seed))
