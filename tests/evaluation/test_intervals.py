from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from smoothcert.errors import InvalidArgumentError
from smoothcert.evaluation import average_certified_radius_interval, certified_accuracy_interval


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
