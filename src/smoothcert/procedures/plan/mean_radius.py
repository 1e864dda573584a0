"""The mean radius that each method is expected to get to with a number of samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smoothcert.bounds import (
    allocate_paired,
    allocate_samples,
    certified_radius,
    expected_bounds_from_scratch,
    expected_bounds_paired,
    prefers_direct,
    smallest_n,
)
from smoothcert.procedures.cache_guide import CacheGuide, predicted_from_cache
from smoothcert.procedures.plan.basis import PlanBasis
from smoothcert.procedures.plan.simulation import play_adaptive

__all__ = ["MeanRadius", "methods_for_mean_radius"]

Array = NDArray[np.float64]
Counts = NDArray[np.int64]

_MOST = 10_000_000
_INPUTS = 128  # that stand for all when samples are divided among them


@dataclass(frozen=True)
class MeanRadius:
    """What one method does with samples of an input, on average.

    Attributes
    ----------
    name : str
        The method.
    mean_radius : callable
        From samples to the expected mean radius.
    least, most : int
        Samples that it can be given.
    selection : int
        Selection samples of an input that it needs beside them.
    uses_base : bool
        Whether the base's votes are needed first.
    """

    name: str
    mean_radius: Callable[[int], float]
    least: int
    most: int
    selection: int = 0
    uses_base: bool = True


def methods_for_mean_radius(basis: PlanBasis, alpha_zeta: float, disagreement: float) -> Iterator[MeanRadius]:
    """Yield the methods, from scratch first; candidates disagree with the base as `expected_disagreement` says."""
    alpha = basis.alpha + alpha_zeta
    least, count = smallest_n(alpha), _inputs(basis)
    p = np.clip(count / basis.n, 0.0, 1 - 0.5 / basis.n)
    fresh = prefers_direct(count, basis.n)
    predicted = predicted_from_cache(count, basis.n, CacheGuide.spread)

    def mean(bounds: Array) -> float:
        return float(np.mean(certified_radius(bounds, basis.sigma)))

    def scratch(n: int) -> float:
        return mean(expected_bounds_from_scratch(p, n, alpha))

    def adaptive(n: int) -> float:
        return mean(play_adaptive(p, basis.n0, n, alpha))

    def guided(n: int) -> float:
        return mean(expected_bounds_from_scratch(p, allocate_samples(predicted, n, alpha), alpha))

    def irs(n_p: int) -> float:
        bounds = expected_bounds_paired(
            "irs", count, basis.n, n_p, basis.alpha, alpha_zeta, disagreement=disagreement
        )
        return mean(bounds)

    def even(n_p: int) -> float:
        return mean(auto(np.full(len(count), n_p)))

    def budget(n_p: int) -> float:
        return mean(auto(allocate_paired(count, basis.n, n_p, alpha)))

    def auto(m: Counts) -> Array:
        bounds = np.zeros((5, len(count)))
        direct, paired = fresh & (m > 0), ~fresh & (m > 0)
        bounds[:, direct] = expected_bounds_from_scratch(p[direct], m[direct], alpha)
        bounds[:, paired] = expected_bounds_paired(
            "joint", count[paired], basis.n, m[paired], basis.alpha, alpha_zeta, disagreement=disagreement
        )
        return bounds

    yield MeanRadius("from scratch", scratch, least, _MOST, basis.n0, uses_base=False)
    yield MeanRadius("from scratch, adaptive", adaptive, basis.n0 + least, _MOST, uses_base=False)
    yield MeanRadius("from scratch, guided", guided, least, _MOST)
    yield MeanRadius("irs", irs, min(least, basis.n), basis.n)
    yield MeanRadius("auto, even", even, min(least, basis.n), basis.n)
    yield MeanRadius("auto, budget", budget, 1, basis.n)


def _inputs(basis: PlanBasis) -> Counts:
    """Return the counts of inputs that stand for all, each for as many."""
    size = min(basis.inputs, _INPUTS)
    levels = (np.arange(size) + 0.5) / size
    return np.asarray(basis.count[np.searchsorted(np.cumsum(basis.weight), levels).clip(0, len(basis.count) - 1)])
