"""The sequential test of few lost votes: its failures are enumerated, and it is held against the joint bound."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.stats import binom, binomtest

from smoothcert.bounds import LossTest, joint_lower_bound, log_evidence_below, lower_confidence_bound
from smoothcert.bounds._joint_levels import P_BINS, joint_levels, tau_index

Counts = NDArray[np.int64]


def boundaries(n: int, p0: float, alpha: float) -> dict[int, Counts]:
    """Return for each cached count how many of the first t votes may be lost to show p' > p0, -1 for none."""
    found = {}
    for count in range(1, n + 1):
        test = LossTest.at(np.array([count]), n, p0, alpha)
        if not test.possible[0]:
            continue
        d, t = np.meshgrid(np.arange(count // 2), np.arange(1, count + 1), indexing="ij")
        shown = test.take(np.zeros(d.size, np.int64)).shows(np.minimum(d, t).ravel(), t.ravel()).reshape(d.shape)
        found[count] = (shown & (d <= t)).sum(axis=0) - 1
    return found


def failure(n: int, p0: float, most: dict[int, Counts], p: float) -> float:
    """Return the exact probability that p' > p0 is shown, after any number of votes, where p' = p (1 - a) = p0.

    Every cached count K, and for each the random walk of lost votes to its end, t = K.
    """
    a = max(0.0, 1 - p0 / p)
    total = 0.0
    for count, lost_at_most in most.items():
        alive = np.array([1.0] + [0.0] * count)  # by losses so far
        shown = 0.0
        for least in lost_at_most.tolist():
            alive[1:] = alive[1:] * (1 - a) + alive[:-1] * a
            alive[0] *= 1 - a
            shown += alive[: least + 1].sum()
            alive[: least + 1] = 0.0
        total += binom.pmf(count, n, p) * shown
    return total


@pytest.mark.parametrize(("n", "p0", "alpha"), [(60, 0.6, 0.1), (60, 0.8, 0.05), (100, 0.7, 0.1)])
def test_a_false_claim_is_no_likelier_than_alpha(n: int, p0: float, alpha: float) -> None:
    """For the p that an optimiser finds worst, with as many losses as make p' exactly the threshold."""
    most = boundaries(n, p0, alpha)
    grid = np.linspace(p0 * 1.001, 0.999, 16)
    worst = float(grid[np.argmax([failure(n, p0, most, float(p)) for p in grid])])
    step = grid[1] - grid[0]
    found = minimize_scalar(
        lambda p: -failure(n, p0, most, float(p)),
        bounds=(max(p0, worst - step), min(0.9999, worst + step)),
        method="bounded",
        options={"maxiter": 10},
    )
    largest = max(failure(n, p0, most, worst), -float(found.fun))
    assert alpha / 20 < largest <= alpha, "the count can fail"


def test_levels_that_were_too_large_would_fail() -> None:
    """The same enumeration, with a test at six times the level."""
    most = boundaries(60, 0.6, 0.6)
    assert max(failure(60, 0.6, most, float(p)) for p in np.linspace(0.601, 0.999, 12)) > 0.1


def test_where_the_base_is_weak_nothing_is_shown() -> None:
    count = np.array([0, 300, 690, 705])
    test = LossTest.at(count, 1000, 0.7, 0.01)
    assert not test.possible.any()
    assert not test.shows(np.zeros(4, np.int64), np.full(4, 10**6)).any()
    assert (test.hardest[0] == 0).all()


def test_it_asks_for_less_than_two_tests_that_share_alpha() -> None:
    """Votes without a loss, against a bound on p at 5 % of alpha and a test of lost votes with the rest."""
    n, p0, alpha = 10_000, 0.9772, 0.001
    count = np.array([9875, 9922, 9966])
    test, t = LossTest.at(count, n, p0, alpha), np.arange(1, 5000)
    p_L = lower_confidence_bound(count, n, 0.05 * alpha)
    for i in range(3):
        rows = np.full(len(t), i)
        ours = t[test.take(rows).shows(np.zeros(len(t), np.int64), t)][0]
        evidence = log_evidence_below(0, t, 1 - p0 / p_L[i])
        theirs = t[evidence >= -np.log(0.95 * alpha)][0]
        assert ours < theirs
    first = t[test.take(np.zeros(len(t), np.int64)).shows(np.zeros(len(t), np.int64), t)][0]
    assert first < 0.7 * t[log_evidence_below(0, t, 1 - p0 / p_L[0]) >= -np.log(0.95 * alpha)][0]


def test_at_the_end_it_shows_about_what_the_joint_bound_does() -> None:
    """Looked at once, the joint bound may be better: it need not hold at every time."""
    n, m, alpha = 10_000, 400, 0.001
    count, lost = (table.ravel() for table in np.meshgrid(np.arange(8600, 9700, 100), np.arange(0, 12)))
    k1 = np.rint(m * count / n).astype(int)
    joint = joint_lower_bound(count, n, k1, lost, 0, m, alpha) > 0.85
    ours = LossTest.at(count, n, 0.85, alpha).shows(lost, k1)
    assert not (ours & ~(joint_lower_bound(count, n, k1, lost, 0, m, 3 * alpha) > 0.85)).any()
    assert 0.75 * joint.sum() < ours.sum() <= 1.05 * joint.sum()


def test_more_votes_without_a_loss_never_take_a_claim_back() -> None:
    test = LossTest.at(np.full(2000, 8800), 10_000, 0.8, 0.01)
    shown = test.shows(np.full(2000, 3), np.arange(3, 2003))
    assert (np.diff(shown.astype(int)) >= 0).all()
    assert shown.any()
    more = test.shows(np.arange(2000), np.full(2000, 2000))
    assert (np.diff(more.astype(int)) <= 0).all()
    assert binomtest(int(more.sum()), 2000, 0.05).statistic < 0.12


def test_every_p_of_a_cell_is_held_to_its_own_level_and_loss() -> None:
    n, p0, alpha = 1000, 0.7, 0.01
    count = np.array([690, 760, 905, 999, 1000])
    test, prepared = LossTest.at(count, n, p0, alpha), joint_levels(alpha, 1)
    tau = tau_index(np.array([float(n)]))[0]
    edges = np.append(lower_confidence_bound(count[:, None], n, prepared.u), np.ones((5, 1)), axis=1)
    rng = np.random.default_rng(0)
    for _ in range(200):
        p = edges[:, :-1] + np.diff(edges, axis=1) * rng.random(test.a0.shape)
        bins = np.searchsorted(P_BINS, p, side="right")
        level = np.stack([prepared.level[tau[bins[i]], np.arange(1, p.shape[1] + 1)] for i in range(5)])
        assert (test.needed >= -np.log(level))[test.needed > -np.inf].all()
        assert (level >= 1)[test.needed == -np.inf].all()
        losing = (test.a0 > 0) & (test.a0 < 0.999)
        assert (p * (1 - test.a0) >= p0)[losing].all()
    assert (edges[:, :-1] * (1 - test.a0) >= p0)[losing].all()
    assert (test.needed == np.inf)[(edges[:, :-1] <= p0) & (test.needed > -np.inf)].all()
