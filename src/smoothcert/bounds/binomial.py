"""One-sided Clopper-Pearson bounds on a binomial probability, rounded outwards."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betainc, betaincc, betainccinv, betaincinv

from smoothcert.bounds._arguments import broadcast, counts, failure_probability, like_input

__all__ = ["lower_confidence_bound", "upper_confidence_bound"]

Array = NDArray[np.float64]


@overload
def lower_confidence_bound(k: float, n: float, alpha: float) -> float: ...
@overload
def lower_confidence_bound(k: ArrayLike, n: ArrayLike, alpha: ArrayLike) -> Array: ...
def lower_confidence_bound(k: ArrayLike, n: ArrayLike, alpha: ArrayLike) -> Array | float:
    """Bound a binomial probability from below, by the one-sided Clopper-Pearson method.

    The result is at most the exact bound, which is the largest p with P(Bin(n, p) >= k) <= alpha, and falls
    short of it by at most 2**-48 + 2**-32 p (1 - p). So P(result > p) <= alpha holds for every p and n, floating
    point included.

    Parameters
    ----------
    k : int or array_like of int
        Successes, 0 <= k <= n. All arguments broadcast.
    n : int or array_like of int
        Trials, 1 <= n <= 10**8.
    alpha : float or array_like of float
        Failure probability in [1e-100, 1), taken as the exact value of the float.

    Returns
    -------
    float or ndarray of float64
        A probability in [0, 1); a Python float when all arguments are scalars.

    Raises
    ------
    InvalidArgumentError
        When an argument is outside its range, or k is not a whole number.

    References
    ----------
    .. [1] C. J. Clopper, E. S. Pearson, "The use of confidence or fiducial limits illustrated in the case of the
       binomial", Biometrika 26, 1934.

    Examples
    --------
    A hundred thousand unanimous votes do not show that the probability is 1:

    >>> round(lower_confidence_bound(100_000, 100_000, 0.001), 9)
    0.999930925
    >>> lower_confidence_bound([50, 99], 100, 0.001).round(4)
    array([0.3448, 0.9114])
    """
    k_, n_, level = _checked(k, n, alpha)
    bound = _invert(betaincinv, betainc, np.maximum(k_, 1), n_ - np.maximum(k_, 1) + 1, level, outermost=0.0)
    return like_input(np.where(k_ == 0, 0.0, bound))


@overload
def upper_confidence_bound(k: float, n: float, alpha: float) -> float: ...
@overload
def upper_confidence_bound(k: ArrayLike, n: ArrayLike, alpha: ArrayLike) -> Array: ...
def upper_confidence_bound(k: ArrayLike, n: ArrayLike, alpha: ArrayLike) -> Array | float:
    """Bound a binomial probability from above, by the one-sided Clopper-Pearson method.

    The result is at least the exact bound, which is the smallest p with P(Bin(n, p) <= k) <= alpha, and exceeds
    it by at most 2**-48 + 2**-32 p (1 - p).

    Parameters
    ----------
    k : int or array_like of int
        Successes, 0 <= k <= n. All arguments broadcast.
    n : int or array_like of int
        Trials, 1 <= n <= 10**8.
    alpha : float or array_like of float
        Failure probability in [1e-100, 1), taken as the exact value of the float.

    Returns
    -------
    float or ndarray of float64
        A probability in (0, 1]; a Python float when all arguments are scalars.

    Raises
    ------
    InvalidArgumentError
        When an argument is outside its range, or k is not a whole number.

    References
    ----------
    .. [1] C. J. Clopper, E. S. Pearson, "The use of confidence or fiducial limits illustrated in the case of the
       binomial", Biometrika 26, 1934.

    Examples
    --------
    The disparity that a thousand pairs without a disagreement leave possible:

    >>> round(upper_confidence_bound(0, 1000, 0.001), 5)
    0.00688
    """
    k_, n_, level = _checked(k, n, alpha)
    a = np.minimum(k_ + 1, n_)
    bound = _invert(betainccinv, betaincc, a, n_ - a + 1, level, outermost=1.0)
    return like_input(np.where(k_ == n_, 1.0, bound))


def _checked(k: ArrayLike, n: ArrayLike, alpha: ArrayLike) -> tuple[Array, Array, Array]:
    level = failure_probability("alpha", alpha)
    k_, n_ = counts("k", k, "n", n)
    k_, n_, level = broadcast(k=k_, n=n_, alpha=level)
    return k_, n_, level


def _invert(
    inverse: Callable[..., Any], tail: Callable[..., Any], a: Array, b: Array, alpha: Array, outermost: float
) -> Array:
    """Solve tail(a, b, p) = alpha for p, rounded towards `outermost`, the p at which the tail is 0."""
    # SciPy's inverse is only a guess: it misses by up to 1e-11 in many places and by far more where a or b is 1000
    # and n is large (Boost changes method there). The tail itself is good to about 1e-12 everywhere, so a guess is
    # kept only if the tail confirms that the solution is within a margin of it, and is bisected otherwise.
    outwards = 2 * outermost - 1
    shape = alpha.shape
    a, b, alpha = np.atleast_1d(a, b, alpha)
    guess = np.nan_to_num(inverse(a, b, alpha))
    outer = np.clip(guess + outwards * _margin(guess), 0.0, 1.0)
    inner = np.clip(guess - outwards * _margin(guess), 0.0, 1.0)
    missed = ~((tail(a, b, outer) <= alpha) & (alpha <= tail(a, b, inner)))
    if missed.any():
        outer[missed] = _bisect(tail, a[missed], b[missed], alpha[missed], outermost)
    # The second margin is for the error of the tail.
    bound: Array = np.clip(outer + outwards * _margin(outer), 0.0, 1.0)
    return bound.reshape(shape)


def _margin(p: Array) -> Array:
    return 2.0**-50 + 2.0**-34 * p * (1 - p)


def _bisect(tail: Callable[..., Any], a: Array, b: Array, alpha: Array, outermost: float) -> Array:
    outer, inner = np.full_like(alpha, outermost), np.full_like(alpha, 1 - outermost)
    for _ in range(60):
        middle = (outer + inner) / 2
        small = tail(a, b, middle) <= alpha
        outer, inner = np.where(small, middle, outer), np.where(small, inner, middle)
    return outer
