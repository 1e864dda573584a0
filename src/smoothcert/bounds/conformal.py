"""How far to lower predictions so that few of them are too high: order statistics of a calibration set."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincc

from smoothcert.bounds._arguments import failure_probability, number
from smoothcert.errors import InvalidArgumentError

__all__ = ["conformal_rank", "smallest_calibration_set"]

_TAIL_ERROR = 1e-9  # of SciPy's tails, relatively, with room


def conformal_rank(m: int, miss: float, beta: float, *, future: int | None = None) -> int:
    """Choose which of m sorted calibration scores to take as the threshold that few new scores exceed.

    With probability 1 - beta over the draw of the calibration set, a new score exceeds the threshold with
    probability at most `miss`. For independent scores of one distribution F, the k-th smallest satisfies
    P(1 - F(score_k) > miss) <= P(Bin(m, 1 - miss) >= k), with equality where F is continuous; the smallest k for
    which the right side is at most beta is returned.

    Parameters
    ----------
    m : int
        Calibration scores, at least 0.
    miss : float
        Share of new scores that may exceed the threshold, in (0, 1).
    beta : float
        Probability that the calibration set is so unlucky that more do, in (0, 1).
    future : int, optional
        Bound the share among this many new scores instead of the probability of each. It is enough that all
        m + future scores are exchangeable: the number above the threshold is hypergeometric.

    Returns
    -------
    int
        k in 1 .. m.

    Raises
    ------
    InvalidArgumentError
        When an argument is out of range, or even the largest score is no evidence; names the m that would do.

    References
    ----------
    Vovk, "Conditional validity of inductive conformal predictors", ACML 2012, Proposition 2a.
    Wilks, "Determination of sample sizes for setting tolerance limits", Ann. Math. Statist. 12, 1941.

    Examples
    --------
    >>> conformal_rank(1000, 0.05, 0.05), conformal_rank(59, 0.05, 0.05)
    (962, 59)
    >>> conformal_rank(58, 0.05, 0.05)
    Traceback (most recent call last):
        ...
    smoothcert.errors.InvalidArgumentError: 58 calibration inputs cannot show that at most 0.05 are missed with
    confidence 0.95: use at least 59
    """
    needed = smallest_calibration_set(miss, beta, future=future)
    if m < needed:
        raise InvalidArgumentError(
            f"{m} calibration inputs cannot show that at most {miss:g} are missed with confidence {1 - beta:g}: "
            f"use at least {needed}"
        )
    k = np.arange(1, m + 1)
    return int(k[_unlucky(m, k, miss, future) <= beta][0])


def smallest_calibration_set(miss: float, beta: float, *, future: int | None = None) -> int:
    """Return the fewest calibration scores from which `conformal_rank` can choose.

    Parameters
    ----------
    miss, beta, future
        As for `conformal_rank`.

    Returns
    -------
    int

    Raises
    ------
    InvalidArgumentError
        When an argument is out of range.

    Examples
    --------
    >>> smallest_calibration_set(0.05, 0.05), smallest_calibration_set(0.01, 0.001)
    (59, 688)
    """
    failure_probability("beta", beta)
    number("miss", miss, lambda p: (p >= 1e-6) & (p < 1), "a share of inputs in [1e-6, 1)")
    if future is not None and future < 1:
        raise InvalidArgumentError(f"future is {future}: give at least 1 new input, or None for any number")
    m = max(1, math.floor(math.log(beta) / math.log1p(-miss)) - 1) if future is None else 1
    while (_unlucky(m, np.array([m]), miss, future) > beta).any():
        m += 1 if future is None else max(1, m // 64)
    while m > 1 and not (_unlucky(m - 1, np.array([m - 1]), miss, future) > beta).any():
        m -= 1
    return m


def _unlucky(m: int, k: NDArray[np.int64], miss: float, future: int | None) -> NDArray[np.float64]:
    """Probability that more than a share `miss` of new scores exceed the k-th smallest, rounded up."""
    if future is None:
        return np.asarray(betaincc(m - k + 1, k, miss) * (1 + _TAIL_ERROR))
    from scipy.stats import hypergeom  # half of what importing the bounds would take

    allowed = math.floor(miss * future)
    # More than j of the new ones are above it when j + 1 of them are among the j + 1 + m - k largest of all.
    drawn = np.minimum(allowed + 1 + m - k, m + future)
    return np.asarray(hypergeom.sf(allowed, m + future, future, drawn) * (1 + _TAIL_ERROR))
