"""A base and its candidates side by side: incremental certification, and certification from scratch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smoothcert._results import Brief, Framed
from smoothcert.bounds import largest_radius
from smoothcert.certificate import Certificates
from smoothcert.errors import CacheCorruptError, CacheMismatchError
from smoothcert.evaluation.baselines import SamplesFromScratch, expected_curve, samples_from_scratch
from smoothcert.evaluation.cached_votes import cached_rows, certify_first, known_labels, labelled_inputs
from smoothcert.evaluation.metrics import average_certified_radius, certified_accuracy, radius_grid
from smoothcert.evaluation.speedup import Curve, Reach, area_speedup, pointwise_speedup, reach
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

__all__ = ["BASE", "CandidateResult", "Comparison", "compare"]

BASE = "base"
"""What the base is called beside the candidates' names."""

CURVE_POINTS = 10
"""Numbers of samples on a curve: 10 %, 20 %, … of those that there are, as in the incremental paper."""


@dataclass(frozen=True, kw_only=True, repr=False)
class CandidateResult(Brief):
    """A candidate, certified incrementally and from scratch with the same total alpha.

    Attributes
    ----------
    record : CandidateRecord
        What was recertified.
    votes : str
        Digest of the manifest of its votes, which names what it computes.
    incremental, scratch : Certificates
        By `recertify`, and by CERTIFY with the same n_p samples of every input at alpha + alpha_zeta (None without
        selection votes, or where inputs have different numbers of samples).
    gamma : float
        The threshold that was used.
    cost, scratch_cost : Timing
        What the candidate's votes cost, and those of CERTIFY.
    curve, scratch_curve : Curve
        ACR against seconds, at 10 %, 20 %, … of the samples. Where `scratch` is None, that of CERTIFY is expected
        from the votes, see `expected_curve`, at up to ten times the samples.
    baselines : SamplesFromScratch or None
        How many times as many samples certification from scratch is expected to need for the same ACR; None where
        nothing was certified.
    """

    record: CandidateRecord
    votes: str
    incremental: Certificates
    scratch: Certificates | None
    gamma: float
    cost: Timing
    scratch_cost: Timing | None
    curve: Curve
    scratch_curve: Curve
    baselines: SamplesFromScratch | None

    @property
    def area_speedup(self) -> float:
        """Ratio of the areas under the two curves over their common ACRs; NaN without a common range."""
        return area_speedup(self.scratch_curve, self.curve)

    @property
    def pointwise_speedup(self) -> float:
        """Mean ratio of seconds at equal ACR over the common ACRs; NaN without a common range."""
        return pointwise_speedup(self.scratch_curve, self.curve)

    @property
    def reach(self) -> Reach:
        """Which of the two procedures reaches ACRs that the other does not."""
        return reach(self.scratch_curve, self.curve)

    def share(self, branch: Literal["paired", "direct", "abstain"]) -> float:
        """Share of the inputs certified from paired votes, from the candidate's own votes, or not at all."""
        certified = self.incremental.certified
        if branch == "abstain":
            return float(np.mean(~certified))
        direct = self.incremental.branch == "direct"
        return float(np.mean(certified & (direct if branch == "direct" else ~direct)))


@dataclass(frozen=True, kw_only=True, repr=False)
class Comparison(Framed):
    """The base and all candidates that were recertified from its cache; as a data frame, one row for each.

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
    chosen : ndarray of float64, shape (p,), optional
        Radii at which accuracies are shown; by default those of a grid, see `radii`.
    """

    base: Certificates
    base_cost: Timing
    candidates: list[CandidateResult]
    y: NDArray[np.int64]
    chosen: NDArray[np.float64] | None = None

    def __repr__(self) -> str:
        lines = [f"  {name}: ACR {acr:.4f}" for name, acr in zip(*self._acr(), strict=True)]
        title = f"Comparison({len(self.base)} inputs, sigma = {self.base.sigma:g}"
        return "\n".join([title, *lines]) + ")"

    @property
    def radii(self) -> NDArray[np.float64]:
        """Radii at which accuracies are shown: those chosen, or a grid up to the largest that was certified."""
        return self.chosen if self.chosen is not None else radius_grid((self.base, *self.recertified.values()))

    def at(self, radii: ArrayLike) -> Comparison:
        """Return the same comparison, shown at other radii."""
        return replace(self, chosen=np.unique(np.asarray(radii, np.float64)))

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

    def _acr(self) -> tuple[list[str], list[float]]:
        everything = {BASE: self.base, **self.recertified}
        return list(everything), [average_certified_radius(c, self.y) for c in everything.values()]

    def _frame(self) -> dict[str, Any]:
        everything = {BASE: self.base, **self.recertified}
        accuracy = np.stack([certified_accuracy(c, self.y, self.radii) for c in everything.values()])
        costs = [self.base_cost, *(result.cost for result in self.candidates)]
        names, acr = self._acr()
        return {
            "classifier": names,
            "by": ["certify", *(c.method for c in self.recertified.values())],
            "n": [float(c.n.mean()) for c in everything.values()],
            "certified": [float(c.certified.mean()) for c in everything.values()],
            **{f"CA@{r:g}": accuracy[:, i] for i, r in enumerate(self.radii)},
            "ACR": acr,
            "samples": [cost.samples for cost in costs],
            "seconds": [cost.seconds for cost in costs],
            "speedup": [None, *(result.area_speedup for result in self.candidates)],
            "alpha": [c.alpha for c in everything.values()],
            "premise": [c.premise for c in everything.values()],
        }


def compare(cache: str | Path, x: Any = None, y: NDArray[np.int64] | None = None) -> Comparison:
    """Compare the base of a cache with all candidates recertified from it, without a forward pass.

    Parameters
    ----------
    cache : str or Path
        Folder of the certification cache, with the candidates' votes below it.
    x : array, tensor, sequence, data set or loader, shape (m, *shape), optional
        Inputs, all of them in the cache and in every candidate's votes. By default those that the cache and all
        its candidates have.
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
