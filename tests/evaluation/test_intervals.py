from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from smoothcert.errors import InvalidArgumentError
from smoothcert.evaluation import (
    average_certified_radius_interval,
    bounded_mean_interval,
    certified_accuracy_interval,
)


@dataclass(frozen=True)
class AllOne:
    prediction: NDArray[np.int64]
    radius: NDArray[np.float64]


def claims(radius: ArrayLike) -> AllOne:
    radius = np.asarray(radius, np.float64)
    return AllOne(np.ones(len(radius), np.int64), radius)


@pytest.mark.parametrize("k", [0, 1, 7, 20])
def test_accuracy_interval_is_clopper_pearson(k: int) -> None:
    certificates = claims([0.5] * k + [0.1] * (20 - k))
    exact = stats.binomtest(k, 20).proportion_ci(0.9, method="exact")
    got = certified_accuracy_interval(certificates, [1] * 20, 0.3, confidence=0.9)
    assert got == pytest.approx((exact.low, exact.high), rel=1e-12)


def test_acr_interval_is_students() -> None:
    radius = np.random.default_rng(0).gamma(2.0, 0.3, 50)
    expected = stats.ttest_1samp(radius, 0.0).confidence_interval(0.95)
    got = average_certified_radius_interval(claims(radius), [1] * 50)
    assert got == pytest.approx((expected.low, expected.high), rel=1e-10)


def test_intervals_refuse_what_has_none() -> None:
    with pytest.raises(InvalidArgumentError, match="1 input"):
        average_certified_radius_interval(claims([0.5]), [1])
    with pytest.raises(InvalidArgumentError, match="confidence is 95"):
        certified_accuracy_interval(claims([0.5]), [1], 0.1, confidence=95)


def test_acr_interval_with_a_largest_radius_is_the_bounded_mean_s() -> None:
    radius = np.random.default_rng(0).uniform(0, 0.8, 50)
    got = average_certified_radius_interval(claims(radius), [1] * 50, largest=1.5, confidence=0.9)
    assert got == bounded_mean_interval(radius, 1.5, confidence=0.9)
    with pytest.raises(InvalidArgumentError, match=r"largest = 0\.5"):
        average_certified_radius_interval(claims(radius), [1] * 50, largest=0.5)


SKEWED = {
    "rare large radii": ([0.0, 0.1, 2.0], [0.6, 0.35, 0.05]),
    "rare failures": ([0.0, 2.0], [0.03, 0.97]),
    "fair coins": ([0.0, 2.0], [0.5, 0.5]),
    "far below the largest": ([0.0, 0.02], [0.5, 0.5]),
}


@pytest.mark.parametrize("law", SKEWED)
def test_bounded_mean_interval_covers_at_small_m(law: str) -> None:
    """Student's misses skewed means at m = 20; this one may not, and the exact binomial tail says so."""
    values, weights = SKEWED[law]
    mean = float(np.dot(values, weights))
    draws = np.random.default_rng(1).choice(values, (1000, 20), p=weights)
    ends = np.array([bounded_mean_interval(x, 2.0, confidence=0.9) for x in draws])
    missed = int(((ends[:, 0] > mean) | (ends[:, 1] < mean)).sum())
    assert stats.binom.sf(missed - 1, 1000, 0.1) > 1e-4
    assert (ends[:, 0] >= 0).all()
    assert (ends[:, 1] <= 2).all()


def test_bounded_mean_interval_narrows_and_does_not_depend_on_the_order() -> None:
    x = np.random.default_rng(2).beta(2, 5, 4000)
    few, many = bounded_mean_interval(x[:400], 1.0), bounded_mean_interval(x, 1.0)
    assert many[1] - many[0] < (few[1] - few[0]) / 2
    student = 2 * 1.96 * x.std() / np.sqrt(len(x))
    assert many[1] - many[0] < 1.6 * student
    assert bounded_mean_interval(np.sort(x), 1.0) == many


def test_bounded_mean_interval_of_constants() -> None:
    assert bounded_mean_interval([0.0] * 100, 1.0)[0] == 0
    assert bounded_mean_interval([1.0] * 100, 1.0)[1] == 1
    assert bounded_mean_interval([0.0] * 5, 0.0) == (0, 0)
    for values in ([], [-0.1], [1.1], [float("nan")]):
        with pytest.raises(InvalidArgumentError, match="values"):
            bounded_mean_interval(values, 1.0)
    with pytest.raises(InvalidArgumentError, match="confidence is 95"):
        bounded_mean_interval([0.5], 1.0, confidence=95)
