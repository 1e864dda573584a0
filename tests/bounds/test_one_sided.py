"""The one-sided bound: its total failure probability by exact enumeration, and its closed form."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import betainccinv, betaincinv

from bounds.paired_worlds import all_outcomes, lattice
from smoothcert.bounds import lower_confidence_bound, one_sided_bound, upper_confidence_bound
from smoothcert.errors import InvalidArgumentError


@pytest.mark.parametrize(("n", "m"), [(24, 8), (12, 12), (60, 6)])
@pytest.mark.parametrize(("alpha", "base_share"), [(0.05, 0.15), (0.01, 0.15), (0.05, 0.6)])
def test_total_failure_probability(n: int, m: int, alpha: float, base_share: float) -> None:
    o = all_outcomes(n, m)
    bound = one_sided_bound(o.count, n, o.n10, o.k1, alpha, base_share=base_share)
    failures = [o.probability(w)[bound > w.candidate].sum() for w in lattice()]
    assert max(failures) <= alpha


def test_enumeration_sees_an_invalid_bound() -> None:
    o = all_outcomes(24, 8)
    for invalid in (lower_confidence_bound(o.count, 24, 0.05), one_sided_bound(o.count, 24, o.n10, o.k1, 0.3)):
        assert max(o.probability(w)[invalid > w.candidate].sum() for w in lattice()) > 0.05


@pytest.mark.parametrize(
    ("K", "n", "n10", "k1", "alpha"),
    [(80_000, 100_000, 3, 801, 0.002), (7, 10, 0, 5, 0.05), (99_999, 100_000, 40, 9_999, 1e-6)],
)
def test_is_just_below_its_closed_form(K: int, n: int, n10: int, k1: int, alpha: float) -> None:
    bound = float(one_sided_bound(K, n, n10, k1, alpha, base_share=0.25))
    closed = betaincinv(K, n - K + 1, alpha / 4) * (1 - betainccinv(n10 + 1, k1 - n10, alpha * 3 / 4))
    assert closed * (1 - 1e-9) <= bound <= closed
    base, loss = lower_confidence_bound(K, n, alpha / 4), upper_confidence_bound(n10, k1, alpha * 3 / 4)
    assert Fraction(bound) <= Fraction(base) * (1 - Fraction(loss))


def test_nothing_is_known_without_a_kept_vote() -> None:
    assert one_sided_bound([0, 50, 50], 100, [0, 0, 10], [0, 0, 10], 0.01).tolist() == [0, 0, 0]


@given(st.data())
def test_moves_with_each_count_as_it_should(data: st.DataObject) -> None:
    n = data.draw(st.integers(2, 10_000))
    k1 = data.draw(st.integers(1, n - 1))
    n10 = data.draw(st.integers(0, k1 - 1))
    K = data.draw(st.integers(k1, n - 1))
    alpha = data.draw(st.floats(1e-9, 0.5))
    bound = one_sided_bound(K, n, n10, k1, alpha)
    assert 0 <= bound < K / n
    assert one_sided_bound(K, n, n10 + 1, k1, alpha) <= bound <= one_sided_bound(K + 1, n, n10, k1, alpha)
    assert bound <= one_sided_bound(K, n, n10, k1 + 1, alpha)
    assert bound <= one_sided_bound(K, n, n10, k1, min(2 * alpha, 0.9)) + 1e-15


def test_shapes_broadcast() -> None:
    assert one_sided_bound(np.full((3, 1), 900), 1000, [0, 1], 90, 0.01).shape == (3, 2)
    assert one_sided_bound(900, 1000, 0, 90, [0.01, 0.02, 0.03]).shape == (3,)
    assert one_sided_bound(900, 1000, 0, 90, 0.01).shape == ()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"count": 1001}, r"count is 1001 and n is 1000"),
        ({"n10": 91}, r"n10 is 91 and k1 is 90: n10 should be at most k1"),
        ({"k1": -1}, r"k1 is -1: it should be a whole number from 0"),
        ({"n10": 0.5}, r"n10 is 0\.5"),
        ({"alpha": 1.0}, r"alpha is 1: it should be in"),
        ({"base_share": 1.0}, r"base_share is 1: it should be in \(0, 1\)"),
        ({"alpha": 1e-100}, r"base_share \* alpha is"),
    ],
)
def test_refuses_what_is_out_of_range(changes: dict[str, float], message: str) -> None:
    arguments: dict[str, float] = {"count": 900, "n": 1000, "n10": 1, "k1": 90, "alpha": 0.001}
    with pytest.raises(InvalidArgumentError, match=message):
        one_sided_bound(**(arguments | changes))
