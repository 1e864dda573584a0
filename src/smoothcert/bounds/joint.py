"""The incremental bound that inverts the base's count and the paired votes together."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from smoothcert.bounds._arguments import at_most, broadcast, counts, number, whole
from smoothcert.bounds._joint_kernel import largest_rejected
from smoothcert.bounds._joint_levels import P_BINS, joint_levels, tau_index
from smoothcert.bounds.binomial import lower_confidence_bound, upper_confidence_bound

__all__ = ["joint_lower_bound"]

Array = NDArray[np.float64]

_NUISANCE_SHARE = 0.01  # of alpha, for the region that the nuisance parameter is looked for in
_ROWS = 2048  # inputs at a time, for the memory that their cells take
_MIN_ALPHA = 1e-80
_MANY = "a whole number from 1 to a million"


def joint_lower_bound(
    count: ArrayLike,
    n: ArrayLike,
    k1: ArrayLike,
    n10: ArrayLike,
    n01: ArrayLike,
    m: ArrayLike,
    alpha: ArrayLike,
    *,
    candidates: int = 1,
) -> NDArray[np.float64]:
    """Bound the changed classifier's probability of the cached class from base count and paired votes together.

    With A the cached class, f the base and f' the changed classifier: a value t is excluded when every
    p = P(f = A) is contradicted, either by the cached count alone or by the paired votes at the level that the
    count leaves to this p. So no union bound is paid between the two, and votes that f' won over count in its
    favour.

    Parameters
    ----------
    count : int or array_like of int
        Cached estimation votes of f for class A. All arrays broadcast.
    n : int or array_like of int
        Cached estimation votes in all.
    k1 : int or array_like of int
        Paired samples on which f returned A. With k1 = 0 the bound is 0.
    n10 : int or array_like of int
        Paired samples on which f returned A and f' did not (an invalid vote is not A).
    n01 : int or array_like of int
        Paired samples on which f' returned A and f did not.
    m : int or array_like of int
        Paired samples. They are part of the cached ones: k1 <= count and m - k1 <= n - count.
    alpha : float or array_like of float
        Total failure probability, in [1e-80, 1).
    candidates : int
        With C changed classifiers of one base, fixed beforehand, and their votes on the same cached samples, each
        with an m of its own, the probability that any of the C bounds fails is at most alpha. The part of alpha
        that the base's count takes is not paid C times.

    Returns
    -------
    ndarray of float64
        Lower confidence bounds in [0, 1), of the broadcast shape.

    Raises
    ------
    InvalidArgumentError
        When an argument is outside its range, the counts contradict each other, or the shapes do not broadcast.

    Notes
    -----
    The proof is in ``docs/guarantees.md``. Its premises: n and alpha were fixed without looking at this input's
    votes, and f' without looking at the cached noise. m, and which of the cached samples are paired, may have been
    chosen by looking at which votes of f are for A, but not at its votes for other classes or those of f'. Suprema
    are covered by cells that are bounded as a whole, and tails are rounded up.

    Examples
    --------
    Where f' loses five votes and wins five, the paper's bound subtracts all ten, and here they cancel:

    >>> joint_lower_bound(80_000, 100_000, 800, [5, 10], [5, 0], 1000, 0.002).round(4).tolist()
    [0.7861, 0.775]
    """
    C = int(number("candidates", candidates, lambda a: (a >= 1) & (a <= 10**6) & (a == np.floor(a)), _MANY))
    level, columns = _checked(count, n, k1, n10, n01, m, alpha)
    bound = np.zeros(level.size)
    for one_level in np.unique(level):
        rows = np.flatnonzero((level.ravel() == one_level) & (columns[2] > 0))
        for start in range(0, len(rows), _ROWS):
            chunk = rows[start : start + _ROWS]
            bound[chunk] = _bounds(columns[:, chunk], float(one_level), C)
    return bound.reshape(level.shape)


def _checked(
    count: ArrayLike, n: ArrayLike, k1: ArrayLike, n10: ArrayLike, n01: ArrayLike, m: ArrayLike, alpha: ArrayLike
) -> tuple[Array, Array]:
    """Return alpha, broadcast, and the counts as rows of one array."""
    level = number("alpha", alpha, lambda a: (a >= _MIN_ALPHA) & (a < 1), f"in [{_MIN_ALPHA:g}, 1)")
    K, n_ = counts("count", count, "n", n)
    m_, kept, lost, gained = whole("m", m, least=1), whole("k1", k1), whole("n10", n10), whole("n01", n01)
    K, n_, kept, lost, gained, m_, level = broadcast(
        count=K, n=n_, k1=kept, n10=lost, n01=gained, m=m_, alpha=level
    )
    at_most("k1", kept, "count", K)
    at_most("k1", kept, "m", m_)
    at_most("m - k1", m_ - kept, "n - count", n_ - K)
    at_most("n10", lost, "k1", kept)
    at_most("n01", gained, "m - k1", m_ - kept)
    return level, np.stack([a.ravel() for a in (K, n_, kept, lost, gained, m_)])


def _bounds(columns: Array, alpha: float, candidates: int) -> Array:
    K, n, k1, n10, n01, m = columns
    spent = alpha * _NUISANCE_SHARE
    prepared = joint_levels(float(np.nextafter(alpha - spent, 0)), candidates)
    bases, base = np.unique(np.stack([K, n]), axis=1, return_inverse=True)
    edges = np.asarray(lower_confidence_bound(bases[0, :, None], bases[1, :, None], prepared.u))
    sizes, size = np.unique(n, return_inverse=True)
    bound = np.empty(len(K))
    largest_rejected(
        edges[base],
        P_BINS,
        tau_index(sizes)[size],
        prepared.level,
        np.maximum(-ndtri(prepared.level), 0),
        np.stack([k1, m - k1, n10, n01], axis=1).astype(np.int64),
        _nuisance_limits(n10 + n01, m, spent / candidates / 2),
        _estimate(columns),
        bound,
    )
    return bound


def _nuisance_limits(total: Array, m: Array, alpha: float) -> Array:
    """Bound the mean of n10 + n01 from below and above, each at level alpha."""
    # Given the cached votes, the sum is not binomial. Hoeffding's theorem says that its tails are no heavier than
    # the binomial's at a distance of at least 1 from the mean, so the limits keep that distance.
    high = np.minimum(np.maximum(m * upper_confidence_bound(total, m, alpha) * (1 + 1e-15), total + 1), m)
    low = np.maximum(np.minimum(m * lower_confidence_bound(total, m, alpha) * (1 - 1e-15), total - 1), 0)
    return np.stack([low, high], axis=1)


def _estimate(columns: Array) -> Array:
    """Estimate p, p', the standard errors of the base's and of the paired part, and the ordering's kappa."""
    K, n, k1, n10, n01, m = columns
    k0 = np.maximum(m - k1, 1)  # n01 is 0 where it is 0
    p = K / n
    per_lost, per_gained = p / k1, (1 - p) / k0
    return np.stack(
        [
            p,
            p - per_lost * n10 + per_gained * n01,
            np.sqrt(p * (1 - p) / n) + 0.5 / n,
            np.sqrt(per_lost**2 * (n10 + 1) + per_gained**2 * (n01 + 1)),
            per_gained / per_lost,
        ],
        axis=1,
    )
