"""The sequential test at a threshold: its exact error probability, its power and what it costs."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import fftconvolve
from scipy.stats import betabinom, binom
from scipy.stats import entropy as stats_entropy

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


@pytest.mark.parametrize(("p0", "n"), [(0.6915, 3000), (0.95, 400), (0.5, 150)])
def test_it_gives_up_where_the_last_bound_will_hardly_be_reached(p0: float, n: int) -> None:
    """The chance is that of a beta-binomial count, p having Jeffreys' prior; ours is its normal approximation."""
    test = RadiusTest(p0, n, 0.001)
    enough = int(np.argmax(np.asarray(lower_confidence_bound(np.arange(n + 1), n, 0.0005)) > p0))
    for t in (32, n // 3, n - 30):
        k = np.arange(t + 1)
        chance = np.asarray(betabinom.sf(enough - 1 - k, n - t, k + 0.5, t - k + 0.5))
        hopeless = int((chance < 0.01).sum())
        assert abs(int((test.judge(k, t) == GIVEN_UP).sum()) - hopeless) <= 2


def test_a_threshold_that_no_count_exceeds_is_given_up_at_the_end() -> None:
    assert RadiusTest(0.999, 20, 0.01).judge(np.arange(21), 20).tolist() == [GIVEN_UP] * 21
    assert RadiusTest(0.5, 1, 0.01).judge(np.arange(2), 1).tolist() == [GIVEN_UP] * 2


def test_samples_to_come_are_those_that_evidence_takes() -> None:
    """Evidence grows by the relative entropy of p to p0 a sample."""
    p0, n, alpha, t = 0.7, 5000, 1e-4, 40
    test, k = RadiusTest(p0, n, alpha), np.array([10, 20, 25, 35, 38])
    p = (k + 0.5) / (t + 1)
    entropy = [stats_entropy([q, 1 - q], [p0, 1 - p0]) for q in p]
    expected = np.maximum(-np.log(alpha) / np.array(entropy) - t, 0)
    assert (expected > 0).tolist() == [False, True, True, True, True]
    assert [test.samples_to_come(k[i : i + 1], t) for i in range(5)] == expected.astype(int).tolist()
    assert test.samples_to_come(k, t) == int(expected.sum())
    assert test.samples_to_come(np.array([7]), 10) == n - 10


def test_alpha_is_spent_once() -> None:
    assert sum(RadiusTest(0.7, 100, 0.01).alpha_split.values()) == pytest.approx(0.01, rel=1e-12)
