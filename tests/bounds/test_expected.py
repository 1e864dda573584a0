"""Expected bounds against their expectations: over all counts from scratch, over drawn votes for pairs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import binom, norm

from smoothcert.bounds import (
    PAIRED_METHODS,
    PairedMethod,
    expected_bounds_from_scratch,
    expected_bounds_paired,
    expected_disagreement,
    irs_bound,
    joint_lower_bound,
    lower_confidence_bound,
)
from smoothcert.errors import InvalidArgumentError


def test_disagreement_is_that_of_a_boundary_that_moves() -> None:
    """f is 1 left of 0 and f' left of a small step, which is drawn with mean 0: votes change between the two."""
    p, spread = np.array([0.2, 0.5, 0.8, 0.99]), 1e-3
    z = norm.ppf(p)
    moved = [
        quad(lambda s, z=each: abs(norm.cdf(z + s) - norm.cdf(z)) * norm.pdf(s, scale=spread), -0.01, 0.01)[0]
        for each in z
    ]
    c = spread * np.sqrt(2 / np.pi)  # the mean step
    np.testing.assert_allclose(expected_disagreement(p, c), moved, rtol=1e-3)


def test_disagreement_is_at_most_that_of_an_unrelated_classifier() -> None:
    p = np.array([0.3, 0.5, 0.9])
    np.testing.assert_allclose(expected_disagreement(p, 100.0), 2 * p * (1 - p))


@pytest.mark.parametrize(("n", "close"), [(30, 0.006), (1000, 0.0008)])
def test_the_mean_from_scratch_is_that_over_all_counts(n: int, close: float) -> None:
    p, counts = np.array([0.55, 0.8, 0.97]), np.arange(n + 1)
    bound = lower_confidence_bound(counts, n, 0.01)
    exact = (binom.pmf(counts, n, p[:, None]) * bound).sum(axis=1)
    expected = expected_bounds_from_scratch(p, n, 0.01)
    assert expected.shape == (5, 3)
    np.testing.assert_allclose(expected.mean(axis=0), exact, atol=close)
    assert (np.diff(expected, axis=0) >= 0).all()


def test_each_input_has_its_own_number_of_samples() -> None:
    together = expected_bounds_from_scratch(np.array([0.8, 0.9]), np.array([100, 700]), 0.01)
    for column, p, n in zip(together.T, (0.8, 0.9), (100, 700), strict=True):
        np.testing.assert_array_equal(column, expected_bounds_from_scratch(np.array([p]), n, 0.01)[:, 0])


@pytest.mark.parametrize("method", PAIRED_METHODS)
@pytest.mark.parametrize(("m", "c"), [(300, 0.044), (2000, 0.2)])
def test_the_mean_of_pairs_is_that_over_drawn_votes(method: PairedMethod, m: int, c: float) -> None:
    """Votes of a candidate that loses as many as it wins, given the cached ones."""
    n, alpha, alpha_zeta, draws = 4000, 0.002, 0.004, 400
    count = np.array([2600, 3400])
    p = count / n
    changed = expected_disagreement(p, c) / 2
    rng = np.random.default_rng(1)
    k1 = np.rint(m * p).astype(int)
    n10 = rng.binomial(k1, changed / p, (draws, 2))
    n01 = rng.binomial(m - k1, changed / (1 - p), (draws, 2))
    if method == "irs":
        drawn = irs_bound(count, n, n10 + n01, k1 - n10 + n01, m, alpha, alpha_zeta, 0.99).p_lower
    else:
        drawn = joint_lower_bound(count, n, k1, n10, n01, m, alpha + alpha_zeta)
    expected = expected_bounds_paired(method, count, n, m, alpha, alpha_zeta, disagreement=c)
    assert expected.shape == (5, 2)
    np.testing.assert_allclose(expected.mean(axis=0), drawn.mean(axis=0), atol=0.0025)
    np.testing.assert_allclose(expected.std(axis=0), drawn.std(axis=0), rtol=0.5)


@pytest.mark.parametrize("method", PAIRED_METHODS)
@pytest.mark.parametrize(("count", "n", "m"), [(0, 10, 10), (10, 10, 10), (1, 2, 1), (9999, 10_000, 9000)])
def test_extreme_counts_have_bounds(method: PairedMethod, count: int, n: int, m: int) -> None:
    bounds = expected_bounds_paired(method, np.array([count]), n, m, 0.001, 0.001)
    assert ((bounds >= 0) & (bounds <= (count + 1) / (n + 1))).all()


@pytest.mark.parametrize(
    "changes", [{"method": "two-sided"}, {"m": 0}, {"m": 1001}, {"n": 10**8 + 1, "m": 10}], ids=str
)
def test_refuses_what_is_out_of_range(changes: dict[str, Any]) -> None:
    call = {"method": "joint", "count": np.array([900]), "n": 1000, "m": 100, "alpha": 0.001, "alpha_zeta": 0.001}
    with pytest.raises(InvalidArgumentError, match="give one of irs, joint, and m <= n"):
        expected_bounds_paired(**{**call, **changes})


def test_the_papers_direct_branch_has_the_candidates_own_votes() -> None:
    """Above gamma the bound is that of f^p's votes: k1 of them, less what it loses, and what it wins."""
    n, m, alpha = 10_000, 1000, 0.001
    found = expected_bounds_paired("irs", np.array([9980]), n, m, alpha, alpha, disagreement=0.5)
    drawn = np.random.default_rng(0).binomial(m, 0.998, 20_000)  # it wins as many as it loses
    truth = np.asarray(lower_confidence_bound(drawn, m, alpha))
    assert found.mean() == pytest.approx(truth.mean(), abs=6e-4)
    assert found.min() < truth.mean() < found.max() <= lower_confidence_bound(m, m, alpha)
