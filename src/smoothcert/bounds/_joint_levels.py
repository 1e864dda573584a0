"""How the joint bound divides its failure probability between the base's count and the paired votes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from smoothcert.bounds._arguments import MIN_ALPHA
from smoothcert.bounds._disagreement import DEFAULT_DISAGREEMENT, expected_disagreement

__all__ = ["P_BINS", "TAUS", "JointLevels", "joint_levels", "tau_index"]

Array = NDArray[np.float64]

TAUS = 1.2 ** np.arange(-20, 3)
"""Ratios of the base's standard error to that of the paired votes, around which levels are prepared."""

P_BINS = ndtr(np.arange(-80, 81) / 10)
"""Inner edges of the bins of p on which the ratio is constant."""

_TILTS = 1.2 ** np.arange(-25, 26)
# Shares of the tilts: 1 within a factor e^0.3 of tau, 0.2 far away.
_NEAR, _FALL, _LEAST = 0.3, 7.0, 0.2
_PAIRED = 0.06  # the share of the cached samples that is taken to be paired, where the levels do best
_STEP = 0.08
_LAST = -3.5
_FURTHEST = 50.0


@dataclass(frozen=True)
class JointLevels:
    """A step function rho for each ratio: the level of the paired test at a p whose base p-value is u."""

    u: Array  # (J,): increasing upper ends of the steps; the last step ends at 1, which is left out
    level: Array  # (len(TAUS), J + 1): non-increasing in each row; 1 stands for: the base alone excludes p


@lru_cache(maxsize=64)
def joint_levels(alpha: float, candidates: int) -> JointLevels:
    """Calibrate the steps so that the integral of min(1, candidates rho) over u in (0, 1) is at most alpha."""
    # With z1 and z2 the standard scores of the base's count and of the paired votes, a p is best rejected in a
    # half-plane tau z1 + z2 >= c, were the ratio tau of the standard errors known. But it depends on how many
    # samples are paired and on the candidate, which the levels must not know. So a p is rejected in the union of
    # half-planes of all tilts. Each begins further out than it would alone: all by the same, and by more where
    # their tilt is far from tau. Whatever the true ratio is, the bound is about as wide as the half-plane of its
    # tilt.
    z = np.arange(-ndtri(max(0.02 * alpha, MIN_ALPHA)), _LAST, -_STEP)
    middle = np.append(z + _STEP / 2, z[-1])
    u = ndtr(-z)
    width = np.diff(np.concatenate([[0.0], u, [1.0]]))

    def fits(level: Array) -> NDArray[np.bool_]:
        spent = [math.fsum(row) for row in np.minimum(1.0, candidates * level) * width]
        return np.array(spent) <= alpha * (1 - 1e-12)

    length = np.sqrt(1 + _TILTS**2)
    score = _TILTS[:, None] * middle / length[:, None]
    alone = _least(len(_TILTS), lambda c: fits(_first_excluded(ndtr((score - c[:, None]) * length[:, None]))))
    distance = np.maximum(np.abs(np.log(_TILTS / TAUS[:, None])) - _NEAR, 0)
    share = np.maximum(_LEAST, np.exp(-(distance**2) / _FALL))
    begin = alone + ndtri(alpha) - ndtri(alpha * share)
    base, pairs = -ndtri(alpha * _LEAST), ndtri(alpha) - ndtri(alpha * _LEAST) - ndtri(alpha / candidates)

    def levels(further: Array) -> Array:
        by = further[:, None]
        tilted = ((score - (begin + by)[:, :, None]) * length[:, None]).max(axis=1)
        level = np.where(middle >= base + by, 1.0, ndtr(np.maximum(tilted, -pairs - by)))
        return np.minimum.accumulate(_first_excluded(level), axis=1)

    level = levels(_least(len(TAUS), lambda further: fits(levels(further))))
    if not fits(level).all():
        raise AssertionError("levels were not calibrated")
    return JointLevels(u=u, level=level)


def tau_index(n: Array) -> NDArray[np.int64]:
    """Choose for each bin of p a prepared ratio, from n and nothing that anybody chose by looking at votes."""
    middle = ndtr(np.arange(-80.5, 81) / 10)
    p = np.clip(middle, 1e-15, 1 - 1e-15)
    n, m = n[..., None], _PAIRED * n[..., None]
    upper = _poisson_upper(m * expected_disagreement(p, DEFAULT_DISAGREEMENT) / 2)
    tau = np.sqrt(p * (1 - p) / n) / (np.sqrt(2 * upper) / m)
    step = np.log(TAUS[1] / TAUS[0])
    return np.asarray(np.clip(np.rint(np.log(tau / TAUS[0]) / step), 0, len(TAUS) - 1), dtype=np.int64)


def _least(size: int, fits: Callable[[Array], NDArray[np.bool_]]) -> Array:
    """Find, for each of some rows, the smallest number with which it fits, as it does with all larger ones."""
    low, high = np.full(size, -_FURTHEST), np.full(size, _FURTHEST)
    for _ in range(50):
        middle = (low + high) / 2
        enough = fits(middle)
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return high


def _first_excluded(level: Array) -> Array:
    level[:, 0] = 1.0
    return level


def _poisson_upper(count: Array) -> Array:
    """Bound a Poisson mean from above at level 0.05, by Wilson and Hilferty's approximation."""
    x = count + 1
    return np.asarray(x * (1 - 1 / (9 * x) + 1.645 / (3 * np.sqrt(x))) ** 3)
