"""The incremental bound's total failure probability, by exact enumeration of the joint law of its votes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binom, multinomial

from smoothcert.bounds import irs_bound, lower_confidence_bound, upper_confidence_bound
from smoothcert.errors import InvalidArgumentError

N, M = 30, 14  # cached votes, and how many of them are paired
ALPHA, ALPHA_ZETA = 0.08, 0.06


def paired_tables(m: int) -> NDArray[np.int64]:
    """All counts of (both A, only f says A, only f^p says A, neither and agree, neither and differ)."""
    cells = [c for c in itertools.product(range(m + 1), repeat=4) if sum(c) <= m]
    return np.array([(*c, m - sum(c)) for c in cells])


TABLES = paired_tables(M)
REST = np.arange(N - M + 1)  # of the cached votes that are not paired, those for A
BOTH, ONLY_F, ONLY_CANDIDATE, _, OTHERS_DIFFER = TABLES.T


def worlds(gamma: float) -> Iterator[tuple[float, NDArray[np.float64]]]:
    """Yield p = P(f = A), also just around the gate, and the probabilities of the five cells of a pair."""
    for p in (0.55, 0.7, 0.8, 0.9, 0.95, 0.99, gamma - 1e-4, min(gamma, 0.9999), min(gamma + 1e-4, 0.9999)):
        for lost, gained, differ in itertools.product((0.0, 0.01, 0.03, 0.2), (0.0, 0.5), (0.0, 0.5)):
            cells = np.array([p - lost, lost, (1 - p) * gained, 0, 0])
            cells[4] = (1 - cells.sum()) * differ
            cells[3] = 1 - cells.sum()
            yield p, cells


def joint_law(p: float, cells: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probability of each (table, rest), shape (tables, rests)."""
    weights = np.outer(multinomial.pmf(TABLES, M, cells), binom.pmf(REST, N - M, p))
    assert weights.sum() == pytest.approx(1, abs=1e-9)
    return weights


@pytest.mark.parametrize("gamma", [0.51, 0.6, 0.7, 0.75, 0.8, 0.9, 1.0])
def test_total_failure_probability_holds_over_the_branches(gamma: float) -> None:
    bound = irs_bound(
        (BOTH + ONLY_F)[:, None] + REST,
        N,
        (ONLY_F + ONLY_CANDIDATE + OTHERS_DIFFER)[:, None],
        (BOTH + ONLY_CANDIDATE)[:, None],
        M,
        ALPHA,
        ALPHA_ZETA,
        gamma,
    )
    for p, cells in worlds(gamma):
        failure = joint_law(p, cells)[bound.p_lower > cells[0] + cells[2]].sum()
        assert failure <= ALPHA + ALPHA_ZETA, (p, cells)


def test_enumeration_sees_an_invalid_bound() -> None:
    """The base's own bound, with no disparity subtracted, fails in these worlds more often than it may."""
    p_A = lower_confidence_bound((BOTH + ONLY_F)[:, None] + REST, N, ALPHA)
    failures = [joint_law(p, cells)[p_A > cells[0] + cells[2]].sum() for p, cells in worlds(0.75)]
    assert max(failures) > ALPHA + ALPHA_ZETA


@pytest.mark.parametrize("gamma", [0.75, 0.9])
def test_each_branch_is_its_closed_form(gamma: float) -> None:
    K = np.arange(701, 1001)
    bound = irs_bound(K, 1000, 2, 95, 100, 0.01, 0.02, gamma)
    p_A = lower_confidence_bound(K, 1000, 0.01)
    zeta = upper_confidence_bound(2, 100, 0.02)
    by_zeta = bound.branch == "zeta"
    assert set(bound.branch.tolist()) == {"zeta", "direct"}
    np.testing.assert_array_equal(by_zeta, p_A < gamma)
    np.testing.assert_array_equal(bound.zeta, zeta)
    np.testing.assert_allclose(bound.p_lower[by_zeta], (p_A - zeta)[by_zeta], rtol=1e-15)
    assert (bound.p_lower[by_zeta] <= (p_A - zeta)[by_zeta]).all()
    np.testing.assert_array_equal(bound.p_lower[~by_zeta], lower_confidence_bound(95, 100, 0.01))


def test_the_bound_is_never_negative_and_gamma_one_is_always_zeta() -> None:
    bound = irs_bound([0, 1000], 1000, 100, 100, 100, 0.001, 0.001, 1.0)
    assert bound.p_lower.tolist() == [0, 0]
    assert bound.branch.tolist() == ["zeta", "zeta"]


def test_a_bound_that_is_gamma_takes_the_direct_branch() -> None:
    gamma = lower_confidence_bound(900, 1000, 0.01)
    assert irs_bound(900, 1000, 0, 95, 100, 0.01, 0.01, gamma).branch == "direct"
    assert irs_bound(900, 1000, 0, 95, 100, 0.01, 0.01, np.nextafter(gamma, 1)).branch == "zeta"


def test_shapes_broadcast() -> None:
    bound = irs_bound(np.full((3, 1), 900), 1000, [0, 1], 95, 100, 0.001, 0.001, 0.99)
    assert bound.p_lower.shape == bound.zeta.shape == bound.branch.shape == (3, 2)
    by_gamma = irs_bound(900, 1000, 0, 95, 100, 0.001, 0.001, [0.6, 0.99])
    assert by_gamma.p_lower.shape == by_gamma.zeta.shape == (2,)
    assert by_gamma.branch.tolist() == ["direct", "zeta"]
    single = irs_bound(900, 1000, 0, 95, 100, 0.001, 0.001, 0.99)
    assert single.p_lower.shape == single.zeta.shape == single.branch.shape == ()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gamma": 0.5}, r"gamma is 0\.5: it should be in \(1/2, 1\]"),
        ({"gamma": 1.01}, r"gamma is 1\.01"),
        ({"gamma": np.nan}, r"gamma is nan"),
        ({"count": 1001}, r"count is 1001 and n is 1000: count should be at most n"),
        ({"n_disagree": 101}, r"n_disagree is 101 and m is 100"),
        ({"n_direct": 2.5}, r"n_direct is 2\.5: it should be a whole number"),
        ({"m": 0}, r"m is 0: it should be a whole number from 1"),
        ({"alpha": 0}, r"alpha is 0: it should be in"),
        ({"alpha_zeta": 1}, r"alpha_zeta is 1: it should be in"),
        ({"alpha": 0.6, "alpha_zeta": 0.6}, r"alpha \+ alpha_zeta is 1\.2: it should be below 1"),
        ({"alpha": 0.75, "alpha_zeta": 0.25}, r"alpha \+ alpha_zeta is 1: it should be below 1"),
    ],
)
def test_refuses_what_is_out_of_range(changes: dict[str, float], message: str) -> None:
    arguments: dict[str, float] = {
        "count": 900,
        "n": 1000,
        "n_disagree": 1,
        "n_direct": 95,
        "m": 100,
        "alpha": 0.001,
        "alpha_zeta": 0.001,
        "gamma": 0.99,
    }
    with pytest.raises(InvalidArgumentError, match=message):
        irs_bound(**(arguments | changes))
