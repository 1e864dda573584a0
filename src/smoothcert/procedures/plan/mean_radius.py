"""The mean radius that each method is expected to get to with a number of samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smoothcert.bounds import (
    PairedMethod,
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
    by, n0 = _Expected(basis, alpha_zeta, disagreement), basis.n0
    least = smallest_n(by.alpha)
    yield MeanRadius("from scratch", by.scratch, least, _MOST, n0, uses_base=False)
    yield MeanRadius("from scratch, adaptive", by.adaptive, n0 + least, _MOST, uses_base=False)
    yield MeanRadius("from scratch, guided", by.guided, least, _MOST)
    yield MeanRadius("irs", by.irs, min(least, basis.n), basis.n)
    yield MeanRadius("auto, even", by.even, min(least, basis.n), basis.n)
    yield MeanRadius("auto, budget", by.budget, 1, basis.n)


class _Expected:
    """The expected mean radius of each method, as a function of the samples of an input."""

    def __init__(self, basis: PlanBasis, alpha_zeta: float, disagreement: float) -> None:
        self._basis, self._alpha_zeta, self._disagreement = basis, alpha_zeta, disagreement
        self.alpha = basis.alpha + alpha_zeta
        self._count = _inputs(basis)
        self._p = np.clip(self._count / basis.n, 0.0, 1 - 0.5 / basis.n)

    def scratch(self, n: int) -> float:
        return self._mean(expected_bounds_from_scratch(self._p, n, self.alpha))

    def adaptive(self, n: int) -> float:
        return self._mean(play_adaptive(self._p, self._basis.n0, n, self.alpha))

    def guided(self, n: int) -> float:
        predicted = predicted_from_cache(self._count, self._basis.n, CacheGuide.spread)
        sizes = allocate_samples(predicted, n, self.alpha)
        return self._mean(expected_bounds_from_scratch(self._p, sizes, self.alpha))

    def irs(self, n_p: int) -> float:
        return self._mean(self._paired("irs", self._count, np.full(len(self._count), n_p)))

    def even(self, n_p: int) -> float:
        return self._auto(np.full(len(self._count), n_p))

    def budget(self, n_p: int) -> float:
        return self._auto(allocate_paired(self._count, self._basis.n, n_p, self.alpha))

    def _auto(self, m: Counts) -> float:
        fresh, bounds = prefers_direct(self._count, self._basis.n), np.zeros((5, len(m)))
        direct, paired = fresh & (m > 0), ~fresh & (m > 0)
        bounds[:, direct] = expected_bounds_from_scratch(self._p[direct], m[direct], self.alpha)
        bounds[:, paired] = self._paired("joint", self._count[paired], m[paired])
        return self._mean(bounds)

    def _paired(self, method: PairedMethod, count: Counts, m: Counts) -> Array:
        n, alpha, c = self._basis.n, self._basis.alpha, self._disagreement
        return expected_bounds_paired(method, count, n, m, alpha, self._alpha_zeta, disagreement=c)

    def _mean(self, bounds: Array) -> float:
        return float(np.mean(certified_radius(bounds, self._basis.sigma)))


def _inputs(basis: PlanBasis) -> Counts:
    """Return the counts of inputs that stand for all, each for as many."""
    size = min(basis.inputs, _INPUTS)
    levels = (np.arange(size) + 0.5) / size
    return np.asarray(basis.count[np.searchsorted(np.cumsum(basis.weight), levels).clip(0, len(basis.count) - 1)])
