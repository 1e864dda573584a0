"""The joint bound alone and behind its gate: exact failure probabilities, counted failures, and what it gains."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import binom, binomtest

from bounds.paired_worlds import Outcomes, World, all_outcomes, lattice, table
from smoothcert.bounds import (
    irs_bound,
    joint,
    joint_lower_bound,
    lower_confidence_bound,
    prefers_direct,
    upper_confidence_bound,
)
from smoothcert.errors import InvalidArgumentError

Array = NDArray[np.float64]


@functools.cache
def outcomes_and_bounds(n: int, m: int, alpha: float) -> tuple[Outcomes, Array]:
    o = all_outcomes(n, m)
    return o, joint_lower_bound(o.count, n, o.k1, o.n10, o.n01, m, alpha)


@pytest.mark.parametrize(
    ("n", "m", "alpha"), [(24, 8, 0.05), (40, 5, 0.01), (12, 12, 0.05), (12, 12, 0.01), (12, 6, 0.5)]
)
def test_total_failure_probability(n: int, m: int, alpha: float) -> None:
    o, bound = outcomes_and_bounds(n, m, alpha)
    failures = [o.probability(w)[bound > w.candidate].sum() for w in lattice()]
    assert max(failures) <= alpha
    assert max(failures) > alpha / 10


@pytest.mark.parametrize(("n", "m", "alpha"), [(24, 8, 0.05), (40, 5, 0.01), (12, 12, 0.05)])
def test_total_failure_probability_behind_the_gate(n: int, m: int, alpha: float) -> None:
    """Where the cached count prefers it, fresh votes are bounded alone; also for p with which that is frequent."""
    o, paired = outcomes_and_bounds(n, m, alpha)
    directs = prefers_direct(np.arange(n + 1), n)
    fresh = np.asarray(lower_confidence_bound(np.arange(m + 1), m, alpha))
    worlds = list(lattice())
    of_fresh = np.asarray(binom.pmf(np.arange(m + 1)[:, None], m, [w.candidate for w in worlds]))
    for c, w in enumerate(worlds):
        paired_fails = o.probability(w)[~directs[o.count] & (paired > w.candidate)].sum()
        fresh_fails = of_fresh[fresh > w.candidate, c].sum()
        took_direct = table(n, w.p)[directs, -1].sum()
        assert paired_fails + took_direct * fresh_fails <= alpha


def test_enumeration_sees_an_invalid_bound() -> None:
    n, m = 24, 8
    o = all_outcomes(n, m)
    for invalid in (
        joint_lower_bound(o.count, n, o.k1, o.n10, o.n01, m, 0.3),
        joint_lower_bound(o.count, n, o.k1, o.n10, o.n10 * 0, m, 0.05) + 0.05,
    ):
        assert max(o.probability(w)[invalid > w.candidate].sum() for w in lattice()) > 0.05


def test_several_candidates_fail_together_within_alpha() -> None:
    """Three candidates that gain and lose alike or independently: all outcomes of one, given the base's votes."""
    n, m, alpha, C = 12, 5, 0.1, 3
    o = all_outcomes(n, m)
    bound = joint_lower_bound(o.count, n, o.k1, o.n10, o.n01, m, alpha, candidates=C)
    together = 0.0
    for w in lattice():
        weight, false = o.probability(w), bound > w.candidate
        base = np.zeros((m + 1, n + 1))
        some = np.zeros_like(base)
        np.add.at(base, (o.k1, o.count), weight)
        np.add.at(some, (o.k1, o.count), weight * false)
        given_base = np.divide(some, base, out=np.zeros_like(base), where=base > 0)
        # Given the base's votes, at most the sum over the candidates, which disjoint failures attain.
        together = max(together, (base * np.minimum(1, C * given_base)).sum())
    assert alpha / 10 < together <= alpha


def test_more_candidates_cost_little() -> None:
    one, ten = (float(joint_lower_bound(8000, 10_000, 800, 5, 5, 1000, 0.002, candidates=C)) for C in (1, 10))
    split = float(joint_lower_bound(8000, 10_000, 800, 5, 5, 1000, 0.0002))
    assert split < ten < one


WORLDS = {
    "symmetric": World(0.8, 0.00625, 0.025),
    "only losses": World(0.75, 0.02, 0.0),
    "only gains": World(0.75, 0.0, 0.06),
    "unrelated": World(0.7, 0.3, 0.7),
    "many changes": World(0.9, 0.05, 0.1),
    "at the gate": World(0.9998, 0.05, 0.4),
}


@pytest.mark.parametrize("name", WORLDS)
def test_failures_are_no_more_than_alpha(name: str) -> None:
    world, n, m, alpha, inputs = WORLDS[name], 3000, 400, 0.05, 800
    rng = np.random.default_rng(sum(name.encode()))
    k1 = rng.binomial(m, world.p, inputs)
    K = k1 + rng.binomial(n - m, world.p, inputs)
    n10, n01 = rng.binomial(k1, world.a), rng.binomial(m - k1, world.b)
    paired = joint_lower_bound(K, n, k1, n10, n01, m, alpha)
    direct = lower_confidence_bound(rng.binomial(m, world.candidate, inputs), m, alpha)
    gate = prefers_direct(K, n)
    assert name != "at the gate" or 0.1 < gate.mean() < 0.9
    failures = int((np.where(gate, direct, paired) > world.candidate).sum())
    assert binomtest(failures, inputs, alpha, alternative="greater").pvalue > 1e-3


def test_beats_the_other_bounds_where_classifiers_really_differ() -> None:
    n, m, alpha, inputs = 10_000, 1000, 0.002, 200
    rng = np.random.default_rng(0)
    p = rng.uniform(0.7, 0.9, inputs)
    lost = 0.005 * np.exp(rng.normal(0, 0.3, inputs))
    k1 = rng.binomial(m, p)
    K = k1 + rng.binomial(n - m, p)
    n10, n01 = rng.binomial(k1, lost / p), rng.binomial(m - k1, lost / (1 - p))
    paired = joint_lower_bound(K, n, k1, n10, n01, m, alpha)
    direct = lower_confidence_bound(k1 - n10 + n01, m, alpha)
    irs = irs_bound(K, n, n10 + n01, k1 - n10 + n01, m, alpha / 2, alpha / 2, gamma=1.0).p_lower
    assert paired.mean() > irs.mean() + 0.015
    assert paired.mean() > direct.mean() + 0.01
    assert (paired > irs).mean() > 0.95
    # No bound that is valid at alpha can on average be closer to p' than about 2.88 standard errors.
    error = np.sqrt(p * (1 - p) / n + 2 * lost / m)
    assert 2.88 < ((p - paired) / error).mean() < 3.8


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_grows_with_alpha(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 5000))
    K = data.draw(st.integers(0, n))
    m = data.draw(st.integers(1, n))
    k1 = data.draw(st.integers(max(0, m - (n - K)), min(K, m)))
    n10, n01 = data.draw(st.integers(0, k1)), data.draw(st.integers(0, m - k1))
    alpha = data.draw(st.sampled_from([1e-6, 0.002, 0.05]))
    bound, looser = joint_lower_bound(K, n, k1, n10, n01, m, np.array([alpha, 5 * alpha]))
    assert 0 <= bound < 1
    assert bound <= looser + 0.01  # the search stops a little below the largest t


def test_extreme_counts() -> None:
    def bound(count: int, n: int, k1: int, n10: int, n01: int, m: int) -> float:
        return float(joint_lower_bound(count, n, k1, n10, n01, m, 0.002))

    assert bound(8000, 10_000, 0, 0, 500, 1000) == 0  # nothing is known of what f' loses
    assert bound(0, 10_000, 0, 0, 0, 1000) == 0
    assert bound(8000, 10_000, 800, 800, 0, 1000) == 0
    assert bound(1, 1, 1, 0, 0, 1) < 0.002
    # Without a paired sample on which f was wrong, only losses are known.
    base = lower_confidence_bound(8000, 10_000, 0.15 * 0.002)
    alone = base * (1 - upper_confidence_bound(5, 1000, 0.85 * 0.002))
    assert alone < bound(8000, 10_000, 1000, 5, 0, 1000) < 0.8 * 0.995
    # Unanimous votes: little less than the candidate's own say.
    own = lower_confidence_bound(995, 1000, 0.002)
    assert own - 1e-3 < bound(10_000, 10_000, 1000, 5, 0, 1000) < own
    # All cached samples paired: the candidate's votes are known, and more cannot be.
    own = lower_confidence_bound(7990, 10_000, 0.002)
    assert own - 0.003 < bound(8000, 10_000, 8000, 20, 10, 10_000) < 7990 / 10_000


def test_shapes_broadcast_and_levels_differ_by_entry() -> None:
    grid = joint_lower_bound(800, 1000, 80, np.arange(3)[:, None], 1, 100, [0.01, 0.05])
    assert grid.shape == (3, 2)
    assert float(grid[2, 1]) == float(joint_lower_bound(800, 1000, 80, 2, 1, 100, 0.05))
    assert joint_lower_bound(800, 1000, 80, 1, 1, 100, 0.01).shape == ()
    assert joint_lower_bound(np.zeros((0,)), 1000, 0, 0, 0, 100, 0.01).shape == (0,)


def test_how_many_inputs_are_bounded_at_a_time_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    count = np.arange(700, 720)
    together = joint_lower_bound(count, 1000, 70, 1, 1, 100, 0.01)
    monkeypatch.setattr(joint, "_ROWS", 7)
    np.testing.assert_array_equal(joint_lower_bound(count, 1000, 70, 1, 1, 100, 0.01), together)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"count": 1001}, r"count is 1001 and n is 1000"),
        ({"k1": 101}, r"k1 is 101 and m is 100: k1 should be at most m"),
        ({"count": 70}, r"k1 is 80 and count is 70"),
        ({"count": 985}, r"m - k1 is 20 and n - count is 15"),
        ({"n10": 81}, r"n10 is 81 and k1 is 80"),
        ({"n01": 21}, r"n01 is 21 and m - k1 is 20"),
        ({"m": 0}, r"m is 0: it should be a whole number from 1"),
        ({"n01": 0.5}, r"n01 is 0\.5"),
        ({"alpha": 0}, r"alpha is 0: it should be in"),
        ({"alpha": 1e-90}, r"alpha is .*e-91: it should be in \[1e-80, 1\)"),
        ({"candidates": 0}, r"candidates is 0: it should be a whole number"),
        ({"candidates": 2.5}, r"candidates is 2\.5"),
    ],
)
def test_refuses_what_is_out_of_range(changes: dict[str, float], message: str) -> None:
    arguments = {"count": 800, "n": 1000, "k1": 80, "n10": 1, "n01": 1, "m": 100, "alpha": 0.01}
    with pytest.raises(InvalidArgumentError, match=message):
        joint_lower_bound(**(arguments | changes))  # type: ignore[arg-type]
