"""What each method will need for a target, before anything is run."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.special import ndtr

from smoothcert.bounds import DEFAULT_DISAGREEMENT, RadiusTest, expected_bounds_from_scratch
from smoothcert.errors import InvalidArgumentError
from smoothcert.procedures.incremental import DEFAULT_SAMPLES, StoppingRule
from smoothcert.procedures.plan.basis import PlanBasis, basis_from_cache
from smoothcert.procedures.plan.mean_radius import MeanRadius, methods_for_mean_radius
from smoothcert.procedures.plan.result import Plan, PlannedMethod, Target
from smoothcert.procedures.plan.simulation import play_decision, play_sequential
from smoothcert.procedures.threshold import unreachable
from smoothcert.votes import require_count, require_probability, require_radius

__all__ = ["plan"]

_RESOLUTION = 1.02


def plan(
    base: str | Path | PlanBasis,
    *,
    acr_within: float | None = None,
    n_p: int | None = None,
    radius: float | None = None,
    candidates: int = 1,
    alpha_zeta: float = 0.001,
    disagreement: float = DEFAULT_DISAGREEMENT,
    seconds_per_sample: float | None = None,
) -> Plan:
    """Estimate the samples, time and disk that each method needs for a target, without a forward pass.

    The bounds are evaluated at five equally likely counts for each of at most 64 groups of similar inputs;
    decisions at a radius are played with drawn votes. Candidates are assumed to be as good as the base and to
    disagree as `disagreement` says. No labels are used: a mean certified radius stands for the ACR, as if all
    classes were right.

    Parameters
    ----------
    base : str, Path or PlanBasis
        Folder of a certification cache, whose p_A, noise, n0, n, alpha and time of a sample are taken, or an
        assumption, from `assumed_base`.
    acr_within : float, optional
        Target: a mean certified radius at most this share below the reference, as 0.01 for 1 %. The reference is
        the cache's own, or that of n -> infinity.
    n_p : int, optional
        Target: the mean certified radius that so many samples of an input get each method to, on average.
    radius : float, optional
        Target: a decision for each input whether it is certified at this radius.
    candidates : int
        Number of candidates.
    alpha_zeta : float
        Failure probability of the candidates beyond alpha.
    disagreement : float
        The constant c of `expected_disagreement`: 0.044 is about 1 % of the votes at p_A = 0.8.
    seconds_per_sample : float, optional
        Time of a forward pass, instead of the cache's.

    Returns
    -------
    Plan

    Raises
    ------
    InvalidArgumentError
        When there is not exactly one target, an argument is out of range, or the radius can never be reached.
    CacheError
        When the cache is damaged or there is none.

    Examples
    --------
    >>> from smoothcert.procedures import assumed_base
    >>> base = assumed_base([0.6, 0.7, 0.8, 0.9], sigma=0.5, n=20_000)
    >>> found = plan(base, acr_within=0.1, candidates=10)
    >>> for method in found.methods:
    ...     print(method.method, method.samples)
    from scratch 3340
    from scratch, adaptive 3488
    from scratch, guided 3276
    irs None
    auto, even 630
    auto, budget 608
    """
    if sum(target is not None for target in (acr_within, n_p, radius)) != 1:
        raise InvalidArgumentError("give one target: acr_within, such as 0.01, n_p, or radius")
    basis = base if isinstance(base, PlanBasis) else basis_from_cache(base)
    price = _Price(basis, require_count("candidates", candidates), _seconds(basis, seconds_per_sample))
    alpha_zeta = require_probability("alpha_zeta", alpha_zeta)
    if not (math.isfinite(disagreement) and disagreement > 0):
        raise InvalidArgumentError(f"disagreement is {disagreement!r}: give a positive number, such as 0.044")
    target: Target
    if radius is not None:
        target, value = "radius", require_radius("radius", radius)
        found = _for_radius(basis, price, value, alpha_zeta, disagreement)
    elif n_p is not None:
        target, value = "samples", float(_require_cached(basis, n_p))
        found = _with_samples(basis, price, int(value), alpha_zeta, disagreement)
    else:
        target, value = "mean radius", (1 - require_probability("acr_within", acr_within)) * basis.reference
        found = _for_mean_radius(basis, price, value, alpha_zeta, disagreement)
    return Plan(
        target=target,
        value=value,
        reference=basis.reference,
        inputs=basis.inputs,
        candidates=candidates,
        sigma=basis.sigma,
        alpha=basis.alpha + alpha_zeta,
        disagreement=disagreement,
        methods=list(found),
    )


@dataclass(frozen=True)
class _Price:
    """From samples per input and candidate to what they cost in all."""

    basis: PlanBasis
    candidates: int
    seconds_per_sample: float | None

    def of(self, method: str, samples: float | None, reaches: float, *, uses_base: bool) -> PlannedMethod:
        basis = self.basis
        base = basis.n0 + basis.n if uses_base and not basis.cached else 0
        passes = None if samples is None else round(basis.inputs * (base + self.candidates * samples))
        seconds = None
        if passes is not None and self.seconds_per_sample is not None:
            seconds = passes * self.seconds_per_sample
        size = None if passes is None else round(passes * basis.bytes_per_vote)
        return PlannedMethod(
            method=method,
            samples=samples,
            base_samples=base,
            passes=passes,
            seconds=seconds,
            bytes=size,
            reaches=reaches,
        )


def _for_mean_radius(
    basis: PlanBasis, price: _Price, needed: float, alpha_zeta: float, disagreement: float
) -> Iterator[PlannedMethod]:
    """Find for each method the fewest samples with the mean radius that is needed."""
    for method in methods_for_mean_radius(basis, alpha_zeta, disagreement):
        samples, reached = _fewest(method.mean_radius, needed, method.least, method.most)
        yield _priced(basis, price, method, samples, reached)


def _with_samples(
    basis: PlanBasis, price: _Price, n_p: int, alpha_zeta: float, disagreement: float
) -> Iterator[PlannedMethod]:
    """Say what each method gets to with n_p samples of an input."""
    for method in methods_for_mean_radius(basis, alpha_zeta, disagreement):
        yield _priced(basis, price, method, n_p, method.mean_radius(n_p))


def _priced(
    basis: PlanBasis, price: _Price, method: MeanRadius, samples: int | None, reached: float
) -> PlannedMethod:
    per_reference = 1 / max(basis.reference, np.finfo(float).tiny)
    passes = None if samples is None else samples + method.selection
    return price.of(method.name, passes, reached * per_reference, uses_base=method.uses_base)


def _require_cached(basis: PlanBasis, n_p: int) -> int:
    if require_count("n_p", n_p) > basis.n:
        raise InvalidArgumentError(f"n_p is {n_p}, but the cache has n = {basis.n} votes per input: give no more")
    return n_p


def _for_radius(
    basis: PlanBasis, price: _Price, radius: float, alpha_zeta: float, disagreement: float
) -> Iterator[PlannedMethod]:
    """Play the decisions at a radius, beside certification with n samples for all."""
    alpha, p0 = basis.alpha + alpha_zeta, float(ndtr(radius / basis.sigma))
    test = RadiusTest(p0, basis.n, alpha)
    if p0 >= test.largest_p0:
        raise unreachable(radius, test.largest_p0, basis.sigma, f"n = {basis.n}, alpha = {alpha:g}")
    above = expected_bounds_from_scratch(basis.p, basis.n, alpha) > p0
    certified = basis.mean(above.astype(np.float64))
    yield price.of(f"from scratch, n = {basis.n}", basis.n0 + basis.n, certified, uses_base=False)
    samples, decided = play_sequential(basis.p, test)
    yield price.of(
        "from scratch, sequential", basis.n0 + basis.mean(samples), basis.mean(decided), uses_base=False
    )
    rule = StoppingRule(p0=p0, n=basis.n, n_p=min(DEFAULT_SAMPLES, basis.n), alpha=alpha)
    samples, decided = play_decision(basis.count, rule, disagreement)
    yield price.of("decision on the cache", basis.mean(samples), basis.mean(decided), uses_base=True)


def _fewest(reached: Callable[[int], float], needed: float, least: int, most: int) -> tuple[int | None, float]:
    """Find the fewest samples that reach what is needed, within 2 %; else what the most reach."""
    low, high = 0, least
    while (best := reached(high)) < needed:
        if high == most:
            return None, best
        low, high = high, min(2 * high, most)
    while high > max(low, least) * _RESOLUTION and high > low + 1:
        middle = (max(low, least - 1) + high) // 2
        if (value := reached(middle)) >= needed:
            high, best = middle, value
        else:
            low = middle
    return high, best


def _seconds(basis: PlanBasis, given: float | None) -> float | None:
    if given is not None and not (math.isfinite(given) and given > 0):
        raise InvalidArgumentError(f"seconds_per_sample is {given!r}: give a positive time")
    return basis.seconds_per_sample if given is None else given
