"""The gate between pairing and starting again: a threshold on the cached count, and hints from other inputs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from smoothcert.bounds import DEFAULT_DISAGREEMENT, disagreement_hint, prefers_direct
from smoothcert.errors import InvalidArgumentError


@given(st.integers(1, 3000), st.integers(1, 10_000), st.floats(1e-6, 100))
def test_turns_once_as_the_count_grows(n: int, m: int, c: float) -> None:
    direct = prefers_direct(np.arange(n + 1), n, m, disagreement=c)
    assert direct[-1]
    assert (np.diff(direct.astype(int)) >= 0).all()


@pytest.mark.parametrize(("n", "m", "c"), [(10_000, 1000, 0.3), (10_000, 5000, 0.1), (1000, 10, 0.5)])
def test_is_the_rule(n: int, m: int, c: float) -> None:
    K = np.arange(n)
    p = np.maximum(K / n, 0.5)
    expected = np.minimum(c * norm.pdf(norm.ppf(p)), 2 * p * (1 - p))
    rule = m / n + expected / (p * (1 - p)) >= 0.85
    direct = prefers_direct(K, n, m, disagreement=c)
    assert 0 < direct.sum() < n
    assert (direct == rule).mean() > 0.999  # it may round differently at the threshold


def test_usual_candidates_are_paired_and_unrelated_ones_are_not() -> None:
    assert not prefers_direct([5_000, 8_000, 9_990], 10_000, 1000).any()
    assert prefers_direct([5_000, 8_000, 9_990], 10_000, 9000).all()
    unrelated = disagreement_hint(8_000, 10_000, 320, 1000)
    assert prefers_direct([5_000, 8_000, 9_990], 10_000, 1000, disagreement=unrelated).all()


def test_hint_is_recovered_from_many_inputs() -> None:
    rng = np.random.default_rng(0)
    p = rng.uniform(0.6, 0.99, 300)
    c = 0.06
    count = rng.binomial(10_000, p)
    n_disagree = rng.binomial(1000, c * norm.pdf(norm.ppf(p)))
    assert disagreement_hint(count, 10_000, n_disagree, 1000) == pytest.approx(c, rel=0.05)


def test_hint_of_unanimous_votes_and_no_disagreement_is_positive() -> None:
    assert 0 < disagreement_hint(10_000, 10_000, 0, 1000) < np.inf
    assert disagreement_hint([9_000] * 50, 10_000, 0, 1000) < DEFAULT_DISAGREEMENT


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"count": 1001}, r"count is 1001 and n is 1000"),
        ({"m": 0}, r"m is 0: it should be a whole number from 1"),
        ({"disagreement": -1.0}, r"disagreement is -1: it should be positive and finite"),
        ({"disagreement": np.nan}, r"disagreement is nan"),
    ],
)
def test_gate_refuses_what_is_out_of_range(changes: dict[str, float], message: str) -> None:
    arguments = {"count": 900, "n": 1000, "m": 100}
    with pytest.raises(InvalidArgumentError, match=message):
        prefers_direct(**(arguments | changes))


def test_hint_refuses_what_is_out_of_range() -> None:
    with pytest.raises(InvalidArgumentError, match=r"n_disagree is 101 and m is 100"):
        disagreement_hint(900, 1000, 101, 100)
    with pytest.raises(InvalidArgumentError, match=r"shapes do not broadcast"):
        disagreement_hint([900, 901], 1000, [1, 2, 3], 100)
