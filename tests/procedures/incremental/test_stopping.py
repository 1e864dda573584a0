"""The decision at a radius, in worlds where the truth is known: it errs at most alpha, and costs little."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import ndtri
from scipy.stats import binomtest, multivariate_normal
from stopping_failures import MisledRule, StubbornRule

from smoothcert.bounds import DEFAULT_DISAGREEMENT, LossTest, joint_lower_bound
from smoothcert.procedures.incremental.lost_votes import Outcome, decide_all
from smoothcert.procedures.incremental.stopping import Observed, StoppingRule

Bits = NDArray[np.bool_]


def decide(rule: StoppingRule, X: Bits, Y: Bits, rest: NDArray[np.int64]) -> Outcome:
    """Decide inputs whose first n_p votes are given; `rest` is what f adds in the rest of its n."""

    def ask(wanted: list[tuple[int, NDArray[np.int64]]], to_come: int) -> list[Bits]:
        return [Y[i][indices] for i, indices in wanted]

    return decide_all(rule, X.sum(axis=1) + rest, lambda i: X[i], ask)


def world(rule: StoppingRule, p: float, a: float, b: float, size: int, seed: int) -> Outcome:
    """Inputs on which f votes for A with probability p; f' loses a share a of these and wins b of the others."""
    rng = np.random.default_rng(seed)
    X = rng.random((size, rule.n_p)) < p
    Y = rng.random(X.shape) < np.where(X, 1 - a, b)
    return decide(rule, X, Y, rng.binomial(rule.n - rule.n_p, p, size))


@pytest.mark.parametrize(
    ("p", "a", "b"),
    [
        (0.9, 0.04, 0.0),  # loses only
        (0.9, 0.06, 0.2),
        (0.75, 0.01, 0.03),  # as many won as lost
        (0.75, 0.0, 0.0),  # the same classifier: only the base can err
        (0.97, 0.2, 0.3),
        (0.7, 0.3, 0.7),  # unrelated
        (0.99, 0.25, 0.0),
    ],
)
@pytest.mark.parametrize("factor", [0.1, 1.0, 10.0])
def test_at_the_boundary_it_errs_at_most_alpha(p: float, a: float, b: float, factor: float) -> None:
    truth = p * (1 - a) + (1 - p) * b
    rule = MisledRule(p0=truth, n=1500, n_p=300, alpha=0.05, factor=factor)
    size = 350  # an error rate of 2.5 alpha is noticed with probability 0.98, by each of 21 counts
    found = world(rule, p, a, b, size, seed=int(1000 * p + 100 * a + factor))
    assert binomtest(int(found.certified.sum()), size, 0.05, alternative="greater").pvalue > 1e-3


@pytest.mark.parametrize(("p", "a", "b"), [(0.9, 0.04, 0.0), (0.75, 0.0, 0.0), (0.75, 0.01, 0.03)])
def test_never_giving_up_it_errs_at_most_alpha(p: float, a: float, b: float) -> None:
    truth = p * (1 - a) + (1 - p) * b
    found = world(StubbornRule(p0=truth, n=1500, n_p=300, alpha=0.05), p, a, b, 400, seed=9)
    assert (found.samples[~found.certified] == 300).mean() > 0.95
    assert binomtest(int(found.certified.sum()), 400, 0.05, alternative="greater").pvalue > 1e-3


def test_the_count_can_fail() -> None:
    """A rule that is told a tenth of its threshold's distance errs: the worlds are at the boundary."""
    truth = 0.9 * 0.96
    rule = StoppingRule(p0=truth - 0.03, n=1500, n_p=300, alpha=0.05)
    found = world(rule, 0.9, 0.04, 0.0, 300, seed=0)
    assert found.certified.mean() > 0.06


def latent(p: NDArray[np.float64], rho: float, n_p: int, seed: int) -> tuple[Bits, Bits]:
    """Two boundaries at the same distance with correlated noise, for every input."""
    rng = np.random.default_rng(seed)
    z = ndtri(p)[:, None]
    first = rng.standard_normal((len(p), n_p))
    second = rho * first + np.sqrt(1 - rho**2) * rng.standard_normal(first.shape)
    return first < z, second < z


def test_far_from_the_threshold_it_costs_few_samples() -> None:
    p = np.linspace(0.05, 0.999, 200)
    X, Y = latent(p, 0.998, 2000, seed=1)
    rule = StoppingRule(p0=0.6915, n=10_000, n_p=2000, alpha=0.002)
    found = decide(rule, X, Y, np.random.default_rng(2).binomial(8000, p))
    far = np.abs(p - 0.6915) > 0.06
    np.testing.assert_array_equal(found.certified[far], (p > 0.6915)[far])
    assert found.samples[far].mean() < 60
    assert (found.samples[p < 0.6] == 0).all(), "hopeless inputs need no sample at all"
    assert found.samples.max() <= 2000
    assert set(found.by[found.certified]) <= {"lost votes", "joint"}
    assert set(found.by[~found.certified]) == {""}


def test_where_the_base_has_no_room_the_looks_decide() -> None:
    p = np.full(40, 0.714)
    X, Y = latent(p, 0.9999, 4000, seed=3)
    rule = StoppingRule(p0=0.70, n=10_000, n_p=4000, alpha=0.002)
    found = decide(rule, X, Y, np.random.default_rng(4).binomial(6000, p))
    assert (found.by == "joint").sum() > 4
    assert found.samples[found.by == "joint"].max() <= 4000


def test_samples_and_votes_are_those_that_were_asked_for() -> None:
    rng = np.random.default_rng(5)
    X = rng.random((30, 500)) < 0.8
    Y = rng.random((30, 500)) < np.where(X, 0.97, 0.1)
    asked = np.zeros((30, 500), np.int64)

    def ask(wanted: list[tuple[int, NDArray[np.int64]]], to_come: int) -> list[Bits]:
        assert len({i for i, _ in wanted}) == len(wanted)
        for i, indices in wanted:
            asked[i, indices] += 1
        return [Y[i][indices] for i, indices in wanted]

    rule = StoppingRule(p0=0.75, n=500, n_p=500, alpha=0.01)
    found = decide_all(rule, X.sum(axis=1), lambda i: X[i], ask)
    assert asked.max() == 1, "no sample is drawn twice"
    np.testing.assert_array_equal(asked.sum(axis=1), found.samples)
    np.testing.assert_array_equal((asked * Y).sum(axis=1), found.votes)
    assert 0 < found.samples.sum() < 30 * 500


def test_which_samples_are_asked_for_depends_on_the_base_alone() -> None:
    """Either the first votes of f for A, or the first samples: a later stop may only cut them off."""
    rng = np.random.default_rng(6)
    X = rng.random((20, 400)) < 0.8
    for loss in (0.0, 0.05, 0.5):
        Y = rng.random(X.shape) < np.where(X, 1 - loss, loss)
        order: list[list[int]] = [[] for _ in X]

        def ask(
            wanted: list[tuple[int, NDArray[np.int64]]], to_come: int, Y: Bits = Y, order: list[list[int]] = order
        ) -> list[Bits]:
            for i, indices in wanted:
                order[i] += indices.tolist()
            return [Y[i][indices] for i, indices in wanted]

        decide_all(StoppingRule(0.72, 400, 400, 0.05), X.sum(axis=1), lambda i: X[i], ask)
        for i, taken in enumerate(order):
            ones = np.flatnonzero(X[i])
            lead = next((j for j, index in enumerate(taken) if j >= len(ones) or index != ones[j]), len(taken))
            union = sorted(set(taken))
            stop = max((index for index in taken[lead:]), default=-1) + 1
            assert union == sorted({*range(stop), *ones[:lead].tolist()})


def all_evidence(rule: StoppingRule, X: Bits, Y: Bits, rest: int) -> bool:
    """Tell whether anything shows p' > p0 for one input, if all its votes are looked at, at any time."""
    count = np.array([X.sum() + rest])
    lost = np.cumsum(~Y[X], dtype=np.int64)
    t, none = np.arange(1, len(lost) + 1), np.zeros(len(lost), np.int64)
    if rule.losses(count).take(np.zeros(len(t), np.int64)).shows(lost, t).any():
        return True
    for look, m in enumerate(rule.looks):
        x, y = X[:m], Y[:m]
        tables = (np.array([int(v.sum())]) for v in (x, x & ~y, ~x & y))
        if rule.shows_by_joint_bound(look, Observed(count, none[:1], none[:1], none[:1], *tables))[0]:
            return True
    return False


@pytest.mark.parametrize("factor", [1e-3, 1.0, 1e3])
def test_what_is_claimed_follows_from_the_inputs_own_votes(factor: float) -> None:
    """Other inputs steer how many votes are asked for, but certify nothing that the own votes do not."""
    rng = np.random.default_rng(10)
    X = rng.random((100, 1500)) < 0.75
    Y = rng.random(X.shape) < np.where(X, 0.998, 0.006)
    rest = rng.binomial(1500, 0.75, 100)
    rule = MisledRule(p0=0.73, n=3000, n_p=1500, alpha=0.05, factor=factor)
    certified = np.flatnonzero(decide(rule, X, Y, rest).certified)
    assert 13 < len(certified) < 93
    assert all(all_evidence(rule, X[i], Y[i], int(rest[i])) for i in certified)


def test_the_hint_is_the_disagreement() -> None:
    p = np.random.default_rng(7).uniform(0.75, 0.98, 400)
    z, rho = ndtri(p), 0.99
    lost = p - np.array([multivariate_normal([0, 0], [[1, rho], [rho, 1]]).cdf([v, v]) for v in z])
    t = np.full(400, 64)
    d = np.random.default_rng(8).binomial(t, lost / p)
    none = np.zeros(400, np.int64)
    rule = StoppingRule(0.7, 10_000, 300, 0.01)
    c = rule.hint(Observed((10_000 * p).astype(np.int64), t, d, none, none, none, none))
    expected = float((2 * lost / (np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi))).mean())
    assert c == pytest.approx(expected, rel=0.25)
    nothing = np.zeros(1, np.int64)
    assert rule.hint(Observed(*[nothing] * 7)) == DEFAULT_DISAGREEMENT


def test_alpha_is_spent_once_and_looks_are_nested() -> None:
    rule = StoppingRule(0.7, 1000, 300, 0.01)
    assert sum(rule.alpha_split.values()) == pytest.approx(0.01, rel=1e-12)
    assert rule.looks == [30, 90, 300]
    assert StoppingRule(0.7, 1000, 1, 0.01).looks == [1, 1, 1]


def test_each_evidence_is_held_to_the_share_of_alpha_that_it_is_said_to_have() -> None:
    rule = StoppingRule(0.7, 1000, 300, 0.01)
    count = np.arange(700, 1001, 3)
    expected = LossTest.at(count, 1000, 0.7, rule.alpha_split["lost votes"])
    np.testing.assert_array_equal(rule.losses(count).a0, expected.a0)
    np.testing.assert_array_equal(rule.losses(count).needed, expected.needed)
    for look, m in enumerate(rule.looks):
        n10 = np.arange(m // 4)
        count, none, k1 = (np.full(m // 4, votes) for votes in (850, 0, int(0.85 * m)))
        shown = rule.shows_by_joint_bound(look, Observed(count, none, none, none + m, k1, n10, n10 // 2))
        level = rule.alpha_split[f"look {look + 1}"]
        bound = joint_lower_bound(850, 1000, int(0.85 * m), n10, n10 // 2, m, level)
        np.testing.assert_array_equal(shown, bound > 0.7)


def test_an_input_without_a_class_is_not_certified() -> None:
    rule = StoppingRule(0.6, 300, 300, 0.05)
    X = np.zeros((2, 300), np.bool_)
    X[1] = True
    found = decide(rule, X, X, np.zeros(2, np.int64))
    assert found.certified.tolist() == [False, True]
    assert found.samples[0] == 0
