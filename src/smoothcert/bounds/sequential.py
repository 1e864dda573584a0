"""Evidence about a binomial probability that may be looked at after every sample."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincc, betaln, logsumexp, xlog1py, xlogy

from smoothcert.bounds._arguments import broadcast, counts, failure_probability, number
from smoothcert.bounds.binomial import lower_confidence_bound

__all__ = ["largest_threshold", "log_evidence_above", "log_evidence_below"]

Array = NDArray[np.float64]

_ALTERNATIVES = (0.02, 0.1, 0.3, 0.6)
"""Probabilities bet on against a0, as parts of it: the first for no disagreement, the last for a close call."""

_WEIGHTS = (0.4, 0.3, 0.2, 0.1)

_MARGIN = 2.0**-48


def log_evidence_above(k: ArrayLike, n: ArrayLike, p0: ArrayLike) -> Array:
    """Return the logarithm of an e-value against "p <= p0", from k successes in n trials, rounded down."""
    # The likelihood ratio of p0 and the mixture of all p > p0 under Jeffreys' prior, Beta(1/2, 1/2) cut off at p0:
    # what a gambler has who bets at odds p0 as Krichevsky and Trofimov (IEEE Transactions on Information Theory
    # 27, 1981) would, but never on p <= p0; that cuts off the mixture of Voracek's confidence sequence (NeurIPS
    # 2024). ``docs/guarantees.md`` has the proof.
    k_, n_ = counts("k", k, "n", n)
    p_ = _threshold("p0", p0)
    k_, n_, p_ = broadcast(k=k_, n=n_, p0=p_)
    a, b = k_ + 0.5, n_ - k_ + 0.5
    with np.errstate(divide="ignore"):  # far below p0 nothing of the mixture is left, and its logarithm is -inf
        mixture = betaln(a, b) + np.log(betaincc(a, b, p_)) - math.log(math.pi) - np.log(betaincc(0.5, 0.5, p_))
    null: Array = np.asarray(xlogy(k_, p_) + xlog1py(n_ - k_, -p_))
    return np.asarray(mixture - null - _rounding(n_, null))


def log_evidence_below(d: ArrayLike, n: ArrayLike, a0: ArrayLike) -> Array:
    r"""Return the logarithm of an e-value against "a >= a0", from d events in n trials.

    It is a mixture of the likelihood ratios of four a1 < a0 and a0, made for small a: bets that events are from
    50 times to 1.7 times as rare as a0 says.

    Parameters
    ----------
    d : int or array_like of int
        Events, 0 <= d <= n. All arguments broadcast.
    n : int or array_like of int
        Trials so far, 1 <= n <= 10**8.
    a0 : float or array_like of float
        The threshold, in (0, 1).

    Returns
    -------
    ndarray of float64
        Natural logarithm of the e-value, rounded down. "a < a0" may be claimed as soon as it reaches
        ``log(1 / alpha)``, whenever and for whatever reason sampling is looked at or stopped.

    Raises
    ------
    InvalidArgumentError
        When an argument is outside its range.

    Notes
    -----
    Where a >= a0 the mixture is a nonnegative supermartingale; ``docs/guarantees.md`` has the proof (lost votes).

    References
    ----------
    .. [1] A. Wald, "Sequential tests of statistical hypotheses", Annals of Mathematical Statistics 16, 1945.

    Examples
    --------
    Thirty trials without an event show at alpha = 0.001 that fewer than one in four has one:

    >>> log_evidence_below([0, 1], 30, 0.25) >= np.log(1000)
    array([ True, False])
    """
    d_, n_ = counts("d", d, "n", n)
    a_ = _threshold("a0", a0)
    d_, n_, a_ = broadcast(d=d_, n=n_, a0=a_)
    d_, n_, a_ = d_[..., None], n_[..., None], a_[..., None]
    part = np.array(_ALTERNATIVES)
    null: Array = np.asarray(xlogy(d_, a_) + xlog1py(n_ - d_, -a_))
    ratios = xlog1py(n_ - d_, -a_ * part) - xlog1py(n_ - d_, -a_) + d_ * np.log(part)
    mixture: Array = np.asarray(logsumexp(ratios, axis=-1, b=np.array(_WEIGHTS)))
    return np.asarray(mixture - _rounding(n_, null)[..., 0])


def largest_threshold(n: int, alpha: float) -> float:
    """Return the largest p0 that n unanimous votes show to be exceeded by `log_evidence_above`, 0 for none."""
    level = -math.log(float(failure_probability("alpha", alpha)))
    # Betting never shows more than the fixed-sample bound at the same level: it is the upper end to bisect from.
    low, high = 0.0, max(float(lower_confidence_bound(n, n, alpha)), 2.0**-50)
    for _ in range(60):
        middle = (low + high) / 2
        shown = middle > 0 and float(log_evidence_above(n, n, middle)) >= level
        low, high = (middle, high) if shown else (low, middle)
    return low


def _threshold(name: str, value: ArrayLike) -> Array:
    return number(name, value, lambda p: (p > 0) & (p < 1), "a probability in (0, 1)")


def _rounding(n: Array, null: Array) -> Array:
    """Bound the rounding of terms no larger than log n! and the null's log-likelihood."""
    return np.asarray(_MARGIN * ((n + 2) * np.log(n + 2) - null))
