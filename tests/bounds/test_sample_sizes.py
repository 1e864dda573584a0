"""Sample sizes against the paper's printed numbers, and intervals against statsmodels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sample_sizes import IntervalMethod, binomial_interval, samples_for_error

METHODS: tuple[IntervalMethod, ...] = ("clopper-pearson", "wilson", "agresti-coull")
STATSMODELS = {"clopper-pearson": "beta", "wilson": "wilson", "agresti-coull": "agresti_coull"}


def test_the_papers_two_numbers() -> None:
    """Section 3.1: 41,500 samples at 0.05 and 216,900 at 0.5, "5.22x higher"."""
    n = samples_for_error([0.05, 0.5], chi=0.005, alpha=0.01)
    assert [round(int(v), -2) for v in n] == [41_500, 216_900]
    assert round(n[1] / n[0], 2) == 5.22


def test_a_whole_count_needs_the_same_up_to_its_jumps() -> None:
    """With the count rounded to a whole number, the first n narrow enough is within a few dozen of ours."""
    for p in (0.05, 0.3):
        ours = int(samples_for_error(p, chi=0.005, alpha=0.01))
        n = np.arange(ours - 100.0, ours + 100)
        lower, upper = binomial_interval(np.round(n * p), n, 0.01, "clopper-pearson")
        assert abs(n[np.argmax(upper - lower <= 0.005)] - ours) < 40


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("k", "n"), [(0, 20), (1, 20), (10, 20), (20, 20), (123, 45_678)])
def test_intervals_agree_with_statsmodels(method: IntervalMethod, k: int, n: int) -> None:
    from statsmodels.stats.proportion import proportion_confint

    for alpha in (0.001, 0.01, 0.2):
        theirs = np.clip(proportion_confint(k, n, alpha=2 * alpha, method=STATSMODELS[method]), 0, 1)
        ours = binomial_interval(np.array(float(k)), np.array(float(n)), alpha, method)
        np.testing.assert_allclose(ours, theirs, rtol=1e-8, atol=1e-12)


@given(
    p=st.floats(0, 1),
    chi=st.floats(0.001, 0.9),
    alpha=st.floats(1e-9, 0.4),
    method=st.sampled_from(METHODS),
)
@settings(max_examples=100, deadline=None, derandomize=True)
def test_the_answer_is_the_smallest(p: float, chi: float, alpha: float, method: IntervalMethod) -> None:
    n = samples_for_error(p, chi, alpha, method=method)
    around = np.unique(np.r_[n, np.maximum(1, [n - 1, n // 2, n // 5]), n + 1, 2 * n]).astype(np.float64)
    lower, upper = binomial_interval(around * p, around, alpha, method)
    np.testing.assert_array_equal(upper - lower <= chi, around >= n)


@pytest.mark.parametrize("method", METHODS)
def test_the_need_peaks_at_one_half(method: IntervalMethod) -> None:
    """Figures 2 and 4: most samples at 1/2, fewest at the ends, the same on both sides."""
    n = samples_for_error(np.linspace(0, 1, 101), 0.005, 0.01, method=method)
    assert (np.diff(n[:51]) > 0).all()
    np.testing.assert_array_equal(n, n[::-1])
