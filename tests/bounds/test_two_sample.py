"""Checked against SciPy's Fisher test, and against the exact law of p-values under equal probabilities."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from smoothcert.bounds import excess_p_values, pooled_excess_p_value
from smoothcert.errors import InvalidArgumentError


@pytest.mark.parametrize(("k", "n", "other", "m"), [(9, 10, 3, 8), (0, 5, 2, 7), (500, 600, 30, 50), (7, 7, 7, 7)])
def test_it_is_fishers_exact_test(k: int, n: int, other: int, m: int) -> None:
    expected = stats.fisher_exact(np.array([[k, n - k], [other, m - other]]), alternative="greater").pvalue
    assert excess_p_values(k, n, other, m) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("p", [0.05, 0.5, 0.93])
def test_p_values_are_not_too_small_when_probabilities_are_equal(p: float) -> None:
    n, m = 30, 17
    k, other = np.meshgrid(np.arange(n + 1), np.arange(m + 1), indexing="ij")
    weight = stats.binom.pmf(k, n, p) * stats.binom.pmf(other, m, p)
    found = excess_p_values(k, n, other, m)
    for u in (0.001, 0.01, 0.05, 0.3):
        assert weight[found <= u].sum() <= u * (1 + 1e-9)


def test_pooled_p_values_are_uniform_when_probabilities_are_equal() -> None:
    rng = np.random.default_rng(0)
    p = rng.beta(3, 0.4, 60)
    found = [pooled_excess_p_value(rng.binomial(200, p), 200, rng.binomial(50, p), 50, seed=i) for i in range(800)]
    assert stats.kstest(found, "uniform").pvalue > 1e-4


def test_pooling_sees_what_no_single_pair_shows() -> None:
    """The best of many seeds: every count a little too large."""
    rng = np.random.default_rng(1)
    p = rng.uniform(0.6, 0.9, 300)
    k, fresh = rng.binomial(1000, p + 0.01), rng.binomial(1000, p)
    assert excess_p_values(k, 1000, fresh, 1000).min() * 300 > 0.05
    assert pooled_excess_p_value(k, 1000, fresh, 1000, seed=0) < 1e-6


def test_a_single_pair_is_drawn_from_where_its_count_leaves_it() -> None:
    law = stats.hypergeom(100, 90, 60)
    share = np.random.default_rng(3).random()
    expected = law.sf(55) + share * law.pmf(55)
    assert pooled_excess_p_value(55, 60, 35, 40, seed=3) == pytest.approx(expected, rel=1e-9)
    assert pooled_excess_p_value([], [], [], [], seed=3) == 0.5


def test_one_pair_of_certain_outcome_does_not_silence_the_others() -> None:
    million = 10**6
    strong, none = [[820] * 20, [1000] * 20, [790] * 20, [1000] * 20], [0, million, million, million]
    counts = [np.append(many, one) for many, one in zip(strong, none, strict=True)]
    assert 0 < pooled_excess_p_value(*counts, seed=0) < 1e-6
    assert pooled_excess_p_value([million, 0], million, [0, million], million, seed=0) > 0


def test_saturated_counts_are_no_evidence() -> None:
    assert excess_p_values(100_000, 100_000, 1000, 1000) == 1
    assert 0 < pooled_excess_p_value([1000] * 5, 1000, [1000] * 5, 1000, seed=3) < 1


def test_counts_above_their_number_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="k_fresh is 11"):
        excess_p_values(5, 10, 11, 10)
