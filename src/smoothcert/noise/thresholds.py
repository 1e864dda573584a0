"""Exact thresholds of grid noise: where a 64-bit uniform passes from one step to the next."""

from __future__ import annotations

import functools
import hashlib
import math
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

__all__ = ["MAX_SCALE", "grid_thresholds", "thresholds_digest", "total_variation", "word_tables"]

MAX_SCALE = 3500
"""The largest sigma / h: the number of thresholds then fits into 16 bits."""

_REACH = Fraction(46, 5)  # 2^64 Phi(-9.2) = 0.34: beyond 9.2 all thresholds are 0 or 2^64 - 1
_BITS = 256
_ERROR = 1 << 96  # of _BITS fraction bits; the bound in _normal_cdf is 2^-180


@functools.lru_cache(maxsize=16)
def grid_thresholds(sigma: float, levels: int) -> NDArray[np.uint64]:
    """Return T_j = floor(2^64 Phi((j + 1/2) / s)), s = sigma * levels, for -J <= j < J, J = ceil(9.2 s) + 1."""
    # Only integers are used, and `sigma` is the exact binary value of the float: the thresholds do not depend on
    # the machine, the compiler or a library's exp. They ascend from 0 to 2^64 - 1.
    scale = Fraction(sigma) * levels
    half_width = math.ceil(_REACH * scale) + 1
    upper = []
    for j in range(half_width):
        x = Fraction(2 * j + 1, 2) / scale
        upper.append(_threshold(x) if x < _REACH else (1 << 64) - 1)
    # 2^64 Phi is no integer at these points (_threshold checks), so floor(2^64 - y) is 2^64 - 1 - floor(y).
    values = np.array([(1 << 64) - 1 - t for t in reversed(upper)] + upper, dtype=np.uint64)
    values.flags.writeable = False
    return values


def word_tables(thresholds: NDArray[np.uint64]) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
    """Return what the upper 16 bits of U say about the number of thresholds T_j <= U, two tables (65536,)."""
    # Entry w of the first is the number if it is the same for every U with upper bits w, else 2 J + 1; entry w of
    # the second is the number for the smallest such U. Less J, the number is the step k with T_(k-1) <= U < T_k.
    smallest = np.arange(1 << 16, dtype=np.uint64) << np.uint64(48)
    first = np.searchsorted(thresholds, smallest, side="right")
    last = np.searchsorted(thresholds, smallest + np.uint64((1 << 48) - 1), side="right")
    return np.where(first == last, first, len(thresholds) + 1).astype(np.uint16), first.astype(np.uint16)


def thresholds_digest(thresholds: NDArray[np.uint64]) -> str:
    """Return the SHA-256 of the thresholds as little-endian 64-bit words, in hexadecimal."""
    return hashlib.sha256(thresholds.astype("<u8").tobytes()).hexdigest()


def total_variation(size: int, thresholds: NDArray[np.uint64]) -> float:
    """Bound how far the law of a vote is from that under exact Gaussian noise; inputs have `size` coordinates."""
    # Let x lie on the grid of step h, let eps be exactly N(0, sigma^2 I), and let F(z) be the classifier's label
    # of z rounded to the nearest grid point, halves up. Rounding is part of F: the certificate is one of F, which
    # reads nothing but x + eps. F(x + eps) labels x + h K, where in each coordinate K = k exactly if (k - 1/2) h
    # <= eps < (k + 1/2) h. Randomized smoothing's theorem holds for F as for any measurable function of x + eps;
    # it does not hold for the label of the floating-point sum, which may depend on x itself through the rounding
    # (V. Voracek, M. Hein, "Sound randomized smoothing in floating-point arithmetics", ICLR 2023,
    # arXiv:2207.07209). It remains to compare K with the step k that is drawn. Put both on one real uniform V in
    # [0, 1): K is the step with Phi_(K-1) <= V < Phi_K, Phi_j = Phi((j + 1/2) / s), and k the one with T_(k-1) <=
    # 2^64 V < T_k, which depends on V through U = floor(2^64 V) alone as the T_j are integers. They differ only
    # where V lies in one of the intervals [2^-64 T_j, Phi_j), j = -J .. J - 1, each shorter than 2^-64, or above
    # Phi_J, where K > J and k = J. The last interval of the list, from 1 - 2^-64 to Phi_(J-1), leaves room for
    # that: it and [Phi_J, 1) together are still shorter than 2^-64. So P(K != k) < len(T) 2^-64 in each
    # coordinate, and in any of d coordinates at most d len(T) 2^-64, which bounds |P(vote drawn = c) - P(F(x +
    # eps) = c)| for every c.
    count = size * len(thresholds)
    rounded = float(count)
    return math.ldexp(rounded if rounded >= count else math.nextafter(rounded, math.inf), -64)


def _threshold(x: Fraction) -> int:
    value = _normal_cdf(x)
    floor = (value - _ERROR) >> (_BITS - 64)
    if floor != (value + _ERROR) >> (_BITS - 64):
        raise ArithmeticError(f"2^64 Phi({x}) is too close to an integer for {_BITS} bits")
    return floor


def _normal_cdf(x: Fraction) -> int:
    """Return 2^_BITS Phi(x) for 0 < x < 9.2, by the Taylor series of its derivative, integrated."""
    # Phi(x) = 1/2 + (2 pi)^(-1/2) sum_k (-1)^k x y^k / (k! (2k + 1)), y = x^2 / 2. Every truncation is below three
    # units of 2^-256 and grows by at most x e^y < 2^65 on the way through the terms, of which there are fewer than
    # 2^9: the error is below 2^-180.
    y = ((x.numerator**2) << _BITS) // (2 * x.denominator**2)
    term = (x.numerator << _BITS) // x.denominator
    total, k = 0, 0
    while term:
        total += term // (2 * k + 1) if k % 2 == 0 else -(term // (2 * k + 1))
        k += 1
        term = ((term * y) >> _BITS) // k
    return (1 << (_BITS - 1)) + ((total * _inverse_root_two_pi()) >> _BITS)


@functools.cache
def _inverse_root_two_pi() -> int:
    """Return 2^_BITS / sqrt(2 pi), with pi from Machin's formula."""
    one = 1 << (_BITS + 32)
    pi = 16 * _arccot(5, one) - 4 * _arccot(239, one)
    return math.isqrt((one << (2 * _BITS)) // (2 * pi))


def _arccot(n: int, one: int) -> int:
    total, power, k = 0, one // n, 0
    while power:
        total += power // (2 * k + 1) if k % 2 == 0 else -(power // (2 * k + 1))
        power //= n * n
        k += 1
    return total
