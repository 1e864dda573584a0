"""A base and its candidates side by side: incremental certification, and certification from scratch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from smoothcert.bounds import largest_radius
from smoothcert.certificate import Certificates
from smoothcert.errors import CacheCorruptError, CacheMismatchError
from smoothcert.evaluation.cached_votes import cached_rows, certify_first, labelled_inputs
from smoothcert.evaluation.metrics import average_certified_radius, radius_grid
from smoothcert.evaluation.speedup import Curve, Reach, area_speedup, pointwise_speedup, reach
from smoothcert.noise import input_keys
from smoothcert.procedures import recertificates, terms_of
from smoothcert.votes import pair, stack_pairs
from smoothcert.votes.store import (
    CandidateRecord,
    CertificationCache,
    Timing,
    open_candidate,
    read_candidates,
)

__all__ = ["BASE", "CandidateResult", "Comparison", "compare_candidates"]

BASE = "base"
"""What the base is called beside the candidates' names."""

CURVE_POINTS = 10
"""Numbers of samples on a curve: 10 %, 20 %, … of n_p, as in the incremental paper."""


@dataclass(frozen=True, kw_only=True)
class CandidateResult:
    """A candidate, certified incrementally and from scratch with the same samples and the same total alpha.

    Attributes
    ----------
    record : CandidateRecord
        What was recertified.
    votes : str
        Digest of the manifest of its votes, which names what it computes.
    incremental, scratch : Certificates
        By `recertify`, and by CERTIFY with n_p samples at alpha + alpha_zeta (None without selection votes).
    gamma : float
        The threshold that was used.
    cost, scratch_cost : Timing
        n_p passes an input, and n0 + n_p passes an input.
    curve, scratch_curve : Curve
        ACR against seconds, at 10 %, 20 %, … of n_p.
    """

    record: CandidateRecord
    votes: str
    incremental: Certificates
    scratch: Certificates | None
    gamma: float
    cost: Timing
    scratch_cost: Timing | None
    curve: Curve
    scratch_curve: Curve | None

    @property
    def area_speedup(self) -> float:
        """Ratio of the areas under the two curves over their common ACRs; NaN without a common range."""
        return float("nan") if self.scratch_curve is None else area_speedup(self.scratch_curve, self.curve)

    @property
    def pointwise_speedup(self) -> float:
        """Mean ratio of seconds at equal ACR over the common ACRs; NaN without a common range."""
        return float("nan") if self.scratch_curve is None else pointwise_speedup(self.scratch_curve, self.curve)

    @property
    def reach(self) -> Reach | None:
        """Which of the two procedures reaches ACRs that the other does not."""
        return None if self.scratch_curve is None else reach(self.scratch_curve, self.curve)

    def share(self, branch: Literal["paired", "direct", "abstain"]) -> float:
        """Share of the inputs certified from paired votes, from the candidate's own votes, or not at all."""
        certified = self.incremental.certified
        if branch == "abstain":
            return float(np.mean(~certified))
        direct = self.incremental.branch == "direct"
        return float(np.mean(certified & (direct if branch == "direct" else ~direct)))


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The base and all candidates that were recertified from its cache.

    Attributes
    ----------
    base : Certificates
        Of the inputs given.
    base_cost : Timing
        What the cache's votes of all its inputs cost.
    candidates : list of CandidateResult
        By name.
    y : ndarray of int64, shape (m,)
        Labels.
    """

    base: Certificates
    base_cost: Timing
    candidates: list[CandidateResult]
    y: NDArray[np.int64]

    @property
    def radii(self) -> NDArray[np.float64]:
        """Radii at which accuracies are shown, up to the largest that was certified."""
        return radius_grid((self.base, *self.recertified.values()))

    @property
    def recertified(self) -> dict[str, Certificates]:
        """The candidates' certificates by name."""
        return {result.record.name: result.incremental for result in self.candidates}

    @property
    def largest(self) -> dict[str, float]:
        """For the base and every candidate, the largest radius that any input could have got.

        No bound from n votes of f and n_p of f^p can exceed that of n + n_p unanimous votes of one classifier:
        the two might be the same.
        """
        n, base = int(self.base.n.max()), self.base
        found = {BASE: largest_radius(n, base.alpha, base.sigma)}
        for name, c in self.recertified.items():
            found[name] = largest_radius(n + int(c.n.max()), c.alpha, c.sigma)
        return found


def compare_candidates(cache: str | Path, x: Any, y: NDArray[np.int64]) -> Comparison:
    """Compare the base of a cache with all candidates recertified from it, without a forward pass.

    Parameters
    ----------
    cache : str or Path
        Folder of the certification cache, with the candidates' votes below it.
    x : array, tensor or lazy sequence, shape (m, *shape)
        Inputs, all of them in the cache and in every candidate's votes.
    y : ndarray of int64, shape (m,)
        Their labels, used for accuracies alone.

    Returns
    -------
    Comparison

    Raises
    ------
    CacheError
        When an input is missing, votes are damaged, or a candidate belongs to another cache.
    InvalidArgumentError
        When the labels do not fit the inputs.
    """
    store = CertificationCache(cache)
    inputs = labelled_inputs(x, y)
    if store.manifest.input_shape != tuple(inputs.shape[1:]):
        raise CacheMismatchError(
            f"{store.path} was made with input_shape = {store.manifest.input_shape!r}, but x has "
            f"{tuple(inputs.shape[1:])}: give the inputs that it was made with"
        )
    keys = list(input_keys(inputs))
    return Comparison(
        base=certify_first(store.manifest.n, store.manifest.alpha, cached_rows(store, keys), store.manifest),
        base_cost=store.timing(),
        candidates=[_evaluate(store, record, keys, y) for record in read_candidates(store.path)],
        y=np.asarray(y),
    )


def _evaluate(
    store: CertificationCache, record: CandidateRecord, keys: list[bytes], y: NDArray[np.int64]
) -> CandidateResult:
    own = open_candidate(store, record)
    n0, n_p = own.manifest.n0, own.manifest.n
    timing = own.timing()
    per_sample = timing.seconds / max(timing.samples, 1)
    pairs = list(zip(cached_rows(store, keys), cached_rows(own, keys), strict=True))
    grid = np.unique(np.linspace(0, n_p, CURVE_POINTS + 1).astype(int)[1:])
    terms = terms_of(record)

    def incremental(m: int) -> tuple[Certificates, float]:
        counts = stack_pairs([pair(base, candidate, m) for base, candidate in pairs])
        if record.identical and counts.n_disagree.any():
            raise CacheCorruptError(
                f"{own.path} is said to hold votes of the base itself, but some differ: restore it, or recertify "
                f"{record.spec!r} into another folder"
            )
        return recertificates(counts, store.manifest, terms)

    def scratch(m: int) -> Certificates:
        return certify_first(m, own.manifest.alpha, [candidate for _, candidate in pairs], own.manifest)

    def cost(samples: int) -> Timing:
        return Timing(samples * len(keys), samples * len(keys) * per_sample)

    def curve(certificates: list[Certificates], extra: int) -> Curve:
        acr = [average_certified_radius(c, y) for c in certificates]
        return Curve(acr, [max(cost(int(m) + extra).seconds, 1e-9) for m in grid])

    certificates, chosen = incremental(n_p)
    return CandidateResult(
        record=record,
        votes=own.manifest.digest,
        incremental=certificates,
        scratch=scratch(n_p) if n0 else None,
        gamma=chosen,
        cost=cost(n_p),
        scratch_cost=cost(n0 + n_p) if n0 else None,
        curve=curve([incremental(int(m))[0] for m in grid], 0),
        scratch_curve=curve([scratch(int(m)) for m in grid], n0) if n0 else None,
    )
