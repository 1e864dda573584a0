"""Samples of a changed classifier, divided among inputs by the cached counts."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri
from scipy.stats import binom

from smoothcert.bounds import (
    allocate_paired,
    expected_disagreement,
    joint_lower_bound,
    lower_confidence_bound,
    smallest_mean,
    smallest_n,
)

N, ALPHA = 10_000, 0.002

Counts = NDArray[np.int64]


def expected_radius(count: int, m: int, c: float = 0.044) -> float:
    """Average the radius of a candidate as good as the base over a fine grid of what it may lose and win."""
    if m == 0:
        return 0.0
    p = count / N
    k1, changed = round(m * p), float(expected_disagreement(np.array(p), c)) / 2
    levels = (np.arange(11) + 0.5) / 11
    lost, won = binom.ppf(levels, k1, changed / p), binom.ppf(levels, m - k1, changed / (1 - p))
    n10, n01 = np.meshgrid(lost, won)
    bounds = joint_lower_bound(count, N, k1, n10.astype(int), n01.astype(int), m, ALPHA)
    return float(np.maximum(ndtri(bounds), 0).mean())


def test_no_division_among_three_inputs_is_much_better() -> None:
    """Every division of the budget in 16 shares, each with its expected radius by far more quantiles."""
    count, n_p = np.array([5300, 8000, 9950]), 400
    shares = np.arange(17) * 3 * n_p // 16
    radius = [[expected_radius(int(k), int(m)) for m in shares] for k in count]
    best = max(
        radius[0][i] + radius[1][j] + radius[2][16 - i - j]
        for i, j in itertools.product(range(17), repeat=2)
        if i + j <= 16
    )
    found = allocate_paired(count, N, n_p, ALPHA)
    assert found.sum() <= 3 * n_p
    reached = sum(expected_radius(int(k), int(m)) for k, m in zip(count, found, strict=True))
    even = sum(expected_radius(int(k), n_p) for k in count)
    assert reached > 0.985 * best
    assert best - reached < 0.3 * (best - even)


@pytest.mark.parametrize("n_p", [100, 1000])
def test_it_certifies_more_radius_than_the_same_for_all(n_p: int) -> None:
    """With votes drawn of inputs at all distances, half of them beyond the boundary."""
    rng = np.random.default_rng(n_p)
    p = ndtr(np.linspace(-2.5, 3.0, 60))
    count = rng.binomial(N, p)
    changed = expected_disagreement(p, 0.044) / 2

    def mean_radius(m: Counts) -> float:
        total = 0.0
        for _ in range(10):
            k1 = rng.hypergeometric(count, N - count, m)
            n10, n01 = rng.binomial(k1, changed / p), rng.binomial(m - k1, changed / (1 - p))
            some, bound = m > 0, np.zeros(len(p))
            bound[some] = joint_lower_bound(count[some], N, k1[some], n10[some], n01[some], m[some], ALPHA)
            total += float(np.maximum(ndtri(bound), 0).mean())
        return total / 10

    found = allocate_paired(count, N, n_p, ALPHA)
    assert (found[p < 0.45] == 0).all(), "what the base does not certify gets nothing"
    assert mean_radius(found) > 1.03 * mean_radius(np.full(len(p), n_p))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 1000), min_size=1, max_size=30), st.integers(1, 1000), st.booleans())
def test_it_spends_no_more_than_it_may(counts: list[int], n_p: int, afresh: bool) -> None:
    count = np.array(counts)
    found = allocate_paired(count, 1000, n_p, ALPHA, afresh=afresh)
    assert found.sum() <= n_p * len(count)
    assert ((found == 0) | (found >= smallest_n(ALPHA))).all()
    paired = (count < 1000) | (not afresh)
    assert (found[paired] <= 1000).all()
    assert (found <= 100 * n_p).all()
    order = np.random.default_rng(0).permutation(len(count))
    again = allocate_paired(count[order], 1000, n_p, ALPHA, afresh=afresh)
    assert again.sum() == pytest.approx(found.sum(), abs=max(10, int(found.max())))


def test_where_the_cache_is_unanimous_samples_of_its_own_are_bought() -> None:
    """Their worth is that of CERTIFY, so that few more are bought of a bound that grows with the logarithm."""
    found = allocate_paired(np.array([N, 8000]), N, 1000, ALPHA)
    assert found[0] > 500
    beyond = allocate_paired(np.array([N, 3000, 3000, 3000]), N, 9000, ALPHA)
    assert beyond.tolist() == [36_000, 0, 0, 0], "noise beyond the cache has no end"
    assert allocate_paired(np.array([N, 3000, 3000, 3000]), N, 9000, ALPHA, afresh=False).tolist() == [N, 0, 0, 0]


def test_the_smallest_budget_is_that_which_certifies() -> None:
    count = np.array([5100, 8000, 1000])
    least = smallest_mean(count, N, ALPHA)
    assert least is not None
    found = allocate_paired(count, N, least, ALPHA)
    assert sum(expected_radius(int(k), int(m)) for k, m in zip(count, found, strict=True)) > 0.005
    assert not allocate_paired(count, N, 1, ALPHA).any()
    assert smallest_mean(np.array([3000, 100]), N, ALPHA) is None
    unanimous = smallest_mean(np.array([N]), N, ALPHA)
    assert unanimous is not None
    assert lower_confidence_bound(unanimous, unanimous, ALPHA) > 0.5
