"""Decide from the cached votes of f whether a changed classifier is still certified at a radius."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smoothcert.bounds import certified_radius
from smoothcert.cache import CertificationCache, Setting, Timing
from smoothcert.certificate import ABSTAIN, Certificates
from smoothcert.errors import InvalidArgumentError
from smoothcert.noise import NoiseStream, Purpose
from smoothcert.procedures.arguments import require_radius
from smoothcert.procedures.claims import NO_SELECTION
from smoothcert.procedures.deciding import Outcome, decide_all
from smoothcert.procedures.decision_rule import DecisionRule
from smoothcert.procedures.rounds import sampling_rounds
from smoothcert.procedures.sequential import threshold_of
from smoothcert.procedures.voting import Progress, VotingPlan
from smoothcert.sampling import SampleIndices

__all__ = ["DEFAULT_SAMPLES", "Decisions", "decide"]

DEFAULT_SAMPLES = 10_000
"""Most samples of the changed classifier per input, where the cache has so many and nothing else is asked for."""


@dataclass(frozen=True)
class Decisions:
    """What `decide` returns.

    Attributes
    ----------
    certificates : Certificates
        One per input: the radius asked for, or abstention; ``n`` is the samples of f' that each input took.
    timing : Timing
        Samples drawn and seconds spent by this call.
    """

    certificates: Certificates
    timing: Timing


def decide(
    store: CertificationCache,
    plan: VotingPlan,
    *,
    radius: float,
    premise: str,
    start: int = 0,
    folder: str | Path | None = None,
    progress: Progress | None = None,
) -> Decisions:
    """Decide for each input whether the changed classifier f' is certified at a radius, in few samples of f'.

    The class is the cached one. Where f's count has room above Phi(radius / sigma), f' votes only on noises on
    which f voted for the class, until a sequential test shows that it loses few enough of these votes; elsewhere,
    and where that fails, up to three looks at paired votes follow (`DecisionRule`).

    Parameters
    ----------
    store : CertificationCache
        The votes of f, those of all inputs of the plan.
    plan : VotingPlan
        f', the inputs, their keys and the cache's noise; ``plan.n`` is the most samples of f' per input and
        ``plan.alpha`` the total failure probability.
    radius : float
        L2 radius, at least 0.
    premise : str
        What the guarantee presupposes about f'.
    start : int
        First sample of the cache that f' may vote on.
    folder : str or Path, optional
        Where the votes of f' are kept; an interrupted call continues there.
    progress : callable, optional
        Called with (samples done, samples expected).

    Returns
    -------
    Decisions

    Raises
    ------
    InvalidArgumentError
        When alpha, n, n_p and sigma can never reach the radius.
    CacheError
        When the cache or the folder does not fit, is damaged, locked or cannot be written.
    """
    radius, size = require_radius("radius", radius), math.prod(plan.inputs.shape[1:])
    p0, drawn = threshold_of(radius, plan.noise, size)
    rule = DecisionRule(p0=drawn, n=store.manifest.n, n_p=plan.n, alpha=plan.alpha)
    _require_reachable(radius, rule, plan.noise, size)
    top_class, count = np.full(len(plan.keys), ABSTAIN), np.zeros(len(plan.keys), np.int64)
    bits = []
    for i, key in enumerate(plan.keys):
        row = store[key]
        if row.top_class >= 0:
            top_class[i], count[i] = row.top_class, row.counts[row.top_class]
        bits.append(np.packbits(row.votes[start : start + rule.n_p] == top_class[i]))

    def cached(i: int) -> NDArray[np.bool_]:
        return np.unpackbits(bits[i], count=rule.n_p).astype(np.bool_)

    settings: dict[str, Setting] = {"name": "decide at a radius", "radius": radius, "start": start}
    base = store.manifest.digest
    with sampling_rounds(plan, procedure=settings, folder=folder, base=base, progress=progress) as rounds:

        def ask(wanted: list[tuple[int, NDArray[np.int64]]], to_come: int) -> list[NDArray[np.bool_]]:
            requests = [SampleIndices(i, plan.keys[i], Purpose.ESTIMATION, start + which) for i, which in wanted]
            votes = rounds(requests, to_come=to_come)
            return [v == top_class[i] for (i, _), v in zip(wanted, votes, strict=True)]

        outcome = decide_all(rule, count, cached, ask)
    return Decisions(_certificates(outcome, top_class, rule, p0, radius, plan.noise, premise), rounds.timing)


def _require_reachable(radius: float, rule: DecisionRule, noise: NoiseStream, size: int) -> None:
    """Refuse a radius that even unanimous votes do not show."""
    if rule.p0 < 1 and rule.is_reachable():
        return
    low, high = 0.5, 1.0
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if replace(rule, p0=middle).is_reachable() else (low, middle)
    radius_of = certified_radius(max(0.0, low - noise.total_variation(size)), noise.sigma)
    largest = math.floor(1e4 * radius_of) / 1e4
    raise InvalidArgumentError(
        f"radius is {radius:g}: with n = {rule.n} cached votes, n_p = {rule.n_p}, alpha = {rule.alpha:g} in all "
        f"and sigma = {noise.sigma:g} even unanimous votes certify no more than {largest:g}; "
        "ask for less, or use more samples"
    )


def _certificates(
    outcome: Outcome,
    top_class: NDArray[np.int64],
    rule: DecisionRule,
    p0: float,
    radius: float,
    noise: NoiseStream,
    premise: str,
) -> Certificates:
    claimed = outcome.certified
    return Certificates(
        prediction=np.where(claimed, top_class, ABSTAIN),
        radius=np.where(claimed, radius, 0.0),
        p_lower=np.where(claimed, p0, 0.0),
        top_class=top_class,
        count=outcome.votes,
        n=outcome.samples,
        reason=np.where(claimed, "", np.where(top_class >= 0, f"not certified at {radius:g}", NO_SELECTION)),
        alpha=rule.alpha,
        alpha_split=rule.alpha_split,
        sigma=noise.sigma,
        method="decision",
        noise=noise.law,
        guarantee="certified",
        premise=f"{premise}; {noise.premise}",
        branch=outcome.by,
    )
