"""How many samples an estimate needs: the smallest number with a narrow enough confidence interval."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betainccinv, betaincinv, ndtri

__all__ = ["IntervalMethod", "binomial_interval", "samples_for_error"]

Array = NDArray[np.float64]

IntervalMethod = Literal["clopper-pearson", "wilson", "agresti-coull"]


def binomial_interval(k: Array, n: Array, alpha: float, method: IntervalMethod) -> tuple[Array, Array]:
    """Return both ends of a binomial probability's interval, each side at level alpha.

    The count may be an expected one, such as n p, which need not be whole. Sources: Wilson, "Probable inference,
    the law of succession, and statistical inference", JASA 22, 1927; Agresti and Coull, "Approximate is better
    than 'exact' for interval estimation of binomial proportions", The American Statistician 52, 1998.
    """
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


def samples_for_error(
    p: ArrayLike, chi: float, alpha: float, method: IntervalMethod = "clopper-pearson"
) -> NDArray[np.int64]:
    """Return the smallest n for which the interval at the expected count n p is at most chi wide, end to end.

    This reading gives the two numbers that the incremental paper prints in Section 3.1, to the hundreds it prints
    them in. The count is not rounded to a whole number: rounding it makes the width jump up and down with n, so
    that "the smallest n" would depend on p by up to a few dozen samples at random, whereas the width at the
    expected count decreases in n, and bisection finds where it crosses.

    >>> samples_for_error([0.05, 0.5], chi=0.005, alpha=0.01)
    array([ 41534, 216873])
    """
    p_ = np.asarray(p, np.float64)

    def enough(n: NDArray[np.int64]) -> NDArray[np.bool_]:
        lower, upper = binomial_interval(n * p_, n.astype(np.float64), alpha, method)
        return np.asarray(upper - lower <= chi)

    high = np.ones(p_.shape, dtype=np.int64)
    while not (done := enough(high)).all():
        high = np.where(done, high, 2 * high)
    low = high // 2
    while (high - low > 1).any():
        middle = (low + high) // 2
        low, high = np.where(enough(middle), low, middle), np.where(enough(middle), middle, high)
    return high
