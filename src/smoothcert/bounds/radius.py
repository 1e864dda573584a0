"""Certified radii of smoothed classifiers under Gaussian noise, rounded down."""

from __future__ import annotations

from typing import overload

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from smoothcert.bounds._arguments import broadcast, failure_probability, like_input, number
from smoothcert.bounds.binomial import lower_confidence_bound

__all__ = [
    "certified_radius",
    "certified_radius_two_sided",
    "largest_radius",
    "smallest_n",
]

Array = NDArray[np.float64]

_MARGIN = 2.0**-44


@overload
def certified_radius(p_lower: float, sigma: float) -> float: ...
@overload
def certified_radius(p_lower: ArrayLike, sigma: ArrayLike) -> Array: ...
def certified_radius(p_lower: ArrayLike, sigma: ArrayLike) -> Array | float:
    """Turn a lower bound on the top class's probability into a radius: sigma Phi^-1(p_lower).

    Parameters
    ----------
    p_lower : float or array_like of float
        Lower confidence bound on the probability of the top class under noise, in [0, 1). A value of 1 is
        refused: no finite number of votes gives it, but a bare frequency k / n taken for a bound does.
    sigma : float or array_like of float
        Standard deviation of the noise in the units of the input, positive and finite.

    Returns
    -------
    float or ndarray of float64
        L2 radius in the units of the input, at most the exact value and within 1e-12 of it, relatively; 0 where
        ``p_lower <= 1/2``.

    Raises
    ------
    InvalidArgumentError
        When an argument is outside its range or NaN.

    References
    ----------
    .. [1] J. Cohen, E. Rosenfeld, Z. Kolter, "Certified adversarial robustness via randomized smoothing", ICML
       2019, Theorem 1 with p_B = 1 - p_A.

    Examples
    --------
    >>> round(certified_radius(0.99, sigma=0.5), 6)
    1.163174
    >>> certified_radius([0.3, 0.5, 0.9], sigma=1.0).round(4)
    array([0.    , 0.    , 1.2816])
    """
    p, s = broadcast(p_lower=_lower("p_lower", p_lower), sigma=_sigma(sigma))
    return like_input(_scaled(s, _quantile_below(p)))


@overload
def certified_radius_two_sided(p_A: float, p_B: float, sigma: float) -> float: ...
@overload
def certified_radius_two_sided(p_A: ArrayLike, p_B: ArrayLike, sigma: ArrayLike) -> Array: ...
def certified_radius_two_sided(p_A: ArrayLike, p_B: ArrayLike, sigma: ArrayLike) -> Array | float:
    """Turn bounds on the top class and the others into a radius: sigma/2 (Phi^-1(p_A) - Phi^-1(p_B)).

    Parameters
    ----------
    p_A : float or array_like of float
        Lower bound on the probability of the top class, in [0, 1).
    p_B : float or array_like of float
        Upper bound on the probability of every other class, in (0, 1].
    sigma : float or array_like of float
        Standard deviation of the noise in the units of the input, positive and finite.

    Returns
    -------
    float or ndarray of float64
        L2 radius in the units of the input, rounded down; 0 where ``p_A <= p_B``.

    Raises
    ------
    InvalidArgumentError
        When an argument is outside its range or NaN.

    References
    ----------
    .. [1] J. Cohen, E. Rosenfeld, Z. Kolter, "Certified adversarial robustness via randomized smoothing", ICML
       2019, Theorem 1.

    Examples
    --------
    A class with less than half of the votes can be certified when the others share the rest:

    >>> round(certified_radius_two_sided(0.45, 0.30, sigma=0.5), 6)
    0.099685
    """
    p, q, s = broadcast(p_A=_lower("p_A", p_A), p_B=_upper("p_B", p_B), sigma=_sigma(sigma))
    gap = np.nextafter(_quantile_below(p) - _quantile_above(q), -np.inf)
    return like_input(_scaled(s / 2, gap))


@overload
def largest_radius(n: float, alpha: float, sigma: float) -> float: ...
@overload
def largest_radius(n: ArrayLike, alpha: ArrayLike, sigma: ArrayLike) -> Array: ...
def largest_radius(n: ArrayLike, alpha: ArrayLike, sigma: ArrayLike) -> Array | float:
    """Return the radius that n unanimous votes certify: no input can get more from n samples.

    Parameters
    ----------
    n : int or array_like of int
        Estimation samples, 1 <= n <= 10**8.
    alpha : float or array_like of float
        Failure probability in [1e-100, 1).
    sigma : float or array_like of float
        Standard deviation of the noise in the units of the input, positive and finite.

    Returns
    -------
    float or ndarray of float64
        L2 radius in the units of the input.

    Raises
    ------
    InvalidArgumentError
        When an argument is outside its range.

    Examples
    --------
    >>> round(largest_radius(100_000, 0.001, sigma=0.5), 3)
    1.906
    """
    return certified_radius(lower_confidence_bound(n, n, alpha), sigma)


@overload
def smallest_n(alpha: float) -> int: ...
@overload
def smallest_n(alpha: ArrayLike) -> NDArray[np.int64]: ...
def smallest_n(alpha: ArrayLike) -> NDArray[np.int64] | int:
    """Return the fewest samples that can certify anything: the smallest n with alpha^(1/n) > 1/2.

    Parameters
    ----------
    alpha : float or array_like of float
        Failure probability in [1e-100, 1).

    Returns
    -------
    int or ndarray of int64
        The smallest n for which n unanimous votes give a lower confidence bound above 1/2.

    Raises
    ------
    InvalidArgumentError
        When alpha is outside its range.

    Examples
    --------
    At the usual alpha nothing can be certified from nine samples, and next to nothing from ten:

    >>> smallest_n(0.001), round(largest_radius(10, 0.001, sigma=0.5), 4)
    (10, 0.0015)
    >>> smallest_n([0.01, 0.5])
    array([7, 2])
    """
    mantissa, exponent = np.frexp(failure_probability("alpha", alpha))
    # alpha = mantissa 2^exponent with mantissa in [1/2, 1), so that floor(-log2 alpha) needs no logarithm.
    n = 1 - exponent.astype(np.int64) + (mantissa == 0.5)
    return int(n) if n.ndim == 0 else n


def _lower(name: str, value: ArrayLike) -> Array:
    return number(name, value, lambda p: (p >= 0) & (p < 1), "a lower confidence bound in [0, 1)")


def _upper(name: str, value: ArrayLike) -> Array:
    return number(name, value, lambda p: (p > 0) & (p <= 1), "an upper confidence bound in (0, 1]")


def _sigma(value: ArrayLike) -> Array:
    return number("sigma", value, lambda s: (s > 0) & np.isfinite(s), "positive and finite")


def _quantile_below(p: Array) -> Array:
    quantile = ndtri(p)
    return np.asarray(quantile - _MARGIN * np.abs(quantile))


def _quantile_above(p: Array) -> Array:
    quantile = ndtri(p)
    return np.asarray(quantile + _MARGIN * np.abs(quantile))


def _scaled(sigma: Array, quantile: Array) -> Array:
    with np.errstate(over="ignore", under="ignore"):
        return np.maximum(np.nextafter(sigma * quantile, -np.inf), 0.0)
