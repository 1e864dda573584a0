"""What a comparison of a base with its candidates found."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smoothcert._results import Brief, Framed
from smoothcert.bounds import largest_radius
from smoothcert.certificate import Certificates
from smoothcert.evaluation.baselines import SamplesFromScratch
from smoothcert.evaluation.metrics import average_certified_radius, certified_accuracy, radius_grid
from smoothcert.evaluation.speedup import Curve, Reach, area_speedup, pointwise_speedup, reach
from smoothcert.votes.store import (
    CandidateRecord,
    Timing,
)

__all__ = ["BASE", "CandidateResult", "Comparison"]

BASE = "base"
"""What the base is called beside the candidates' names."""


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
