"""A confidence interval on the mean of a bounded variable, valid at every sample size."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smoothcert.errors import InvalidArgumentError
from smoothcert.evaluation._arguments import require_confidence

__all__ = ["bounded_mean_interval"]

_CAP = 0.75  # the largest share of the wealth that is bet: any below 1 is valid
_HALVINGS = 50


def bounded_mean_interval(values: ArrayLike, largest: float, *, confidence: float = 0.95) -> tuple[float, float]:
    """Confidence interval on the mean of independent draws from [0, largest], by betting.

    To test a mean m, one bets on the draws one after the other at odds that are fair if m is right. Whatever the
    bets, by Ville's inequality the wealth then ever reaches 1 / delta with probability at most delta: a mean
    under which it does is rejected. One such test against smaller means and one against larger, each at half of
    the error, leave an interval, since the wealth is monotone in m. The sizes of the bets follow from mean and
    variance of the draws before.

    The values are brought into a random order of a fixed seed, so that the interval does not depend on theirs,
    and draws that were sorted afterwards, by class for example, count as drawn.

    Parameters
    ----------
    values : array_like of float, shape (m,)
        At least one value.
    largest : float
        Known before the values are: no draw can be larger.
    confidence : float, default 0.95
        Coverage of the two-sided interval, in (0, 1); it is at least that for every m and every distribution.

    Returns
    -------
    low, high : float
        The interval, within [0, largest].

    Raises
    ------
    InvalidArgumentError
        When there are no values, one is outside [0, largest], or `confidence` is not in (0, 1).

    References
    ----------
    Waudby-Smith, Ramdas, "Estimating means of bounded random variables by betting", JRSS B 86, 2024, theorem 3.

    Examples
    --------
    >>> low, high = bounded_mean_interval([0.5, 0.0, 0.5, 1.0] * 100, largest=2.0)
    >>> round(low, 2), round(high, 2)
    (0.45, 0.54)
    """
    x = np.sort(np.asarray(values, dtype=np.float64))
    if x.ndim != 1 or len(x) == 0 or not (x[0] >= 0 and x[-1] <= largest < math.inf):
        raise InvalidArgumentError(f"values should be one or more numbers from 0 to largest = {largest}")
    require_confidence(confidence)
    if largest == 0:
        return 0.0, 0.0
    x = np.random.default_rng(0).permutation(x) / largest
    threshold = math.log(2 / (1 - confidence))
    low, below_high = (_smallest_mean(side, threshold) for side in (x, 1 - x))
    return largest * low, largest * (1 - below_high)


def _smallest_mean(x: NDArray[np.float64], threshold: float) -> float:
    """Return the smallest mean against which betting on larger draws does not win."""
    t = np.arange(1, len(x) + 1)
    mean = (0.5 + np.cumsum(x)) / (t + 1)
    variance = (0.25 + np.cumsum((x - mean) ** 2)) / (t + 1)
    before = np.concatenate(([0.25], variance[:-1]))  # a bet may depend on earlier draws alone
    bets = np.sqrt(2 * threshold / (len(x) * before))

    def log_wealth(m: float) -> float:
        return float(np.cumsum(np.log1p(np.minimum(bets, _CAP / m) * (x - m))).max())

    rejected, kept = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (rejected + kept) / 2
        rejected, kept = (middle, kept) if log_wealth(middle) >= threshold else (rejected, middle)
    return rejected
