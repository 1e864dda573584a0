"""Do two sets of votes have the same probability? An exact test, and its sum over many pairs of sets."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

from smoothcert.bounds._arguments import broadcast, counts

__all__ = ["excess_p_values", "pooled_excess_p_value"]

Array = NDArray[np.float64]


def excess_p_values(k: ArrayLike, n: ArrayLike, k_fresh: ArrayLike, n_fresh: ArrayLike) -> Array:
    """Test whether k votes of n are too many beside k_fresh of n_fresh (Fisher's exact test, one-sided).

    If the two counts are binomial with one probability, or the first with a smaller one, then given their sum k
    is at most hypergeometric, whatever the probability is.

    Parameters
    ----------
    k : int or array_like of int
        The votes in question. All arguments broadcast.
    n : int or array_like of int
        Of how many.
    k_fresh, n_fresh : int or array_like of int
        The votes that it is compared with, and of how many.

    Returns
    -------
    ndarray of float64
        P(at least k | k + k_fresh); at most u with probability at most u, for every u.

    Raises
    ------
    InvalidArgumentError
        When a count is no whole number or above its number of votes, or the shapes do not broadcast.

    References
    ----------
    .. [1] R. A. Fisher, "The logic of inductive inference", Journal of the Royal Statistical Society 98, 1935.

    Examples
    --------
    >>> excess_p_values([90, 82], 100, [80, 80], 100).round(4)
    array([0.0367, 0.4286])
    """
    return _tails(*_checked(k, n, k_fresh, n_fresh))[0]


def pooled_excess_p_value(
    k: ArrayLike, n: ArrayLike, k_fresh: ArrayLike, n_fresh: ArrayLike, *, seed: int
) -> float:
    """Test whether many counts together are too large, each by too little to be seen by itself.

    Counts are discrete and leave the p-value of each pair an interval. It is drawn uniformly from there, so that
    it is exactly uniform where the probabilities are equal. The p-values' normal quantiles are added (Stouffer).

    Parameters
    ----------
    k, n, k_fresh, n_fresh : array_like of int, shape (m,) or broadcasting
        As for `excess_p_values`; the pairs are independent of each other.
    seed : int
        Of the draws.

    Returns
    -------
    float
        At most u with probability at most u, for every u.

    Raises
    ------
    InvalidArgumentError
        As for `excess_p_values`.

    Examples
    --------
    >>> ones = np.ones(200, int)
    >>> round(pooled_excess_p_value(805 * ones, 1000, 790 * ones, 1000, seed=0), 6)
    0.0
    >>> bool(excess_p_values(805, 1000, 790, 1000) > 0.2)
    True
    """
    at_least, more = _tails(*_checked(k, n, k_fresh, n_fresh))
    p = more + np.random.default_rng(seed).random(more.shape) * (at_least - more)
    z = ndtri(np.clip(p, 1e-300, 1 - 2.0**-53))
    return float(ndtr(z.sum() / math.sqrt(max(z.size, 1))))


def _checked(k: ArrayLike, n: ArrayLike, k_fresh: ArrayLike, n_fresh: ArrayLike) -> tuple[Array, ...]:
    k_, n_ = counts("k", k, "n", n)
    other, n_other = counts("k_fresh", k_fresh, "n_fresh", n_fresh)
    return broadcast(k=k_, n=n_, k_fresh=other, n_fresh=n_other)


def _tails(k: Array, n: Array, k_fresh: Array, n_fresh: Array) -> tuple[Array, Array]:
    """Return the probabilities of at least k, and of more."""
    from scipy.stats import hypergeom  # half of what importing the bounds would take

    law = hypergeom(n + n_fresh, k + k_fresh, n)
    return np.clip(law.sf(k - 1), 0.0, 1.0), np.clip(law.sf(k), 0.0, 1.0)
