"""What each method will need for a target, before anything is run."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from smoothcert.bounds import (
    DEFAULT_DISAGREEMENT,
    PAIRED_METHODS,
    PairedMethod,
    RadiusTest,
    certified_radius,
    expected_bounds_from_scratch,
    expected_bounds_paired,
    prefers_direct,
    smallest_n,
)
from smoothcert.errors import InvalidArgumentError
from smoothcert.procedures.incremental import DEFAULT_SAMPLES, StoppingRule
from smoothcert.procedures.plan.basis import PlanBasis, basis_from_cache
from smoothcert.procedures.plan.result import Plan, PlannedMethod
from smoothcert.procedures.plan.simulation import play_adaptive, play_decision, play_sequential
from smoothcert.procedures.threshold import unreachable
from smoothcert.votes import require_count, require_probability, require_radius

__all__ = ["plan"]

_MOST = 10_000_000
_RESOLUTION = 1.02


def plan(
    base: str | Path | PlanBasis,
    *,
    acr_within: float | None = None,
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
    irs None
    joint 630
    auto 630
    """
    if (acr_within is None) == (radius is None):
        raise InvalidArgumentError("give one target: acr_within, such as 0.01, or radius")
    basis = base if isinstance(base, PlanBasis) else basis_from_cache(base)
    price = _Price(basis, require_count("candidates", candidates), _seconds(basis, seconds_per_sample))
    alpha_zeta = require_probability("alpha_zeta", alpha_zeta)
    if not (math.isfinite(disagreement) and disagreement > 0):
        raise InvalidArgumentError(f"disagreement is {disagreement!r}: give a positive number, such as 0.044")
    if acr_within is not None:
        value = (1 - require_probability("acr_within", acr_within)) * basis.reference
        found = _for_mean_radius(basis, price, value, alpha_zeta, disagreement)
    else:
        value = require_radius("radius", radius)
        found = _for_radius(basis, price, value, alpha_zeta, disagreement)
    return Plan(
        target="mean radius" if acr_within is not None else "radius",
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
    alpha, per_reference = basis.alpha + alpha_zeta, 1 / max(basis.reference, np.finfo(float).tiny)

    def scratch(m: int) -> NDArray[np.float64]:
        return expected_bounds_from_scratch(basis.p, m, alpha)

    @functools.cache
    def paired(method: PairedMethod, m: int) -> NDArray[np.float64]:
        return expected_bounds_paired(
            method, basis.count, basis.n, m, basis.alpha, alpha_zeta, disagreement=disagreement
        )

    def auto(m: int) -> NDArray[np.float64]:
        direct = prefers_direct(basis.count, basis.n)
        return np.where(direct, scratch(m), paired("joint", m))

    methods = {method: functools.partial(paired, method) for method in PAIRED_METHODS} | {"auto": auto}
    least = smallest_n(alpha)
    samples, reached = _fewest(functools.partial(_mean_radius, basis, scratch), needed, least, _MOST)
    passes = None if samples is None else basis.n0 + samples
    yield price.of("from scratch", passes, reached * per_reference, uses_base=False)
    adaptive = functools.partial(_mean_radius, basis, lambda m: play_adaptive(basis.p, basis.n0, m, alpha))
    samples, reached = _fewest(adaptive, needed, basis.n0 + least, _MOST)
    yield price.of("from scratch, adaptive", samples, reached * per_reference, uses_base=False)
    for name, bounds in methods.items():
        mean = functools.partial(_mean_radius, basis, bounds)
        samples, reached = _fewest(mean, needed, min(least, basis.n), basis.n)
        yield price.of(name, samples, reached * per_reference, uses_base=True)


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


def _mean_radius(basis: PlanBasis, bounds: Callable[[int], NDArray[np.float64]], m: int) -> float:
    return basis.mean(np.asarray(certified_radius(bounds(m), basis.sigma)))


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
