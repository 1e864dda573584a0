"""Evidence that may be looked at after every sample: exact error probabilities, and mpmath's values."""

from __future__ import annotations

from collections.abc import Callable

import mpmath as mp
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binom

from smoothcert.bounds import lower_confidence_bound
from smoothcert.bounds.sequential import largest_threshold, log_evidence_above, log_evidence_below
from smoothcert.errors import InvalidArgumentError

Array = NDArray[np.float64]


def crossing_probability(
    evidence: Callable[[Array, int], Array], p: float, alpha: float, horizon: int, every: int = 1
) -> float:
    """Probability that the evidence ever reaches 1 / alpha, exactly: the counts not yet crossed, step by step."""
    alive, crossed = np.array([1.0]), 0.0
    for n in range(1, horizon + 1):
        alive = np.append(alive * (1 - p), 0.0) + np.append(0.0, alive * p)
        if n % every == 0:
            hit = evidence(np.arange(n + 1.0), n) >= -np.log(alpha)
            crossed += float(alive[hit].sum())
            alive = np.where(hit, 0.0, alive)
    return crossed


@pytest.mark.parametrize("p0", [0.5, 0.7, 0.93])
@pytest.mark.parametrize("alpha", [0.05, 0.001])
def test_evidence_above_errs_at_most_alpha_at_any_stopping_time(p0: float, alpha: float) -> None:
    def evidence(k: Array, n: int) -> Array:
        return log_evidence_above(k, n, p0)

    at_boundary = crossing_probability(evidence, p0, alpha, 300)
    below = crossing_probability(evidence, p0 - 0.02, alpha, 300)
    assert below < at_boundary <= alpha
    assert at_boundary > 0.15 * alpha, "the bound is used, so the test could fail"


@pytest.mark.parametrize("a0", [0.02, 0.3])
@pytest.mark.parametrize("alpha", [0.05, 0.001])
def test_evidence_below_errs_at_most_alpha_at_any_stopping_time(a0: float, alpha: float) -> None:
    def evidence(d: Array, n: int) -> Array:
        return log_evidence_below(d, n, a0)

    at_boundary = crossing_probability(evidence, a0, alpha, 600, every=3)
    above = crossing_probability(evidence, 1.3 * a0, alpha, 600, every=3)
    assert above < at_boundary <= alpha
    assert at_boundary > 0.15 * alpha


@pytest.mark.parametrize("p0", [0.5, 0.69, 0.95])
def test_e_values_have_mean_at_most_one(p0: float) -> None:
    k = np.arange(201)
    mean = float((binom.pmf(k, 200, p0) * np.exp(log_evidence_above(k, 200, p0))).sum())
    assert mean == pytest.approx(1, abs=1e-9)
    assert mean <= 1
    assert float((binom.pmf(k, 200, p0 - 0.1) * np.exp(log_evidence_above(k, 200, p0))).sum()) < mean
    d = float((binom.pmf(k, 200, 0.1) * np.exp(log_evidence_below(k, 200, 0.1))).sum())
    assert d == pytest.approx(1, abs=1e-9)
    assert d <= 1


def exact_above(k: int, n: int, p0: float) -> mp.mpf:
    """The mixture by a series of positive terms for the incomplete beta function."""
    p, a, b = mp.mpf(p0), mp.mpf(k) + 0.5, mp.mpf(n - k) + 0.5
    mixture = (1 - p) ** b * p**a / b * mp.hyp2f1(a + b, 1, b + 1, 1 - p)
    prior = mp.pi - 2 * mp.asin(mp.sqrt(p))
    return mp.log(mixture) - mp.log(prior) - k * mp.log(p) - (n - k) * mp.log(1 - p)


def test_evidence_above_is_rounded_down_by_little() -> None:
    rng = np.random.default_rng(0)
    with mp.workdps(60):
        for _ in range(300):
            n = int(10 ** rng.uniform(0, 5))
            p0 = float(rng.choice([rng.uniform(0.5, 1), 1 - 10 ** rng.uniform(-7, -1), rng.uniform(0.01, 0.5)]))
            k = int(np.clip(round(n * p0 + 4 * rng.normal() * np.sqrt(n * p0 * (1 - p0))), 0, n))
            gap = float(exact_above(k, n, p0) - mp.mpf(float(log_evidence_above(k, n, p0))))
            assert 0 < gap < 2e-8, (n, k, p0)


def test_evidence_below_is_rounded_down_by_little() -> None:
    rng = np.random.default_rng(1)
    with mp.workdps(60):
        for _ in range(300):
            n = int(10 ** rng.uniform(0, 7))
            a0 = float(10 ** rng.uniform(-5, -0.2))
            d = int(np.clip(rng.poisson(n * a0 * rng.uniform(0, 1.5)), 0, n))
            ratios = [
                mp.mpf(w) * ((1 - mp.mpf(a0) * mp.mpf(c)) / (1 - mp.mpf(a0))) ** (n - d) * mp.mpf(c) ** d
                for c, w in zip(("0.02", "0.1", "0.3", "0.6"), ("0.4", "0.3", "0.2", "0.1"), strict=True)
            ]
            gap = float(mp.log(mp.fsum(ratios)) - mp.mpf(float(log_evidence_below(d, n, a0))))
            assert 0 < gap < 2e-6, (n, d, a0)


def test_evidence_above_beats_the_two_sided_mixture() -> None:
    """The mixture over all of (0, 1) is what a confidence sequence inverts; one side of it has the evidence."""
    k, n, p0 = 930, 1000, 0.9
    with mp.workdps(30):
        both = mp.log(mp.beta(k + 0.5, n - k + 0.5) / mp.pi) - k * mp.log(p0) - (n - k) * mp.log(1 - mp.mpf(p0))
    gain = float(log_evidence_above(k, n, p0)) - float(both)
    assert gain == pytest.approx(-np.log(1 - 2 / np.pi * np.arcsin(np.sqrt(p0))), abs=0.01)


@pytest.mark.parametrize(("n", "alpha"), [(1, 0.4), (20, 0.05), (100, 0.001), (10_000, 0.001), (10**6, 1e-5)])
def test_largest_threshold_is_where_unanimous_votes_stop_sufficing(n: int, alpha: float) -> None:
    largest = largest_threshold(n, alpha)
    assert log_evidence_above(n, n, largest) >= -np.log(alpha)
    assert log_evidence_above(n, n, largest + 1e-6 * (1 - largest)) < -np.log(alpha)
    assert largest < lower_confidence_bound(n, n, alpha)


def test_nothing_can_be_shown_by_too_few_trials() -> None:
    assert largest_threshold(1, 1e-6) < 1e-6


def test_the_largest_threshold_of_one_trial_is_half_of_alpha() -> None:
    """The prior's mean over a small p0 is 1 / (2 p0), also where the fixed-sample bound is rounded down to 0."""
    for alpha in (1e-6, 1e-15):
        assert largest_threshold(1, alpha) == pytest.approx(alpha / 2, rel=1e-3, abs=0)


def test_broadcasting_and_types() -> None:
    found = log_evidence_above([[10], [20]], 20, [0.5, 0.6, 0.7])
    assert found.shape == (2, 3)
    assert found.dtype == np.float64
    assert log_evidence_below(0, [5, 10], 0.1).shape == (2,)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: log_evidence_above(5, 4, 0.5), "k is 5"),
        (lambda: log_evidence_above(1, 4, 1.0), "p0 is 1"),
        (lambda: log_evidence_above(1, 0, 0.5), "n is 0"),
        (lambda: log_evidence_below(1, 4, 0.0), "a0 is 0"),
        (lambda: log_evidence_below(1.5, 4, 0.1), "d is 1.5"),
        (lambda: largest_threshold(10, 0.0), "alpha is 0"),
    ],
)
def test_bad_arguments_are_refused(call: Callable[[], object], message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        call()
