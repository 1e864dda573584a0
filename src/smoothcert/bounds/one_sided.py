"""The incremental bound that counts only what hurts: votes for the class that the candidate lost."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smoothcert.bounds._arguments import at_most, broadcast, counts, failure_probability, number, whole
from smoothcert.bounds.binomial import lower_confidence_bound, upper_confidence_bound

__all__ = ["one_sided_bound"]


def one_sided_bound(
    count: ArrayLike, n: ArrayLike, n10: ArrayLike, k1: ArrayLike, alpha: ArrayLike, *, base_share: float = 0.15
) -> NDArray[np.float64]:
    """Bound the changed classifier's probability of the cached class by what it loses of the base's votes.

    With A the cached class, f the base and f' the changed classifier, P(f' = A) is at least
    P(f = A) (1 - P(f' != A | f = A)). The first factor is bounded from all cached votes, the second from the
    paired samples on which f returned A.

    Parameters
    ----------
    count : int or array_like of int
        Cached estimation votes of f for class A. All arguments broadcast.
    n : int or array_like of int
        Cached estimation votes in all.
    n10 : int or array_like of int
        Paired samples on which f returned A and f' did not (an invalid vote is not A).
    k1 : int or array_like of int
        Paired samples on which f returned A. With k1 = 0 nothing is known and the bound is 0.
    alpha : float or array_like of float
        Total failure probability in [1e-100, 1).
    base_share : float
        Share of alpha in (0, 1) that is spent on the base's probability.

    Returns
    -------
    ndarray of float64
        Lower confidence bounds in [0, 1), rounded down, of the broadcast shape.

    Raises
    ------
    InvalidArgumentError
        When an argument is outside its range or the shapes do not broadcast.

    Notes
    -----
    With p = P(f = A) and a' = P(f' != A | f = A), the result exceeds p (1 - a') only if the lower bound of p or
    the upper bound of a' fails. The first has probability at most base_share alpha. Given all of f's votes, n10
    is Bin(k1, a'), so the second has probability at most (1 - base_share) alpha whatever f's votes were: which of
    the cached samples are paired may be chosen by looking at them, but not at the votes of f'.

    Examples
    --------
    >>> one_sided_bound(80_000, 100_000, [0, 3], 801, 0.002).round(4).tolist()
    [0.7893, 0.7834]
    """
    share = number("base_share", base_share, lambda s: (s > 0) & (s < 1), "in (0, 1)")
    level = failure_probability("alpha", alpha)
    K, n_ = counts("count", count, "n", n)
    K, n_, lost, kept, level = broadcast(count=K, n=n_, n10=whole("n10", n10), k1=whole("k1", k1), alpha=level)
    at_most("n10", lost, "k1", kept)
    base_level = failure_probability("base_share * alpha", level * share)
    loss_level = failure_probability("(1 - base_share) * alpha", np.nextafter(level - base_level, 0))
    base = np.asarray(lower_confidence_bound(K, n_, base_level))
    loss = np.asarray(upper_confidence_bound(lost, np.maximum(kept, 1), loss_level))
    bound = np.nextafter(base * np.nextafter(1 - loss, 0), 0)
    return np.where(kept == 0, 0.0, bound)
