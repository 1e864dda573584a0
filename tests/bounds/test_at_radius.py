"""The sequential test at a threshold: its exact error probability, its power and what it costs."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import fftconvolve
from scipy.stats import binom

from smoothcert.bounds import CERTIFIED, GIVEN_UP, UNDECIDED, RadiusTest, lower_confidence_bound


def outcome(test: RadiusTest, p: float, *, stubborn: bool = False) -> tuple[float, float]:
    """Exact probability of certifying and mean samples at p; a stubborn user never gives up before n."""
    alive, t, certified, samples = np.array([1.0]), 0, 0.0, 0.0
    while t < test.n:
        until = test.next_size(t)
        samples += float(alive.sum()) * (until - t)
        step = binom.pmf(np.arange(until - t + 1), until - t, p)
        alive = np.maximum(fftconvolve(alive, step), 0)
        t = until
        judged = test.judge(np.arange(t + 1), t)
        certified += float(alive[judged == CERTIFIED].sum())
        alive = np.where(judged == CERTIFIED if stubborn else judged != UNDECIDED, 0, alive)
    return certified, samples


@pytest.mark.parametrize("alpha", [0.05, 0.001])
@pytest.mark.parametrize("p0", [0.5, 0.69, 0.95])
def test_it_errs_at_most_alpha_exactly(p0: float, alpha: float) -> None:
    test = RadiusTest(p0, 3000, alpha)
    stubborn, _ = outcome(test, p0, stubborn=True)
    patient, _ = outcome(test, p0)
    assert patient <= stubborn <= alpha
    assert stubborn > 0.3 * alpha, "the bound is used, so the test could fail"
    assert outcome(test, p0 - 0.01, stubborn=True)[0] < stubborn


def test_far_from_the_threshold_it_costs_little_and_loses_nothing() -> None:
    test = RadiusTest(0.6915, 3000, 0.001)
    for p, most in ((0.99, 45), (0.9, 100), (0.3, 40), (0.5, 60)):
        certified, samples = outcome(test, p)
        assert certified == pytest.approx(float(p > 0.6915), abs=0.02)
        assert samples < most


def test_power_near_the_threshold_is_close_to_that_of_all_samples() -> None:
    p0, n, alpha = 0.8413, 5000, 0.001
    test = RadiusTest(p0, n, alpha)
    k = np.arange(n + 1)
    enough = np.asarray(lower_confidence_bound(k, n, alpha)) > p0
    for p in (0.86, 0.87):
        fixed = float(binom.pmf(k, n, p)[enough].sum())
        certified, samples = outcome(test, p)
        assert fixed - 0.12 < certified <= fixed
        assert samples < n


def test_everything_is_decided_after_n_samples() -> None:
    test = RadiusTest(0.7, 100, 0.01)
    assert set(test.judge(np.arange(101), 100).tolist()) == {CERTIFIED, GIVEN_UP}
    sizes = [0]
    while sizes[-1] < 100:
        sizes.append(test.next_size(sizes[-1]))
    assert sizes == [0, 32, 64, 96, 100]


@pytest.mark.parametrize("n", [20, 100, 5000])
@pytest.mark.parametrize("alpha", [0.05, 0.001])
def test_the_largest_threshold_is_the_largest(n: int, alpha: float) -> None:
    def certifiable(p0: float) -> bool:
        test, t = RadiusTest(p0, n, alpha), 0
        while t < n:
            t = test.next_size(t)
            if test.judge(np.array([t]), t)[0] == CERTIFIED:
                return True
        return False

    largest = RadiusTest(0.5, n, alpha).largest_p0
    assert certifiable(largest - 1e-9)
    assert not certifiable(largest + 1e-9)


def test_alpha_is_spent_once() -> None:
    assert sum(RadiusTest(0.7, 100, 0.01).alpha_split.values()) == pytest.approx(0.01, rel=1e-12)
