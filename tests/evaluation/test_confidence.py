"""Checked against the exact law of the number of false certificates, by enumeration."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from smoothcert.errors import InvalidArgumentError
from smoothcert.evaluation import (
    average_certified_radius,
    average_certified_radius_lower,
    certified_accuracy_lower,
    false_certificates,
    truly_certified,
)


@dataclass(frozen=True)
class Labelled:
    prediction: NDArray[np.int64]
    radius: NDArray[np.float64]


def claims(radius: ArrayLike) -> Labelled:
    radius = np.asarray(radius, np.float64)
    return Labelled(np.ones(len(radius), np.int64), radius)


@pytest.mark.parametrize("m", [1, 7, 100, 500, 10_000])
@pytest.mark.parametrize("alpha", [0.001, 0.002, 0.05, 0.5])
@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.99, 0.9999])
def test_false_certificates_are_the_binomial_quantile(m: int, alpha: float, confidence: float) -> None:
    b = false_certificates(m, alpha, confidence=confidence)
    law = stats.binom(m, alpha)
    assert law.sf(b) <= 1 - confidence
    assert b == 0 or law.sf(b - 1) > (1 - confidence) * (1 - 1e-8)


@pytest.mark.parametrize("m", [1, 5, 60, 500])
@pytest.mark.parametrize("alpha", [0.002, 0.05, 0.3])
@pytest.mark.parametrize("confidence", [0.9, 0.99])
def test_truly_certified_fails_no_more_often_than_promised(m: int, alpha: float, confidence: float) -> None:
    """For every true number t, in the worst case: t are always found, the others with probability alpha."""
    bounds = np.array([truly_certified(k, m, alpha, confidence=confidence) for k in range(m + 1)])
    assert (np.diff(bounds) >= 0).all()
    worst = 0.0
    for t in range(m + 1):
        failure = stats.binom(m - t, alpha).pmf(np.arange(m - t + 1))[bounds[t:] > t].sum()
        worst = max(worst, float(failure))
    assert worst <= 1 - confidence
    if m * alpha > 1:
        assert worst > (1 - confidence) / 20, "the bound would be needlessly weak"


@given(m=st.integers(1, 400), share=st.floats(0, 1), alpha=st.floats(1e-4, 0.3), confidence=st.floats(0.5, 0.9999))
def test_it_is_between_the_simple_bound_and_the_claim(
    m: int, share: float, alpha: float, confidence: float
) -> None:
    k = round(share * m)
    t = truly_certified(k, m, alpha, confidence=confidence)
    assert k - false_certificates(m, alpha, confidence=confidence) <= t <= k


def test_the_accuracy_bound_counts_inputs() -> None:
    certificates = claims([0.5] * 300 + [0.1] * 200)
    for radius, k in ((0.05, 500), (0.3, 300), (0.6, 0)):
        bound = certified_accuracy_lower(certificates, [1] * 500, radius, alpha=0.002, confidence=0.99)
        assert bound == truly_certified(k, 500, 0.002, confidence=0.99) / 500


def test_the_radius_bound_holds_where_the_largest_are_false() -> None:
    radius = np.random.default_rng(0).gamma(2.0, 0.3, 200)
    certificates, y = claims(radius), [1] * 200
    b = false_certificates(200, 0.01, confidence=0.95)
    assert b > 2
    true = radius.copy()
    true[np.argsort(radius)[-b:]] = 0
    bound = average_certified_radius_lower(certificates, y, alpha=0.01, confidence=0.95)
    assert bound == pytest.approx(true.mean(), rel=1e-12)
    assert bound < true.mean() < average_certified_radius(certificates, y)


def test_all_may_be_false() -> None:
    assert average_certified_radius_lower(claims([0.5]), [1], alpha=0.5, confidence=0.99) == 0
    assert truly_certified(1, 1, 0.5, confidence=0.99) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 0.1, 0.9), "m is 0"),
        ((5, 0.0, 0.9), "alpha is 0"),
        ((5, 1.0, 0.9), "alpha is 1"),
        ((5, 0.1, 99), "confidence is 99"),
        ((5, 0.1, float("nan")), "confidence is nan"),
    ],
)
def test_bad_arguments_are_refused(arguments: tuple[int, float, float], message: str) -> None:
    m, alpha, confidence = arguments
    with pytest.raises(InvalidArgumentError, match=message):
        false_certificates(m, alpha, confidence=confidence)
    with pytest.raises(InvalidArgumentError, match=message):
        truly_certified(0, m, alpha, confidence=confidence)


@pytest.mark.parametrize("k", [-1, 6])
def test_more_claims_than_inputs_are_refused(k: int) -> None:
    with pytest.raises(InvalidArgumentError, match=f"k is {k}"):
        truly_certified(k, 5, 0.1, confidence=0.9)
