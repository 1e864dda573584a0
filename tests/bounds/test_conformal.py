"""Conformal ranks against exact binomial tails, printed tables and simulated calibration sets."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import betabinom, binom, binomtest, poisson

from smoothcert.bounds import conformal_rank, smallest_calibration_set
from smoothcert.errors import InvalidArgumentError


@given(st.integers(1, 3000), st.floats(0.005, 0.5), st.floats(1e-4, 0.5))
@settings(max_examples=200, deadline=None)
def test_the_rank_is_the_smallest_with_an_exact_tail_below_beta(m: int, miss: float, beta: float) -> None:
    if binom.sf(m - 1, m, 1 - miss) > beta * (1 - 1e-9):
        with pytest.raises(InvalidArgumentError, match="use at least"):
            conformal_rank(m, miss, beta)
        return
    k = conformal_rank(m, miss, beta)
    assert binom.sf(k - 1, m, 1 - miss) <= beta * (1 + 1e-9)
    assert k == 1 or binom.sf(k - 2, m, 1 - miss) > beta * (1 - 1e-6)


@pytest.mark.parametrize(
    ("miss", "beta", "m"),
    [(0.05, 0.05, 59), (0.01, 0.05, 299), (0.10, 0.05, 29), (0.10, 0.10, 22), (0.05, 0.01, 90)],
)
def test_smallest_sets_are_those_of_the_printed_tables_of_tolerance_limits(
    miss: float, beta: float, m: int
) -> None:
    assert smallest_calibration_set(miss, beta) == m


@pytest.mark.parametrize("future", [1, 7, 100, 1000])
@pytest.mark.parametrize("m", [200, 450])
def test_with_a_number_of_new_scores_the_tail_is_that_of_their_count(m: int, future: int) -> None:
    miss, beta = 0.1, 0.05
    k = conformal_rank(m, miss, beta, future=future)
    allowed = int(np.floor(miss * future))
    # Scores above the k-th of m uniform ones: Beta(m - k + 1, k) is the probability of each.
    assert betabinom.sf(allowed, future, m - k + 1, k) <= beta * (1 + 1e-9)
    assert betabinom.sf(allowed, future, m - k + 2, k - 1) > beta * (1 - 1e-6)
    least = smallest_calibration_set(miss, beta, future=future)
    assert betabinom.sf(allowed, future, 1, least) <= beta * (1 + 1e-9)
    assert least == 1 or betabinom.sf(allowed, future, 1, least - 1) > beta * (1 - 1e-6)


@pytest.mark.parametrize(("miss", "beta", "future"), [(0.01, 0.001, 2000), (0.01, 0.002, 2000), (0.3, 0.5, 3)])
def test_the_smallest_set_for_new_scores_is_the_smallest(miss: float, beta: float, future: int) -> None:
    m = smallest_calibration_set(miss, beta, future=future)
    tail = np.asarray(betabinom.sf(int(np.floor(miss * future)), future, 1, [m, m - 1 or 1]))
    assert tail[0] <= beta * (1 + 1e-9)
    assert m == 1 or tail[1] > beta * (1 - 1e-6)


def test_a_tail_that_is_beta_up_to_a_billionth_is_not_enough() -> None:
    """SciPy's tails are not exact: 2 scores miss half of the others with a probability of just 1/4."""
    assert [smallest_calibration_set(0.5, 0.25 * (1 + room)) for room in (0, 0.7e-9, 1.5e-9)] == [3, 3, 2]


def test_the_threshold_fails_for_close_to_a_share_beta_of_calibration_sets() -> None:
    miss, beta, m, sets = 0.1, 0.1, 300, 4000
    k = conformal_rank(m, miss, beta)
    scores = np.sort(np.random.default_rng(0).random((sets, m)), axis=1)
    unlucky = int((1 - scores[:, k - 1] > miss).sum())
    assert binomtest(unlucky, sets, beta, alternative="greater").pvalue > 1e-4
    assert unlucky > 0.5 * beta * sets  # the count could fail: the exact tail is 0.07 here


def test_ties_only_help() -> None:
    miss, beta, m, sets = 0.1, 0.1, 300, 2000
    k = conformal_rank(m, miss, beta)
    scores = np.sort(np.random.default_rng(1).poisson(2.0, (sets, m)), axis=1)
    threshold = scores[:, k - 1]
    unlucky = int((poisson.sf(threshold, 2.0) > miss).sum())
    assert binomtest(unlucky, sets, beta, alternative="greater").pvalue > 1e-4


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((100, 0.0, 0.1, None), "miss is 0"),
        ((100, 1.0, 0.1, None), "miss is 1"),
        ((100, 0.1, 0.0, None), "beta is 0"),
        ((100, 0.1, 0.1, 0), "future is 0"),
        ((0, 0.1, 0.1, None), "use at least 22"),
    ],
)
def test_bad_arguments_are_named(arguments: tuple[int, float, float, int | None], words: str) -> None:
    m, miss, beta, future = arguments
    with pytest.raises(InvalidArgumentError, match=words):
        conformal_rank(m, miss, beta, future=future)
