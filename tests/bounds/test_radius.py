"""Radii against exact quantiles in 40 digits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtri

from smoothcert.bounds import (
    certified_radius,
    certified_radius_two_sided,
    largest_radius,
    lower_confidence_bound,
    smallest_n,
)
from smoothcert.errors import InvalidArgumentError

probabilities = st.one_of(
    st.floats(1e-30, 1, exclude_max=True),
    st.floats(-16, -1).map(lambda e: 1 - 10**e).filter(lambda p: p < 1),
    st.floats(-15, -1).map(lambda e: 0.5 + 10**e / 2),
)
sigmas = st.floats(1e-3, 100)


def quantile(p: Any) -> Any:
    """Phi^-1(p), for p an mpmath number."""
    return mpmath.sqrt(2) * mpmath.erfinv(2 * p - 1)


@given(p=probabilities, sigma=sigmas)
@settings(max_examples=300, deadline=None, derandomize=True)
def test_radius_lies_just_below_the_exact_one(p: float, sigma: float) -> None:
    radius = certified_radius(p, sigma)
    if p <= 0.5:
        assert radius == 0
        return
    with mpmath.workdps(40):
        exact = mpmath.mpf(sigma) * quantile(mpmath.mpf(p))
        assert radius <= exact
        assert radius >= exact * (1 - mpmath.mpf("1e-12"))


@given(p=probabilities, q=probabilities, sigma=sigmas)
@settings(max_examples=200, deadline=None, derandomize=True)
def test_the_other_radius_lies_just_below_the_exact_one(p: float, q: float, sigma: float) -> None:
    with mpmath.workdps(40):
        p_, q_ = map(mpmath.mpf, (p, q))
        check_two_sided(certified_radius_two_sided(p, q, sigma), p_, q_, sigma)


def check_two_sided(radius: float, top: Any, other: Any, sigma: float) -> None:
    if top <= other:
        assert radius == 0
        return
    assert radius <= mpmath.mpf(sigma) / 2 * (quantile(top) - quantile(other))
    ulp = mpmath.mpf(2) ** -52
    if ulp < top < 1 - ulp and ulp < other < 1 - ulp:
        lowest, highest = quantile(top - ulp), quantile(other + ulp)
        loss = mpmath.mpf("1e-12") * (abs(lowest) + abs(highest))
        assert radius >= mpmath.mpf(sigma) / 2 * (lowest - highest - loss)


def test_plain_product_would_claim_too_much() -> None:
    """The reason for the margin: without it, many radii come out above the exact ones."""
    p = np.linspace(0.501, 0.999, 400)
    with mpmath.workdps(40):
        exact = [quantile(mpmath.mpf(v)) for v in p]
        assert sum(bool(mpmath.mpf(r) > e) for r, e in zip(ndtri(p), exact, strict=True)) > 100
        assert not any(mpmath.mpf(r) > e for r, e in zip(certified_radius(p, 1.0), exact, strict=True))


def test_zero_where_nothing_is_certified() -> None:
    assert certified_radius([0.0, 0.3, 0.5], 1.0).tolist() == [0, 0, 0]
    assert certified_radius_two_sided([0.0, 0.3, 0.4], [0.5, 0.3, 1.0], 1.0).tolist() == [0, 0, 0]


def test_the_two_forms_agree_where_they_should() -> None:
    p = np.linspace(0.5, 0.999, 50)
    one = certified_radius(p, 0.5)
    np.testing.assert_allclose(certified_radius_two_sided(p, 1 - p, 0.5), one, rtol=1e-10, atol=1e-15)


def test_huge_and_tiny_sigma_do_not_enlarge_a_radius() -> None:
    assert np.isfinite(certified_radius(0.999, 1e308))
    assert certified_radius(0.999, 5e-324) <= 3 * 5e-324


def test_largest_radius_is_the_one_of_unanimous_votes() -> None:
    assert largest_radius(100_000, 0.001, 0.5) == certified_radius(
        lower_confidence_bound(10**5, 10**5, 0.001), 0.5
    )
    assert (np.diff(largest_radius([10, 100, 1000, 10**5], 0.001, 1.0)) > 0).all()


@pytest.mark.parametrize("alpha", [1e-100, 1e-9, 0.001, 2.0**-10, 0.01, 0.05, 0.25, 0.3, 0.5, 0.501, 0.999])
def test_smallest_n_is_where_certification_becomes_possible(alpha: float) -> None:
    n = smallest_n(alpha)
    assert lower_confidence_bound(n, n, alpha) > 0.5
    assert n == 1 or lower_confidence_bound(n - 1, n - 1, alpha) <= 0.5
    assert smallest_n([alpha, alpha]).tolist() == [n, n]


def test_scalars_give_python_numbers() -> None:
    assert isinstance(certified_radius(0.9, 1), float)
    assert isinstance(smallest_n(0.01), int)
    assert certified_radius(np.full((2, 1), 0.9), [0.25, 0.5, 1.0]).shape == (2, 3)


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        (certified_radius, (1.0, 0.5), r"p_lower is 1: it should be a lower confidence bound in \[0, 1\)"),
        (certified_radius, ([0.5, np.nan], 0.5), r"p_lower\[1\] is nan: it should be"),
        (certified_radius, (-0.1, 0.5), r"p_lower is -0\.1"),
        (certified_radius, (0.9, 0.0), r"sigma is 0: it should be positive and finite"),
        (certified_radius, (0.9, np.inf), r"sigma is inf"),
        (
            certified_radius_two_sided,
            (0.9, 0.0, 0.5),
            r"p_B is 0: it should be an upper confidence bound in \(0, 1\]",
        ),
        (certified_radius_two_sided, (0.9, 1.1, 0.5), r"p_B is 1\.1"),
        (certified_radius_two_sided, (1.0, 0.1, 0.5), r"p_A is 1"),
        (largest_radius, (0, 0.001, 0.5), r"n is 0"),
        (smallest_n, (1.0,), r"alpha is 1: it should be in"),
        (
            certified_radius,
            ([0.6, 0.7], [1.0, 2.0, 3.0]),
            r"shapes do not broadcast: p_lower \(2,\), sigma \(3,\)",
        ),
    ],
)
def test_refuses_what_is_out_of_range(
    function: Callable[..., Any], arguments: tuple[Any, ...], message: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        function(*arguments)
