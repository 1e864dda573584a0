"""What certification from scratch is expected to need for the ACR that a candidate reached from the cache.

Nothing is sampled: the cached votes and the paired ones say what p_A each input has under the candidate, and from
it follows what n votes from scratch are expected to certify. All of this is estimated.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from smoothcert.bounds import (
    allocate_samples,
    certified_radius,
    expected_bounds_from_scratch,
    smallest_n,
)
from smoothcert.evaluation.speedup import Curve
from smoothcert.procedures import CacheGuide, predicted_from_cache
from smoothcert.votes import PairedCounts

__all__ = ["SamplesFromScratch", "Worth", "expected_curve", "samples_from_scratch"]

Array = NDArray[np.float64]
Counts = NDArray[np.int64]

_NEAREST, _FARTHEST, _STEP = 0.25, 40.0, 1.25  # times the samples spent, and from one number to the next
_RESAMPLES = 1000
_COVERAGE = 0.95


@dataclass(frozen=True)
class Worth:
    """How many times as many samples a baseline needs for the same ACR.

    Attributes
    ----------
    ratio : float
        Its samples of an input over those that were spent; infinite where it was not reached.
    low, high : float
        Ends of an interval of coverage 0.95, by a bootstrap over the inputs: how far it would move on others.
    """

    ratio: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class SamplesFromScratch:
    """The two baselines of a candidate.

    Attributes
    ----------
    one_n : Worth
        CERTIFY with one n for all inputs.
    guided : Worth
        `certify_with_budget`, guided by the cache: what remains above 1 is what pairing itself adds.
    """

    one_n: Worth
    guided: Worth


def samples_from_scratch(
    pairs: PairedCounts, radius: Array, right: NDArray[np.bool_], alpha: float, sigma: float
) -> SamplesFromScratch | None:
    """Compare what was spent on a candidate with both baselines.

    Parameters
    ----------
    pairs : PairedCounts
        Counts of N inputs.
    radius : ndarray of float64, shape (N,)
        What was certified from them.
    right : ndarray of bool, shape (N,)
        Where the class is the label.
    alpha : float
        Total failure probability, of the baselines too.
    sigma : float
        Standard deviation of the noise.

    Returns
    -------
    SamplesFromScratch or None
        None where nothing was certified.
    """
    reached, spent = radius * right, float(pairs.m.mean())
    if not reached.any():
        return None
    p = _p_of_candidate(pairs)
    ladder = np.arange(
        math.floor(math.log(_NEAREST * spent, _STEP)), math.ceil(math.log(_FARTHEST * spent, _STEP))
    )
    sizes = np.unique(np.rint(np.maximum(_STEP**ladder, smallest_n(alpha))).astype(int))

    def one_n(n: int) -> int | Counts:
        return n

    def guided(n: int) -> int | Counts:
        return _divided(pairs.count.tobytes(), pairs.n, n, alpha)

    rng = np.random.default_rng(0)
    weight = np.vstack([np.ones(len(p)), rng.multinomial(len(p), np.full(len(p), 1 / len(p)), _RESAMPLES)])
    return SamplesFromScratch(
        one_n=_worth(_radii(p, one_n, sizes, alpha, sigma) * right, reached, sizes, spent, weight),
        guided=_worth(_radii(p, guided, sizes, alpha, sigma) * right, reached, sizes, spent, weight),
    )


def expected_curve(
    pairs: PairedCounts,
    right: NDArray[np.bool_],
    sizes: Counts,
    alpha: float,
    sigma: float,
    cost: Callable[[int], float],
) -> Curve:
    """Expect the ACR of CERTIFY with each of several n for all inputs, against its cost."""
    acr = (_radii(_p_of_candidate(pairs), lambda n: n, sizes, alpha, sigma) * right).mean(axis=1)
    return Curve(acr, [cost(int(n)) for n in sizes])


def _p_of_candidate(pairs: PairedCounts) -> Array:
    """Estimate P(f^p = c_A): the cached share, and what the paired votes change; the base's without any."""
    p = np.clip(pairs.count / pairs.n, 0.5 / pairs.n, 1 - 0.5 / pairs.n)
    k1, m = np.maximum(pairs.k1, 1), np.maximum(pairs.m, 1)
    paired = p - p * pairs.n10 / k1 + (1 - p) * pairs.n01 / np.maximum(pairs.m - pairs.k1, 1)
    own = np.minimum(p, (pairs.n_direct + 0.5) / (m + 0.5))
    found = np.select([pairs.m == 0, pairs.fresh], [p, own], paired)
    return np.asarray(np.clip(found, 0.0, 1 - 0.5 / pairs.n))


@lru_cache(maxsize=256)
def _divided(count: bytes, n: int, mean: int, alpha: float) -> Counts:
    """Divide samples as a guide does that has the cache alone; the candidates of a cache share what it says."""
    predicted = predicted_from_cache(np.frombuffer(count, np.int64), n, CacheGuide.spread)
    return allocate_samples(predicted, mean, alpha)


def _radii(p: Array, divide: Callable[[int], int | Counts], sizes: Counts, alpha: float, sigma: float) -> Array:
    """Expect the radius of each input at each mean number of samples, shape (len(sizes), N)."""
    bounds = (expected_bounds_from_scratch(p, divide(int(n)), alpha) for n in sizes)
    return np.stack([np.asarray(certified_radius(each, sigma)).mean(axis=0) for each in bounds])


def _worth(curve: Array, reached: Array, sizes: Counts, spent: float, weight: Array) -> Worth:
    """Read off the samples at which the curve has the ACR that was reached; the first weights are no resample."""
    target, acr = weight @ reached, np.maximum.accumulate(curve @ weight.T, axis=0)
    logs = np.log(sizes / spent)
    ratios = np.array(
        [np.exp(np.interp(t, each, logs, right=np.inf)) for t, each in zip(target, acr.T, strict=True)]
    )
    low, high = np.quantile(ratios[1:], [(1 - _COVERAGE) / 2, (1 + _COVERAGE) / 2], method="nearest")
    return Worth(float(ratios[0]), float(low), float(high))
