"""How the joint bound divides its failure probability between the base's count and the paired votes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from smoothcert.bounds._arguments import MIN_ALPHA
from smoothcert.bounds._disagreement import expected_disagreement

__all__ = ["P_BINS", "TAUS", "JointLevels", "joint_levels", "tau_index"]

Array = NDArray[np.float64]

TAUS = 1.2 ** np.arange(-40, 41)
"""Ratios of the base's standard error to that of the paired votes, for which levels are prepared."""

P_BINS = ndtr(np.arange(-80, 81) / 10)
"""Inner edges of the bins of p on which the ratio is constant."""

_STEP = 0.08
_LAST = -3.5


@dataclass(frozen=True)
class JointLevels:
    """A step function rho for each ratio: the level of the paired test at a p whose base p-value is u.

    Attributes
    ----------
    u : ndarray of float64, shape (J,)
        Increasing upper ends of the steps; the last step ends at 1, which is left out.
    level : ndarray of float64, shape (len(TAUS), J + 1)
        Non-increasing in each row. 1 stands for: the base alone excludes p.
    """

    u: Array
    level: Array


@lru_cache(maxsize=64)
def joint_levels(alpha: float, candidates: int) -> JointLevels:
    """Calibrate the steps so that the integral of min(1, candidates rho) over u in (0, 1) is at most alpha.

    With z1 and z2 the standard scores of the base's count and of the paired votes, the pairs that are not rejected
    would best be a half-plane w1 z1 + w2 z2 < c with w proportional to (tau, 1), were the ratio tau known exactly.
    Its corners are cut, at levels kappa alpha: without that, a wrong tau would make the bound run away along p.
    """
    tau = TAUS[:, None]
    kappa = 0.02 + 0.18 * np.exp(-((np.log10(tau) / 0.45) ** 2) / 2)
    share = np.maximum(kappa * alpha / candidates, MIN_ALPHA)
    top = -ndtri(max(0.02 * alpha, MIN_ALPHA))
    z = np.arange(top, _LAST, -_STEP)
    middle = np.append(z + _STEP / 2, z[-1])
    u = ndtr(-z)
    width = np.diff(np.concatenate([[0.0], u, [1.0]]))
    excluded = middle >= -ndtri(np.maximum(kappa * alpha, MIN_ALPHA))
    excluded[:, 0] = True

    def levels(c: Array) -> Array:
        half_plane = ndtr(tau * middle - c)
        return np.where(excluded, 1.0, np.maximum(share, half_plane))

    def spent(level: Array) -> Array:
        return np.array([math.fsum(row) for row in np.minimum(1.0, candidates * level) * width])

    low, high = np.full_like(tau, -50.0), 50.0 * np.sqrt(1 + tau**2)
    for _ in range(70):
        c = (low + high) / 2
        fits = spent(levels(c))[:, None] <= alpha * (1 - 1e-12)
        low, high = np.where(fits, low, c), np.where(fits, c, high)
    level = levels(high)
    if (spent(level) > alpha * (1 - 1e-12)).any():
        raise AssertionError("levels were not calibrated")
    return JointLevels(u=u, level=level)


def tau_index(n: Array, m: Array, c: float) -> NDArray[np.int64]:
    """Choose for each bin of p the nearest prepared ratio, shape (*n.shape, len(P_BINS) + 1).

    It is a function of the bin and of n, m and c, never of a vote: the levels at the true p must be fixed.
    """
    middle = ndtr(np.arange(-80.5, 81) / 10)
    p = np.clip(middle, 1e-15, 1 - 1e-15)
    n, m = n[..., None], m[..., None]
    upper = _poisson_upper(m * expected_disagreement(p, c) / 2)
    tau = np.sqrt(p * (1 - p) / n) / (np.sqrt(2 * upper) / m)
    step = np.log(TAUS[1] / TAUS[0])
    return np.asarray(np.clip(np.rint(np.log(tau / TAUS[0]) / step), 0, len(TAUS) - 1), dtype=np.int64)


def _poisson_upper(count: Array) -> Array:
    """Bound a Poisson mean from above at level 0.05, by Wilson and Hilferty's approximation."""
    x = count + 1
    return np.asarray(x * (1 - 1 / (9 * x) + 1.645 / (3 * np.sqrt(x))) ** 3)
