"""Clopper-Pearson bounds against exact tails in 40 digits, SciPy and statsmodels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from smoothcert.bounds import lower_confidence_bound, upper_confidence_bound
from smoothcert.bounds.binomial import _bisect
from smoothcert.errors import InvalidArgumentError

Number = Any  # mpmath has no types


def tail(k: int, n: int, p: Number, q: Number) -> Number:
    """P(Bin(n, p) >= k), q = 1 - p, to 30 digits: the sum of its terms, each from the one before."""
    with mpmath.workdps(40):
        log_choose = mpmath.loggamma(n + 1) - mpmath.loggamma(k + 1) - mpmath.loggamma(n - k + 1)
        term = mpmath.exp(log_choose + k * mpmath.log(p) + (n - k) * mpmath.log(q))
        total, odds = term, p / q
        for j in range(k, n):
            term *= odds * (n - j) / (j + 1)
            total += term
            if term < total * mpmath.mpf(10) ** -33 and (n - j) * odds < j + 1:
                break
        return total


def exceeds(k: int, n: int, p: Number, alpha: float) -> bool:
    """Whether P(Bin(n, p) >= k) > alpha exactly."""
    with mpmath.workdps(40):
        p = mpmath.mpf(p)
        return bool(p > 0 and (p >= 1 or tail(k, n, p, 1 - p) > mpmath.mpf(alpha)))


def slack(p: float) -> Number:
    """How far the docstrings say that a bound may lie outside the exact one."""
    return mpmath.mpf(2) ** -48 + mpmath.mpf(2) ** -32 * mpmath.mpf(p) * (1 - mpmath.mpf(p))


def check_both_sides(k: int, n: int, alpha: float) -> None:
    """The lower bound of k and the upper bound of n - k are one problem seen from both sides."""
    with mpmath.workdps(40):
        lower = lower_confidence_bound(k, n, alpha)
        assert not exceeds(k, n, lower, alpha), "the lower bound is above the exact one"
        assert exceeds(k, n, mpmath.mpf(lower) + slack(lower), alpha), "the lower bound is needlessly low"
        upper = upper_confidence_bound(n - k, n, alpha)
        assert not exceeds(k, n, 1 - mpmath.mpf(upper), alpha), "the upper bound is below the exact one"
        assert exceeds(k, n, 1 - mpmath.mpf(upper) + slack(upper), alpha), "the upper bound is needlessly high"


@pytest.mark.parametrize("alpha", [1e-12, 1e-9, 0.001, 0.01, 0.5, 0.9])
@pytest.mark.parametrize("n", [1, 2, 10, 1000, 100_000, 1_000_000])
def test_bounds_lie_just_outside_the_exact_ones(n: int, alpha: float) -> None:
    for k in {1, 2, n // 100, n // 2, int(0.9 * n), n - 1, n}:
        if 1 <= k <= n:
            check_both_sides(k, n, alpha)


@given(data=st.data(), n=st.integers(1, 200_000), exponent=st.floats(-20, -0.01))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_bounds_lie_just_outside_the_exact_ones_anywhere(data: st.DataObject, n: int, exponent: float) -> None:
    check_both_sides(data.draw(st.integers(1, n)), n, 10**exponent)


@pytest.mark.parametrize(
    ("k", "n", "alpha"),
    [
        (93_907, 94_906, 1e-12),
        (669_435, 670_434, 0.2),
        (1_412_271, 1_413_270, 2e-4),
        (3_406_658, 3_407_657, 0.00146),
    ],
)
def test_holds_where_scipys_inverse_is_wrong(k: int, n: int, alpha: float) -> None:
    """Boost's inverse changes method at a parameter of 1000, and loses all its digits there for large n."""
    check_both_sides(k, n, alpha)


def test_bisection_takes_over_when_the_guess_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = 0

    def counting(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        return _bisect(*arguments)

    expected = lower_confidence_bound(90, 100, 0.001)
    monkeypatch.setattr("smoothcert.bounds.binomial._bisect", counting)
    for wrong in (np.nan, 0.0, 0.5, 1.0):
        monkeypatch.setattr("smoothcert.bounds.binomial.betaincinv", lambda a, b, p, w=wrong: np.full_like(p, w))
        assert lower_confidence_bound(90, 100, 0.001) == pytest.approx(expected, rel=1e-9)
    assert calls == 4


def test_ends_and_closed_forms() -> None:
    assert lower_confidence_bound(0, 10, 0.5) == 0
    assert upper_confidence_bound(10, 10, 0.5) == 1
    for n, alpha in ((1, 0.3), (1000, 0.001), (10**6, 1e-9), (10**8, 1e-100)):
        assert lower_confidence_bound(n, n, alpha) == pytest.approx(np.exp(np.log(alpha) / n), rel=1e-9)
        assert upper_confidence_bound(0, n, alpha) == pytest.approx(-np.expm1(np.log(alpha) / n), rel=1e-7)
        assert lower_confidence_bound(1, n, alpha) == pytest.approx(
            -np.expm1(np.log1p(-alpha) / n), rel=1e-9, abs=1e-14
        )


def test_zeta_of_no_disagreement_is_the_papers() -> None:
    """The 0.006 of the paper's tables is the bound of zero disagreements in a thousand, cut to three decimals."""
    assert round(upper_confidence_bound(0, 1000, 0.001), 5) == 0.00688


@pytest.mark.parametrize("alpha", [0.001, 0.05, 0.4])
@pytest.mark.parametrize(("k", "n"), [(0, 7), (3, 7), (7, 7), (80, 100), (99_000, 100_000)])
def test_agrees_with_scipy_and_statsmodels(k: int, n: int, alpha: float) -> None:
    from statsmodels.stats.proportion import proportion_confint

    ours = (lower_confidence_bound(k, n, alpha), upper_confidence_bound(k, n, alpha))
    scipy = binomtest(k, n).proportion_ci(confidence_level=1 - 2 * alpha, method="exact")
    assert ours == pytest.approx((scipy.low, scipy.high), rel=1e-8)
    assert ours == pytest.approx(proportion_confint(k, n, alpha=2 * alpha, method="beta"), rel=1e-8)


@given(n=st.integers(2, 10_000), alpha=st.floats(1e-9, 0.49))
@settings(max_examples=30, deadline=None, derandomize=True)
def test_monotone_in_k_and_around_the_frequency(n: int, alpha: float) -> None:
    k = np.unique(np.linspace(0, n, 50).astype(int))
    lower, upper = lower_confidence_bound(k, n, alpha), upper_confidence_bound(k, n, alpha)
    assert (np.diff(lower) > 0).all()
    assert (np.diff(upper) > 0).all()
    assert (lower <= k / n).all()
    assert (k / n <= upper).all()


def test_scalars_give_floats_and_arrays_broadcast() -> None:
    assert isinstance(lower_confidence_bound(5, 10, 0.1), float)
    assert isinstance(upper_confidence_bound(np.int64(5), np.array(10), 0.1), float)
    grid = upper_confidence_bound(np.arange(3)[:, None], 10, [0.1, 0.2])
    assert grid.shape == (3, 2)
    assert grid.dtype == np.float64
    assert grid[2, 1] == upper_confidence_bound(2, 10, 0.2)
    assert lower_confidence_bound([], 10, 0.1).shape == (0,)


@pytest.mark.parametrize("bound", [lower_confidence_bound, upper_confidence_bound])
@pytest.mark.parametrize(
    ("k", "n", "alpha", "message"),
    [
        (-1, 10, 0.1, r"k is -1: it should be a whole number of at least 0"),
        (2.5, 10, 0.1, r"k is 2\.5: it should be a whole number"),
        ([1, 11], 10, 0.1, r"k is 11 and n is 10: k should be at most n"),
        (0, 0, 0.1, r"n is 0: it should be a whole number from 1 to 100000000"),
        (0, 10**9, 0.1, r"n is 1000000000: it should be a whole number from 1"),
        (1, [10, 1.5], 0.1, r"n\[1\] is 1\.5: it should be"),
        (1, 10, 0.0, r"alpha is 0: it should be in \[1e-100, 1\)"),
        (1, 10, 1.0, r"alpha is 1: it should be"),
        (1, 10, np.nan, r"alpha is nan: it should be"),
        (1, 10, "high", r"alpha is 'high': it should be"),
        (np.nan, 10, 0.1, r"k is nan: it should be"),
        ([1, 2], [10, 10, 10], 0.1, r"shapes do not broadcast: k \(2,\), n \(3,\)"),
    ],
)
def test_refuses_what_is_out_of_range(bound: Callable[..., Any], k: Any, n: Any, alpha: Any, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        bound(k, n, alpha)
