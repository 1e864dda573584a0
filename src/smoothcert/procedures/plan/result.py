"""What `plan` returns."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from smoothcert._results import Framed
from smoothcert.certificate import Guarantee

__all__ = ["Plan", "PlannedMethod", "Target"]

Target = Literal["radius", "mean radius", "samples"]


@dataclass(frozen=True, kw_only=True)
class PlannedMethod:
    """What one method is expected to need.

    Attributes
    ----------
    method : str
        Its name.
    samples : float or None
        Forward passes per input and candidate, selection included; None when the target is out of reach.
    base_samples : int
        Forward passes of the base per input that have to be made first, once for all candidates.
    passes : int or None
        Forward passes in all.
    seconds : float or None
        Their time; None when the time of one is unknown.
    bytes : int or None
        Votes on disk.
    reaches : float
        With these samples: expected mean certified radius over the reference's, or the share of the inputs that
        are certified at the radius. Where the target is out of reach, the most that the method gets to.
    """

    method: str
    samples: float | None
    base_samples: int
    passes: int | None
    seconds: float | None
    bytes: int | None
    reaches: float


@dataclass(frozen=True, kw_only=True, repr=False)
class Plan(Framed):
    """What `plan` returns; as a data frame, one row for each method.

    Attributes
    ----------
    target : {"radius", "mean radius", "samples"}
        What is asked for: a decision at a radius, a mean certified radius, or what a number of samples gets to.
    value : float
        The radius, the mean certified radius that is needed, or the samples of an input.
    reference : float
        The mean certified radius to compare with: the cache's, or that of n -> infinity.
    inputs, candidates : int
        How many there are.
    sigma, alpha : float
        Standard deviation of the noise, and failure probability of a candidate's certificates.
    disagreement : float
        How much candidates are assumed to disagree with the base, see `expected_disagreement`.
    methods : list of PlannedMethod
        From scratch first.
    guarantee : "estimated"
        A plan promises nothing.
    """

    target: Target
    value: float
    reference: float
    inputs: int
    candidates: int
    sigma: float
    alpha: float
    disagreement: float
    methods: list[PlannedMethod]
    guarantee: Guarantee = field(default="estimated")

    def __repr__(self) -> str:
        asked = f"{self.target} {self.value:.4g} for {self.candidates} candidates on {self.inputs} inputs"
        lines = [f"  {each.method}: {_needs(each)}" for each in self.methods]
        return (
            "\n".join([f"Plan({asked}; sigma = {self.sigma:g}, alpha = {self.alpha:g}; estimated", *lines]) + ")"
        )

    def _frame(self) -> dict[str, Any]:
        rows = [asdict(method) for method in self.methods]
        return {each.name: [row[each.name] for row in rows] for each in fields(PlannedMethod)}


def _needs(method: PlannedMethod) -> str:
    if method.samples is None:
        return f"out of reach, gets to {method.reaches:.3f}"
    time = "" if method.seconds is None else f", {method.seconds:,.0f} s"
    return f"{method.samples:,.0f} samples an input{time}, gets to {method.reaches:.3f}"
