"""A base and its candidates side by side: incremental certification, and certification from scratch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smoothcert.certificate import Certificates
from smoothcert.errors import CacheCorruptError, CacheMismatchError
from smoothcert.evaluation.baselines import expected_curve, samples_from_scratch
from smoothcert.evaluation.cached_votes import cached_rows, certify_first, known_labels, labelled_inputs
from smoothcert.evaluation.comparison_result import CandidateResult, Comparison
from smoothcert.evaluation.metrics import average_certified_radius
from smoothcert.evaluation.speedup import Curve
from smoothcert.noise import input_keys
from smoothcert.procedures import recertificates, terms_of
from smoothcert.votes import PairedCounts, pair, stack_pairs
from smoothcert.votes.store import (
    EVEN,
    CachedInput,
    CandidateRecord,
    CertificationCache,
    Timing,
    open_candidate,
    read_candidates,
)

__all__ = ["compare"]

CURVE_POINTS = 10
"""Numbers of samples on a curve: 10 %, 20 %, … of those that there are, as in the incremental paper."""


def compare(cache: str | Path, x: Any = None, y: NDArray[np.int64] | None = None) -> Comparison:
    """Compare the base of a cache with all candidates recertified from it, without a forward pass.

    Parameters
    ----------
    cache : str or Path
        Folder of the certification cache, with the candidates' votes below it.
    x : array, tensor, sequence, data set or loader, shape (m, *shape), optional
        Inputs, all of them in the cache and in every candidate's votes. By default all of the cache.
    y : ndarray of int64, shape (m,), optional
        Their labels, used for accuracies alone; by default those that come with `x`, or that the cache knows.

    Returns
    -------
    Comparison

    Raises
    ------
    CacheError
        When an input is missing, votes are damaged, or a candidate belongs to another cache.
    InvalidArgumentError
        When the labels do not fit the inputs, or nobody knows them.

    Examples
    --------
    >>> import numpy as np, smoothcert as sc, tempfile
    >>> f = sc.FunctionClassifier(lambda batch: batch, num_classes=2, fingerprint="identity")
    >>> x, y = np.array([[0.9, 0.1], [0.2, 0.7]]), np.array([0, 1])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     run = sc.certify(f, (x, y), sigma=0.25, n=1000, cache=folder)
    ...     comparison = sc.compare(folder)
    >>> len(comparison.base), comparison.y
    (2, array([0, 1]))
    """
    store = CertificationCache(cache)
    if x is None:
        return _compare(store, *known_labels(store))
    inputs, labels = labelled_inputs(x, y)
    if store.manifest.input_shape != tuple(inputs.shape[1:]):
        raise CacheMismatchError(
            f"{store.path} was made with input_shape = {store.manifest.input_shape!r}, but x has "
            f"{tuple(inputs.shape[1:])}: give the inputs that it was made with"
        )
    return _compare(store, list(input_keys(inputs)), labels)


def _compare(store: CertificationCache, keys: list[bytes], y: NDArray[np.int64]) -> Comparison:
    return Comparison(
        base=certify_first(store.manifest.n, store.manifest.alpha, cached_rows(store, keys), store.manifest),
        base_cost=store.timing(),
        candidates=[_evaluate(store, record, keys, y) for record in read_candidates(store.path)],
        y=y,
    )


def _evaluate(
    store: CertificationCache, record: CandidateRecord, keys: list[bytes], y: NDArray[np.int64]
) -> CandidateResult:
    own = open_candidate(store, record)
    pairs = list(zip(cached_rows(store, keys), cached_rows(own, keys), strict=True))
    m = np.array([len(candidate.votes) for _, candidate in pairs])
    shares = [m * k // CURVE_POINTS for k in range(1, CURVE_POINTS + 1)]
    counts = [_paired(pairs, share) for share in shares]
    if record.identical and counts[-1].n_disagree.any():
        raise CacheCorruptError(
            f"{own.path} is said to hold votes of the base itself, but some differ: restore it, or recertify "
            f"{record.spec!r} into another folder"
        )
    incremental, gammas = zip(*(recertificates(c, store.manifest, terms_of(record)) for c in counts), strict=True)
    certificates, right = incremental[-1], incremental[-1].top_class == y
    cost, selection = _Cost.of(own), own.manifest.n0 * len(keys)
    scratch = []
    if selection and record.spread == EVEN:
        own_rows = [candidate for _, candidate in pairs]
        scratch = [certify_first(share, own.manifest.alpha, own_rows, own.manifest) for share in shares]
        scratch_curve = cost.curve(scratch, y, [int(share.sum()) + selection for share in shares])
    else:
        scratch_curve = _expected_from_scratch(counts[-1], right, certificates, store.manifest.n0, cost)
    return CandidateResult(
        record=record,
        votes=own.manifest.digest,
        incremental=certificates,
        scratch=scratch[-1] if scratch else None,
        gamma=gammas[-1],
        cost=cost(int(m.sum())),
        scratch_cost=cost(int(m.sum()) + selection) if scratch else None,
        curve=cost.curve(incremental, y, [int(share.sum()) for share in shares]),
        scratch_curve=scratch_curve,
        baselines=samples_from_scratch(
            counts[-1], certificates.radius, right, certificates.alpha, certificates.sigma
        ),
    )


@dataclass(frozen=True)
class _Cost:
    """What samples of a candidate cost."""

    seconds_per_sample: float

    @classmethod
    def of(cls, votes: CertificationCache) -> _Cost:
        timing = votes.timing()
        return cls(timing.seconds / max(timing.samples, 1))

    def __call__(self, samples: int) -> Timing:
        return Timing(samples, samples * self.seconds_per_sample)

    def seconds(self, samples: int) -> float:
        return max(self(samples).seconds, 1e-9)

    def curve(self, found: Sequence[Certificates], y: NDArray[np.int64], samples: list[int]) -> Curve:
        return Curve([average_certified_radius(c, y) for c in found], [self.seconds(each) for each in samples])


def _expected_from_scratch(
    pairs: PairedCounts, right: NDArray[np.bool_], certificates: Certificates, n0: int, cost: _Cost
) -> Curve:
    """Expect the ACR of CERTIFY with a tenth to ten times the samples that were spent."""
    inputs, spent = len(certificates), max(1.0, float(certificates.n.mean()))
    sizes = np.unique(np.rint(np.geomspace(max(1.0, spent / 10), 10 * spent, 2 * CURVE_POINTS)).astype(int))
    alpha, sigma = certificates.alpha, certificates.sigma
    return expected_curve(pairs, right, sizes, alpha, sigma, lambda n: cost.seconds((n0 + n) * inputs))


def _paired(pairs: list[tuple[CachedInput, CachedInput]], m: NDArray[np.int64]) -> PairedCounts:
    """Pair the first votes of each input."""
    return stack_pairs([pair(base, own, int(first)) for (base, own), first in zip(pairs, m, strict=True)])
