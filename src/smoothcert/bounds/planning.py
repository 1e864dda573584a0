"""How many samples an estimate needs, and the intervals that the answer is compared over."""

from __future__ import annotations

from typing import Literal, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betainccinv, betaincinv, ndtri

from smoothcert.bounds._arguments import MIN_ALPHA, broadcast, number
from smoothcert.errors import InvalidArgumentError

__all__ = ["IntervalMethod", "binomial_interval", "samples_for_error"]

Array = NDArray[np.float64]

IntervalMethod = Literal["clopper-pearson", "wilson", "agresti-coull"]
_METHODS = ("clopper-pearson", "wilson", "agresti-coull")


def binomial_interval(
    k: ArrayLike, n: ArrayLike, alpha: ArrayLike, method: IntervalMethod = "clopper-pearson"
) -> tuple[Array, Array]:
    """Confidence interval of a binomial probability, each side at level alpha, for planning and comparisons.

    Not for certificates: Wilson's and Agresti and Coull's intervals cover with probability 1 - 2 alpha only
    approximately, and nothing here is rounded outwards. Certificates use `lower_confidence_bound` and
    `upper_confidence_bound`.

    Parameters
    ----------
    k : float or array_like of float
        Successes, 0 <= k <= n. An expected count such as n p need not be whole. Arrays broadcast.
    n : float or array_like of float
        Trials, at least 1.
    alpha : float or array_like of float
        Failure probability of each side, in [1e-100, 1/2).
    method : {"clopper-pearson", "wilson", "agresti-coull"}
        How the interval is made.

    Returns
    -------
    lower, upper : ndarray of float64
        The two ends, in [0, 1], of the broadcast shape.

    Raises
    ------
    InvalidArgumentError
        When an argument is outside its range or the method is unknown.

    References
    ----------
    .. [1] E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22, 1927.
    .. [2] A. Agresti, B. A. Coull, "Approximate is better than 'exact' for interval estimation of binomial
       proportions", The American Statistician 52, 1998.

    Examples
    --------
    >>> [end.round(4).item() for end in binomial_interval(5, 100, 0.01, method="wilson")]
    [0.0186, 0.1276]
    """
    _check_method(method)
    n_ = number("n", n, lambda a: (a >= 1) & np.isfinite(a), "finite and at least 1")
    k_, n_, level = broadcast(k=number("k", k, lambda a: a >= 0, "at least 0"), n=n_, alpha=_side(alpha))
    if (k_ > n_).any():
        raise InvalidArgumentError(f"k is up to {(k_ - n_).max():g} above n: it should be at most n")
    return _interval(k_, n_, level, method)


@overload
def samples_for_error(p: float, chi: float, alpha: float, method: IntervalMethod = ...) -> int: ...
@overload
def samples_for_error(
    p: ArrayLike, chi: ArrayLike, alpha: ArrayLike, method: IntervalMethod = ...
) -> NDArray[np.int64]: ...
def samples_for_error(
    p: ArrayLike, chi: ArrayLike, alpha: ArrayLike, method: IntervalMethod = "clopper-pearson"
) -> NDArray[np.int64] | int:
    """Count the samples needed to estimate a binomial probability p to a target error chi.

    The answer is the smallest n for which the interval at the expected count n p, each side at level alpha, is at
    most chi wide from end to end. This reading gives the two numbers that the paper prints, to the hundreds it
    prints them in. The count is not rounded to a whole number: rounding it makes the width jump up and down with
    n, so that "the smallest n" would depend on p by up to a few dozen samples at random, whereas the width at the
    expected count decreases in n, and bisection finds where it crosses.

    Parameters
    ----------
    p : float or array_like of float
        The probability to be estimated, in [0, 1]. Arrays broadcast.
    chi : float or array_like of float
        Target error: the width of the interval, in [1e-6, 1).
    alpha : float or array_like of float
        Failure probability of each side, in [1e-100, 1/2).
    method : {"clopper-pearson", "wilson", "agresti-coull"}
        How the interval is made.

    Returns
    -------
    int or ndarray of int64
        Numbers of samples.

    Raises
    ------
    InvalidArgumentError
        When an argument is outside its range or the method is unknown.

    References
    ----------
    .. [1] S. Ugare et al., "Incremental randomized smoothing certification", ICLR 2024, Section 3.1 (Figure 2)
       and Appendix A.1 (Figure 4).

    Examples
    --------
    The paper prints 41,500 and 216,900: a disparity near 0 is cheaper to estimate than a probability near 1/2.

    >>> samples_for_error([0.05, 0.5], chi=0.005, alpha=0.01)
    array([ 41534, 216873])
    """
    _check_method(method)
    p_, width, level = broadcast(
        p=number("p", p, lambda a: (a >= 0) & (a <= 1), "in [0, 1]"),
        chi=number("chi", chi, lambda c: (c >= 1e-6) & (c < 1), "in [1e-6, 1)"),
        alpha=_side(alpha),
    )

    def enough(n: NDArray[np.int64]) -> NDArray[np.bool_]:
        lower, upper = _interval(n * p_, n.astype(np.float64), level, method)
        return np.asarray(upper - lower <= width)

    high = np.ones(p_.shape, dtype=np.int64)
    while not (done := enough(high)).all():
        high = np.where(done, high, 2 * high)
    low = high // 2
    while (high - low > 1).any():
        middle = (low + high) // 2
        low, high = np.where(enough(middle), low, middle), np.where(enough(middle), middle, high)
    return int(high) if high.ndim == 0 else high


def _check_method(method: str) -> None:
    if method not in _METHODS:
        raise InvalidArgumentError(f"method is {method!r}: it should be one of {', '.join(_METHODS)}")


def _side(alpha: ArrayLike) -> Array:
    return number("alpha", alpha, lambda a: (a >= MIN_ALPHA) & (a < 0.5), f"in [{MIN_ALPHA:g}, 1/2)")


def _interval(k: Array, n: Array, alpha: Array, method: IntervalMethod) -> tuple[Array, Array]:
    if method == "clopper-pearson":
        tiny = np.finfo(np.float64).tiny
        lower = np.where(k > 0, betaincinv(np.maximum(k, tiny), n - k + 1, alpha), 0.0)
        upper = np.where(k < n, betainccinv(k + 1, np.maximum(n - k, tiny), alpha), 1.0)
        return lower, upper
    z = -ndtri(alpha)
    centre = (k + z**2 / 2) / (n + z**2)
    if method == "wilson":
        half = z * np.sqrt(k * (n - k) / n + z**2 / 4) / (n + z**2)
    else:
        half = z * np.sqrt(centre * (1 - centre) / (n + z**2))
    return np.asarray(np.maximum(centre - half, 0.0)), np.asarray(np.minimum(centre + half, 1.0))
