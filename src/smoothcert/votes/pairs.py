"""Votes of f and f^p on the same noise, as counts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smoothcert._results import Brief
from smoothcert.errors import CacheMismatchError
from smoothcert.sampling import count_votes, votes_for
from smoothcert.votes.store import CachedInput

__all__ = ["PairedCounts", "pair", "stack_pairs"]


@dataclass(frozen=True, kw_only=True, repr=False)
class PairedCounts(Brief):
    """What the votes of f and f^p amount to, for each of N inputs.

    A row is *paired* when f^p voted on noise of the cache, and *fresh* when on noise that f never saw.

    Attributes
    ----------
    top_class : ndarray of int64, shape (N,)
        The cached top class c_A; -1 where there was none.
    counts : ndarray of int64, shape (N, k)
        Votes of f per class, of n.
    own : ndarray of int64, shape (N, k)
        Votes of f^p per class, of m.
    paired : ndarray of int64, shape (N, k)
        Votes of f per class on the m noises of f^p; 0 in fresh rows.
    lost : ndarray of int64, shape (N, k)
        Those of `paired` for which f^p returned another label; 0 in fresh rows.
    n_disagree : ndarray of int64, shape (N,)
        Paired samples on which f and f^p return different labels (n_Delta); 0 in fresh rows.
    fresh : ndarray of bool, shape (N,)
        Which rows are fresh.
    n : int
        Votes of f per input.
    m : ndarray of int64, shape (N,)
        Votes of f^p (n_p) of each input.
    """

    top_class: NDArray[np.int64]
    counts: NDArray[np.int64]
    own: NDArray[np.int64]
    paired: NDArray[np.int64]
    lost: NDArray[np.int64]
    n_disagree: NDArray[np.int64]
    fresh: NDArray[np.bool_]
    n: int
    m: NDArray[np.int64]

    @property
    def count(self) -> NDArray[np.int64]:
        """Votes of f for c_A, of n, shape (N,)."""
        return votes_for(self.top_class, self.counts)

    @property
    def n_direct(self) -> NDArray[np.int64]:
        """Votes of f^p for c_A, of m, shape (N,)."""
        return votes_for(self.top_class, self.own)

    @property
    def k1(self) -> NDArray[np.int64]:
        """Paired samples on which f returned c_A, shape (N,)."""
        return votes_for(self.top_class, self.paired)

    @property
    def n10(self) -> NDArray[np.int64]:
        """Paired samples on which f returned c_A and f^p did not, shape (N,)."""
        return votes_for(self.top_class, self.lost)

    @property
    def n01(self) -> NDArray[np.int64]:
        """Paired samples on which f^p returned c_A and f did not, shape (N,); of no meaning in fresh rows."""
        return self.n_direct - self.k1 + self.n10

    def take(self, rows: slice | NDArray[np.bool_ | np.int64]) -> PairedCounts:
        """Return the counts of some inputs."""
        return PairedCounts(
            top_class=self.top_class[rows],
            counts=self.counts[rows],
            own=self.own[rows],
            paired=self.paired[rows],
            lost=self.lost[rows],
            n_disagree=self.n_disagree[rows],
            fresh=self.fresh[rows],
            n=self.n,
            m=self.m[rows],
        )


def pair(base: CachedInput, candidate: CachedInput, m: int) -> PairedCounts:
    """Count agreement on the candidate's first m noises of one input (lines 2 to 9 of Algorithm 3).

    Parameters
    ----------
    base, candidate : CachedInput
        Votes of f and of f^p.
    m : int
        Samples of f^p.

    Returns
    -------
    PairedCounts
        Of one input.

    Raises
    ------
    CacheMismatchError
        When the candidate's votes lie partly inside and partly outside of the cached samples, or these do not
        start at 0.
    """
    n, k, start = len(base.votes), len(base.counts), candidate.start
    if base.start:
        raise CacheMismatchError(
            f"the cached votes start at sample {base.start}, not at 0: they are a candidate's, not those of a base"
        )
    if start < n < start + m:
        raise CacheMismatchError(
            f"the candidate's votes start at sample {start}, but only {n} are cached: {m} of them cannot be paired"
        )
    fresh = start >= n
    c_fp = candidate.votes[:m]
    c_f = c_fp[:0] if fresh else base.votes[start : start + m]
    differs = c_f != c_fp[: len(c_f)]
    return PairedCounts(
        top_class=np.array([base.top_class]),
        counts=base.counts[None],
        own=count_votes(c_fp, k)[None],
        paired=count_votes(c_f, k)[None],
        lost=count_votes(c_f[differs], k)[None],
        n_disagree=np.array([int(differs.sum())]),
        fresh=np.array([fresh]),
        n=n,
        m=np.array([m]),
    )


def stack_pairs(pairs: list[PairedCounts]) -> PairedCounts:
    """Join the counts of several inputs."""
    return PairedCounts(
        top_class=np.concatenate([p.top_class for p in pairs]),
        counts=np.concatenate([p.counts for p in pairs]),
        own=np.concatenate([p.own for p in pairs]),
        paired=np.concatenate([p.paired for p in pairs]),
        lost=np.concatenate([p.lost for p in pairs]),
        n_disagree=np.concatenate([p.n_disagree for p in pairs]),
        fresh=np.concatenate([p.fresh for p in pairs]),
        n=pairs[0].n,
        m=np.concatenate([p.m for p in pairs]),
    )
