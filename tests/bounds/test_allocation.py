"""Samples by prediction: within the budget, and worth more than one number for all."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from smoothcert.bounds import lower_confidence_bound, smallest_n
from smoothcert.bounds.allocation import Predicted, allocate_samples, expected_gain
from smoothcert.errors import InvalidArgumentError

ALPHA = 0.001


def _mean_radius(probit: NDArray[np.float64], n: NDArray[np.int64], seed: int) -> float:
    k = np.random.default_rng(seed).binomial(n, ndtr(probit), (20, len(probit)))
    return float(np.maximum(ndtri(lower_confidence_bound(k, n, ALPHA)), 0.0).mean())


@given(
    st.lists(st.tuples(st.floats(-4, 6), st.floats(0.01, 3)), min_size=1, max_size=40),
    st.integers(20, 5000),
    st.sampled_from([None, 0.0, 0.7, 3.0]),
)
@settings(max_examples=40, deadline=None)
def test_the_budget_and_the_least_are_kept(predicted: list[tuple[float, float]], n: int, at: float | None) -> None:
    probit, spread = np.array(predicted).T
    sizes = allocate_samples(Predicted(probit, spread), n, ALPHA, at=at)
    assert sizes.sum() <= n * len(probit)
    assert sizes.min() >= max(smallest_n(ALPHA), n // 10)
    assert allocate_samples(Predicted(probit, spread), n, ALPHA, at=at, most=n).max() <= n


@pytest.mark.parametrize("error", [0.0, 0.3])
@pytest.mark.parametrize("n", [200, 2000])
def test_the_mean_radius_is_that_of_many_more_samples_for_all(n: int, error: float) -> None:
    rng = np.random.default_rng(5)
    probit = rng.normal(0.8, 1.1, 400)
    predicted = Predicted(probit + rng.normal(0, error, 400), np.full(400, max(error, 0.05)))
    sizes = allocate_samples(predicted, n, ALPHA)
    guided = _mean_radius(probit, sizes, 1)
    assert guided > _mean_radius(probit, np.full(400, int(1.25 * n)), 2)


def test_most_inputs_are_certified_at_the_radius_that_is_asked_for() -> None:
    rng = np.random.default_rng(6)
    probit = rng.normal(0.8, 1.1, 400)
    predicted = Predicted(probit, np.full(400, 0.1))
    sizes = allocate_samples(predicted, 500, ALPHA, at=1.0)
    k = rng.binomial(sizes, ndtr(probit), (20, 400))
    uniform = rng.binomial(500, ndtr(probit), (20, 400))
    reached = (ndtri(lower_confidence_bound(k, sizes, ALPHA)) >= 1.0).mean()
    assert reached > (ndtri(lower_confidence_bound(uniform, 500, ALPHA)) >= 1.0).mean() + 0.02
    near, far = np.abs(probit - 1.2) < 0.15, (probit < 0.3) | (probit > 3)
    assert sizes[near].mean() > 2 * sizes[far].mean()


def test_lost_inputs_get_the_least_unless_the_prediction_is_vague() -> None:
    probit = np.array([-1.5, -1.5, 1.0, 1.0])
    sizes = allocate_samples(Predicted(probit, np.array([0.1, 1.5, 0.1, 0.1])), 1000, ALPHA)
    assert sizes[0] < 110 < sizes[1] < sizes[2]


def test_expected_gains_are_those_of_simulated_votes() -> None:
    probit, spread = np.array([0.1, 0.8, 2.5]), np.array([0.2, 0.3, 0.2])
    sizes = np.array([100, 3000])
    gain = expected_gain(Predicted(probit, spread), sizes, ALPHA)
    rng = np.random.default_rng(7)
    z = probit + spread * rng.standard_normal((20_000, 3))
    for j, n in enumerate(sizes):
        k = rng.binomial(n, ndtr(z))
        simulated = np.maximum(ndtri(lower_confidence_bound(k, n, ALPHA)), 0.0).mean(axis=0)
        np.testing.assert_allclose(gain[:, j], simulated, atol=0.02)


@pytest.mark.parametrize("n", [50, 1000])
def test_expected_gain_at_a_radius_is_the_probability_of_a_large_enough_count(n: int) -> None:
    """With counts at their expectations; the p_A that suffices is found on a grid of probits, a fortieth apart."""
    probit, spread, at = np.array([0.5, 1.0, 1.4, 3.0]), np.array([0.2, 0.4, 0.2, 0.5]), 0.7
    bounds = ndtri(np.asarray(lower_confidence_bound(np.arange(1, n + 1), n, ALPHA)))
    count = 1 + int(np.argmax(bounds >= at))
    needed = ndtri((count - 0.5) / n)
    gain = expected_gain(Predicted(probit, spread), np.array([n]), ALPHA, at=at)[:, 0]
    assert (gain <= ndtr((probit - needed) / spread)).all()
    assert (gain >= ndtr((probit - needed - 1 / 40) / spread)).all()
    assert (expected_gain(Predicted(probit, spread), np.array([5]), ALPHA, at=at) == 0).all()


def test_bad_arguments_are_named() -> None:
    predicted = Predicted(np.zeros(3), np.ones(3))
    with pytest.raises(InvalidArgumentError, match="least is 10 and n is 9"):
        allocate_samples(predicted, 9, ALPHA)
    with pytest.raises(InvalidArgumentError, match="least is 5"):
        allocate_samples(predicted, 1000, ALPHA, least=5)
    with pytest.raises(InvalidArgumentError, match="most is 50"):
        allocate_samples(predicted, 1000, ALPHA, most=50)
