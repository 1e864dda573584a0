"""Plans are held against what happens: certificates of drawn votes, with the samples that were planned."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri
from scipy.stats import beta

import smoothcert as sc
from closed_form import half_space
from smoothcert.bounds import (
    allocate_paired,
    certified_radius,
    expected_bounds_from_scratch,
    expected_disagreement,
    joint_lower_bound,
    lower_confidence_bound,
)
from smoothcert.errors import CacheMismatchError, InvalidArgumentError
from smoothcert.procedures import Plan, PlannedMethod, assumed_base, certify_with_budget, plan
from smoothcert.procedures.plan import mean_radius as module

SIGMA, N, C = 0.5, 5000, 0.044
P = np.random.default_rng(0).beta(3, 0.8, 40) * 0.99


def by_name(found: Plan) -> dict[str, PlannedMethod]:
    return {method.method: method for method in found.methods}


@pytest.fixture(scope="module")
def within() -> Plan:
    return plan(assumed_base(P, sigma=SIGMA, n=N), acr_within=0.15, candidates=7)


@pytest.fixture
def no_play(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plan adaptive and guided certification as if all inputs got the mean: fast, and others are looked at."""
    monkeypatch.setattr(module, "play_adaptive", lambda p, n0, mean, a: expected_bounds_from_scratch(p, mean, a))
    monkeypatch.setattr(
        module, "allocate_samples", lambda predicted, mean, a: np.full(len(predicted.probit), mean)
    )


def mean_radius(bounds: NDArray[np.float64]) -> float:
    return float(np.mean(certified_radius(bounds, SIGMA)))


def test_the_reference_is_the_radius_of_infinitely_many_samples(within: Plan) -> None:
    truth = np.where(P > 0.5, SIGMA * np.sqrt(2) * _erfinv(2 * P - 1), 0.0)
    assert within.reference == pytest.approx(truth.mean(), rel=1e-9)
    assert within.value == pytest.approx(0.85 * within.reference)
    assert within.guarantee == "estimated"


def _erfinv(values: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy.special import erfinv

    return np.asarray(erfinv(values))


def test_planned_samples_from_scratch_reach_the_target(within: Plan) -> None:
    rng = np.random.default_rng(1)
    planned = by_name(within)["from scratch"]
    assert planned.samples is not None
    n = round(planned.samples) - 100
    found = [mean_radius(np.asarray(lower_confidence_bound(rng.binomial(n, P), n, 0.002))) for _ in range(100)]
    assert np.mean(found) == pytest.approx(within.value, rel=0.01)


def test_a_planned_budget_reaches_the_target(within: Plan) -> None:
    """Certified adaptively, inputs whose boundary is at a known distance."""
    planned = by_name(within)["from scratch, adaptive"]
    assert planned.samples is not None
    scratch = by_name(within)["from scratch"].samples
    assert scratch is not None
    assert planned.samples < 1.1 * scratch
    sure = P > 0.5  # where the majority is the class that was planned for
    x = np.zeros((sure.sum(), 2), np.float32)
    x[:, 0] = 0.4 + 0.05 * ndtri(P[sure])

    found = plan(assumed_base(P[sure], sigma=0.05, n=N), acr_within=0.15, alpha_zeta=1e-9)
    budget = by_name(found)["from scratch, adaptive"].samples
    assert budget is not None
    runs = [
        certify_with_budget(
            half_space(0.4), x, budget=round(budget) * len(x), sigma=0.05, seed=seed, noise="gaussian"
        )
        for seed in range(5)
    ]
    assert np.mean([run.certificates.radius.mean() for run in runs]) == pytest.approx(found.value, rel=0.02)


@pytest.mark.parametrize("spread", ["even", "budget"])
def test_planned_samples_of_the_joint_bound_reach_the_target(within: Plan, spread: str) -> None:
    """With candidates drawn as they are assumed to be."""
    rng = np.random.default_rng(2)
    planned = by_name(within)[f"auto, {spread}"]
    assert planned.samples is not None
    assert planned.base_samples == N + 100
    n_p = round(planned.samples)
    changed = expected_disagreement(P, C) / 2
    found = []
    for _ in range(10):
        votes = rng.random((len(P), N)) < P[:, None]
        count = votes.sum(axis=1)
        m = allocate_paired(count, N, n_p, 0.002) if spread == "budget" else np.full(len(P), n_p)
        k1 = np.array([row[:size].sum() for row, size in zip(votes, m, strict=True)])
        n10, n01 = rng.binomial(k1, changed / P), rng.binomial(m - k1, changed / (1 - P))
        bounds, some = np.zeros(len(P)), m > 0
        bounds[some] = joint_lower_bound(count[some], N, k1[some], n10[some], n01[some], m[some], 0.002)
        found.append(mean_radius(bounds))
    assert np.mean(found) == pytest.approx(within.value, rel=0.02)


def test_what_samples_get_to_is_what_they_were_planned_for(within: Plan) -> None:
    """The two kinds of target are each other's inverse."""
    wanted = by_name(within)["auto, budget"]
    assert wanted.samples is not None
    found = plan(assumed_base(P, sigma=SIGMA, n=N), n_p=round(wanted.samples))
    assert (found.target, found.value) == ("samples", wanted.samples)
    reached = {method.method: method.reaches for method in found.methods}
    assert reached["auto, budget"] == pytest.approx(wanted.reaches)
    assert reached["auto, budget"] > reached["auto, even"] > reached["from scratch"]
    assert reached["from scratch, guided"] > reached["from scratch"]
    assert all(method.samples in (wanted.samples, wanted.samples + 100) for method in found.methods)


@pytest.mark.usefixtures("no_play")
def test_what_is_out_of_reach_is_said() -> None:
    irs = by_name(plan(assumed_base(P[::5], sigma=SIGMA, n=N), acr_within=0.03))["irs"]
    assert irs.samples is None
    assert irs.passes is irs.seconds is irs.bytes is None
    assert 0 < irs.reaches < 0.97


@pytest.mark.usefixtures("no_play")
def test_more_disagreement_takes_more_samples() -> None:
    few, many = (
        by_name(plan(assumed_base(P[::5], sigma=SIGMA, n=N), acr_within=0.1, disagreement=c))["auto, even"].samples
        for c in (0.01, 0.1)
    )
    assert few is not None
    assert many is not None
    assert few < many


@pytest.mark.usefixtures("no_play")
def test_passes_are_those_of_all_candidates_and_of_the_base_once(within: Plan) -> None:
    scratch, joint = by_name(within)["from scratch"], by_name(within)["auto, even"]
    assert scratch.samples is not None
    assert joint.samples is not None
    assert scratch.passes == 40 * 7 * scratch.samples
    assert joint.passes == 40 * (N + 100 + 7 * joint.samples)
    found = plan(assumed_base(P[::5], sigma=SIGMA, n=N), acr_within=0.15, candidates=7, seconds_per_sample=0.5)
    timed = by_name(found)["auto, even"]
    assert timed.passes is not None
    assert timed.seconds == 0.5 * timed.passes
    assert joint.seconds is None


def test_decisions_are_played(within: Plan) -> None:
    found = by_name(plan(assumed_base(P, sigma=SIGMA, n=N), radius=0.25))
    truth = float(np.mean(ndtr(0.25 / SIGMA) < P))
    fixed, sequential = found[f"from scratch, n = {N}"], found["from scratch, sequential"]
    decision = found["decision on the cache"]
    assert fixed.samples == N + 100
    for method in (fixed, sequential, decision):
        assert truth - 0.06 < method.reaches <= truth + 0.01
    assert sequential.samples is not None
    assert decision.samples is not None
    assert 100 < sequential.samples < N / 4
    assert 10 < decision.samples < sequential.samples


@pytest.mark.usefixtures("no_play")
def test_quantiles_stand_for_a_distribution() -> None:
    draws = np.random.default_rng(3).beta(4, 2, 2000)
    quantiles = beta.ppf((np.arange(64) + 0.5) / 64, 4, 2)
    a, b = (
        by_name(plan(assumed_base(p, sigma=SIGMA, n=1000), acr_within=0.3))["from scratch"].samples
        for p in (quantiles, draws)
    )
    assert a == pytest.approx(b, rel=0.1)


@pytest.mark.usefixtures("no_play")
def test_a_cache_says_what_its_inputs_are(tmp_path: Path) -> None:
    x = np.random.default_rng(4).random((20, 2), dtype=np.float32)
    run = sc.certify(half_space(), x, sigma=0.25, n=5000, cache=tmp_path / "cache")
    found = plan(tmp_path / "cache", acr_within=0.05)
    assert found.reference == pytest.approx(run.certificates.radius.mean())
    assert (found.inputs, found.sigma, found.alpha) == (20, 0.25, 0.002)
    auto, scratch = by_name(found)["auto, budget"], by_name(found)["from scratch"]
    assert auto.base_samples == 0
    assert auto.samples is not None
    assert scratch.samples is not None
    assert auto.samples < by_name(found)["auto, even"].samples < scratch.samples  # type: ignore[operator]
    assert auto.seconds is not None
    assert auto.seconds > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"p_A": 0.8, "sigma": 0.5}, "give one target"),
        ({"p_A": 0.8, "sigma": 0.5, "acr_within": 0.1, "radius": 0.5}, "give one target"),
        ({"p_A": 0.8, "sigma": 0.5, "n_p": 100, "radius": 0.5}, "give one target"),
        ({"p_A": 0.8, "sigma": 0.5, "n_p": 0}, "n_p is 0"),
        ({"p_A": 0.8, "sigma": 0.5, "n_p": 100_001}, "n_p is 100001, but the cache has n = 100000"),
        ({"p_A": 0.8, "sigma": None, "acr_within": 0.1}, "sigma is None"),
        ({"p_A": 0.8, "sigma": float("nan"), "acr_within": 0.1}, "sigma is nan"),
        ({"p_A": 1.0, "sigma": 0.5, "acr_within": 0.1}, r"p_A is 1\.0"),
        ({"p_A": [0.5, -0.1], "sigma": 0.5, "acr_within": 0.1}, "p_A is"),
        ({"p_A": [], "sigma": 0.5, "acr_within": 0.1}, "p_A is"),
        ({"p_A": 0.8, "sigma": 0.5, "acr_within": 1.5}, r"acr_within is 1\.5"),
        ({"p_A": 0.8, "sigma": 0.5, "acr_within": 0.1, "candidates": 0}, "candidates is 0"),
        ({"p_A": 0.8, "sigma": 0.5, "acr_within": 0.1, "seconds_per_sample": 0}, "seconds_per_sample is 0"),
        ({"p_A": 0.8, "sigma": 0.5, "acr_within": 0.1, "disagreement": -1.0}, "disagreement is -1"),
        ({"p_A": 0.8, "sigma": 0.5, "radius": 5.0}, r"radius is 5: .* certify no more than 1\.9"),
        ({"p_A": 0.8, "sigma": 0.5, "radius": -1.0}, "radius is -1"),
    ],
)
def test_bad_arguments_are_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        base = assumed_base(arguments["p_A"], sigma=arguments["sigma"])  # type: ignore[arg-type]
        target = {name: value for name, value in arguments.items() if name not in ("p_A", "sigma")}
        plan(base, **target)  # type: ignore[arg-type]


def test_no_cache_is_named(tmp_path: Path) -> None:
    with pytest.raises(CacheMismatchError, match="no certification cache"):
        plan(tmp_path, acr_within=0.1)
