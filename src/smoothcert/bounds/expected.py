"""What each method is expected to certify, before a sample is drawn: for planning, and estimated throughout."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from smoothcert.bounds._arguments import MAX_COUNT
from smoothcert.bounds._disagreement import DEFAULT_DISAGREEMENT, expected_disagreement
from smoothcert.bounds.binomial import lower_confidence_bound
from smoothcert.bounds.incremental import irs_bound
from smoothcert.bounds.joint import joint_lower_bound
from smoothcert.errors import InvalidArgumentError

__all__ = ["PAIRED_METHODS", "PairedMethod", "expected_bounds_from_scratch", "expected_bounds_paired"]

Array = NDArray[np.float64]
Counts = NDArray[np.int64]

PairedMethod = Literal["irs", "joint"]
PAIRED_METHODS: tuple[PairedMethod, ...] = ("irs", "joint")

_NODES = (np.arange(5) + 0.5) / 5
_OTHER_NODES = _NODES[[1, 4, 2, 0, 3]]  # every fifth of each count's range once, uncorrelated
_GAMMA = 0.99


def expected_bounds_from_scratch(p: Array, n: int | Counts, alpha: float) -> Array:
    """Return lower bounds of inputs with known p_A, at five equally likely counts of n votes.

    Parameters
    ----------
    p : ndarray of float64, shape (r,)
        P(f(x + eps) = c_A).
    n : int or ndarray of int64, shape (r,)
        Votes of each input.
    alpha : float
        Failure probability.

    Returns
    -------
    ndarray of float64, shape (5, r)
        The mean over the first axis of a function of the bounds, such as the radius, approximates its expectation.

    Examples
    --------
    >>> expected_bounds_from_scratch(np.array([0.9]), 1000, 0.001).round(3).ravel()
    array([0.854, 0.862, 0.867, 0.873, 0.881])
    """
    return np.asarray(lower_confidence_bound(_quantile(_NODES, n, p), n, alpha))


def expected_bounds_paired(
    method: PairedMethod,
    count: Counts,
    n: int,
    m: int | Counts,
    alpha: float,
    alpha_zeta: float,
    *,
    disagreement: float = DEFAULT_DISAGREEMENT,
) -> Array:
    """Return lower bounds of a candidate that does not exist yet, at five pairs of counts of votes that change.

    The candidate is taken to have the base's p_A and to lose as many votes as it wins, a share
    `expected_disagreement` in all; the base's p_A is taken to be its cached frequency. Changes between two wrong
    classes, which count in the paper's zeta alone, are left out.

    Parameters
    ----------
    method : {"irs", "joint"}
        The bound.
    count : ndarray of int64, shape (r,)
        Cached votes of f for its top class, of n.
    n : int
        Cached votes of each input.
    m : int or ndarray of int64, shape (r,)
        Votes of the candidate, on the first m cached noises.
    alpha, alpha_zeta : float
        Failure probability of the cache's certificates, and what is spent beyond it.
    disagreement : float
        The constant c of `expected_disagreement`.

    Returns
    -------
    ndarray of float64, shape (5, r)

    Raises
    ------
    InvalidArgumentError
        When the method is unknown or m is above n.

    Examples
    --------
    >>> for method in PAIRED_METHODS:
    ...     bounds = expected_bounds_paired(method, np.array([8000]), 10_000, 1000, 0.001, 0.001)
    ...     print(method, bounds.mean().round(3))
    irs 0.761
    joint 0.781
    """
    if method not in PAIRED_METHODS or n > MAX_COUNT or not np.all((np.asarray(m) >= 1) & (np.asarray(m) <= n)):
        raise InvalidArgumentError(
            f"method is {method!r}, m is {m} and n is {n}: give one of {', '.join(PAIRED_METHODS)}, and m <= n"
        )
    p = np.clip(count / n, 0.5 / n, 1 - 0.5 / n)
    changed = expected_disagreement(p, disagreement) / 2
    k1 = np.rint(m * (count / n)).astype(np.int64)  # from m - (n - count) to min(m, count), as those are whole
    n10 = _quantile(_NODES, k1, np.minimum(changed / p, 1.0))
    n01 = _quantile(_OTHER_NODES, m - k1, np.minimum(changed / (1 - p), 1.0))
    if method == "irs":
        found = irs_bound(count, n, n10 + n01, k1 - n10 + n01, m, alpha, alpha_zeta, _GAMMA)
        return found.p_lower
    return joint_lower_bound(count, n, k1, n10, n01, m, alpha + alpha_zeta)


def _quantile(levels: Array, n: Counts | int, p: Array) -> Counts:
    from scipy.stats import binom  # half of what importing the bounds would take

    return np.asarray(binom.ppf(levels[:, None], n, p)).astype(np.int64)
