"""What a plan rests on: the votes of a cache, or an assumption about p_A."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from smoothcert._results import Brief
from smoothcert.bounds import certified_radius, lower_confidence_bound
from smoothcert.errors import InvalidArgumentError
from smoothcert.procedures.plan.cost import BYTES_PER_VOTE
from smoothcert.votes import require_count, require_probability
from smoothcert.votes.store import CertificationCache

__all__ = ["PlanBasis", "assumed_base", "basis_from_cache"]

_REPRESENTATIVES = 64


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class PlanBasis(Brief):
    """The inputs of a plan, as at most 64 groups of similar ones, and what is known about their cost.

    Attributes
    ----------
    count : ndarray of int64, shape (r,)
        For each group, votes of f for the top class, of n.
    weight : ndarray of float64, shape (r,)
        Share of the inputs in each group.
    n0, n : int
        Selection and estimation samples of f per input.
    alpha : float
        Failure probability of f's certificates.
    sigma : float
        Standard deviation of the noise.
    inputs : int
        How many inputs there are.
    cached : bool
        Whether f's votes exist already.
    reference : float
        Mean certified radius to compare with: the cache's, or that of n -> infinity for an assumption.
    seconds_per_sample : float or None
        What a forward pass took; None when unknown.
    bytes_per_vote : float
        What a vote takes on disk.
    """

    count: NDArray[np.int64]
    weight: NDArray[np.float64]
    n0: int
    n: int
    alpha: float
    sigma: float
    inputs: int
    cached: bool
    reference: float
    seconds_per_sample: float | None
    bytes_per_vote: float

    @property
    def p(self) -> NDArray[np.float64]:
        """p_A of each group; unanimous votes are taken for half a vote less."""
        return np.clip(self.count / self.n, 0.0, 1 - 0.5 / self.n)

    def mean(self, values: NDArray[np.float64]) -> float:
        """Average over the inputs, and over the first axis of values of shape (k, r)."""
        return float(np.atleast_2d(values).mean(axis=0) @ self.weight)


def basis_from_cache(cache: str | Path) -> PlanBasis:
    """Take counts, reference and cost from a certification cache."""
    store = CertificationCache(cache)
    manifest = store.manifest
    rows = (row for entry in store.entries for row in store.read(entry))
    counts = np.array([row.count for row in rows], np.int64)
    if len(counts) == 0:
        raise InvalidArgumentError(f"cache is {store.path}, which has no inputs yet: run certify first")
    p_lower = np.asarray(lower_confidence_bound(counts, manifest.n, manifest.alpha))
    timing = store.timing()
    count, weight = _group(counts)
    return PlanBasis(
        count=count,
        weight=weight,
        n0=manifest.n0,
        n=manifest.n,
        alpha=manifest.alpha,
        sigma=manifest.sigma,
        inputs=len(counts),
        cached=True,
        reference=float(np.mean(certified_radius(p_lower, manifest.sigma))),
        seconds_per_sample=timing.seconds / timing.samples if timing.samples else None,
        bytes_per_vote=store.bytes_on_disk / (len(counts) * manifest.n),
    )


def assumed_base(
    p_A: ArrayLike,
    *,
    sigma: float,
    inputs: int | None = None,
    n0: int = 100,
    n: int = 100_000,
    alpha: float = 0.001,
) -> PlanBasis:
    """Assume p_A of the inputs and a certification of the base, for a plan without a cache.

    Parameters
    ----------
    p_A : float or array_like of float
        P(f(x + eps) = c_A): one value, a value for each input, or quantiles of its distribution.
    sigma : float
        Standard deviation of the noise.
    inputs : int, optional
        Number of inputs, by default that of `p_A`.
    n0, n, alpha
        Of the base's certification.

    Returns
    -------
    PlanBasis

    Raises
    ------
    InvalidArgumentError
        When an argument is out of range.

    Examples
    --------
    >>> assumed_base([0.6, 0.9], sigma=0.5).count.tolist()
    [60000, 90000]
    """
    if not (isinstance(sigma, (int, float)) and math.isfinite(sigma) and sigma > 0):
        raise InvalidArgumentError(f"sigma is {sigma!r}: give that of the noise, finite and > 0")
    n0, n = require_count("n0", n0), require_count("n", n)
    p = np.atleast_1d(np.asarray(p_A, dtype=np.float64))
    if p.ndim != 1 or len(p) == 0 or not ((p >= 0) & (p < 1)).all():
        raise InvalidArgumentError(f"p_A is {p_A!r}: give probabilities in [0, 1)")
    count, weight = _group(np.rint(n * p).astype(np.int64))
    radius = sigma * np.maximum(ndtri(np.maximum(p, 0.5)), 0.0)
    return PlanBasis(
        count=count,
        weight=weight,
        n0=n0,
        n=n,
        alpha=require_probability("alpha", alpha),
        sigma=float(sigma),
        inputs=len(p) if inputs is None else require_count("inputs", inputs),
        cached=False,
        reference=float(radius.mean()),
        seconds_per_sample=None,
        bytes_per_vote=BYTES_PER_VOTE,
    )


def _group(counts: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Stand in for similar inputs by their median."""
    groups = np.array_split(np.sort(counts), min(len(counts), _REPRESENTATIVES))
    count = np.array([group[len(group) // 2] for group in groups], np.int64)
    return count, np.array([len(group) for group in groups]) / len(counts)
