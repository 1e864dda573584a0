"""What may be chosen by looking at the cached votes: how many samples are paired, and which."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, logit
from scipy.stats import binom

from bounds.paired_worlds import World, lattice, table
from smoothcert.bounds import joint, joint_lower_bound, lower_confidence_bound, prefers_direct
from smoothcert.bounds._joint_levels import joint_levels

Array = NDArray[np.float64]
N, MENU = 16, (1, 2, 4, 8, 12, 16)


class Tables:
    """Every table (n10, n01) of every choice of paired samples out of N, for every cached count.

    A choice is a (count, m, k1): whoever sees all cached votes can pair any k1 of those for the class, and any
    m - k1 of the others.
    """

    def __init__(self) -> None:
        rows = [
            (K, m, k1, n10, n01)
            for K in range(N + 1)
            for m in MENU
            for k1 in range(max(0, m - (N - K)), min(K, m) + 1)
            for n10 in range(k1 + 1)
            for n01 in range(m - k1 + 1)
        ]
        self.count, self.m, self.k1, self.n10, self.n01 = np.array(rows).T
        changes = np.diff(self.count * 10_000 + self.m * 100 + self.k1) != 0
        self.choice = np.flatnonzero(np.concatenate([[True], changes]))
        self.of_count = np.searchsorted(self.count[self.choice], np.arange(N + 1))

    def worst(self, bound: Array, world: World) -> Array:
        """Return for each count the largest probability of a false bound given the cached votes, of any choice."""
        lost, won = table(N, world.a), table(N, world.b)
        fails = lost[self.n10, self.k1] * won[self.n01, self.m - self.k1] * (bound > world.candidate)
        return np.asarray(np.maximum.reduceat(np.add.reduceat(fails, self.choice), self.of_count))


@functools.cache
def tables_and_bounds(alpha: float, candidates: int) -> tuple[Tables, Array]:
    t = Tables()
    return t, joint_lower_bound(t.count, N, t.k1, t.n10, t.n01, t.m, alpha, candidates=candidates)


def of_counts(world: World) -> Array:
    return table(N, world.p)[:, -1]


@pytest.mark.parametrize("alpha", [0.3, 0.01])
@pytest.mark.parametrize("candidates", [1, 3])
def test_pairs_chosen_by_the_cached_votes_fail_within_alpha(alpha: float, candidates: int) -> None:
    """The m, and which samples, that fail most often at the true probabilities; each candidate its own."""
    t, bound = tables_and_bounds(alpha, candidates)
    failures = [of_counts(w) @ np.minimum(1, candidates * t.worst(bound, w)) for w in lattice()]
    assert alpha / 10 < max(failures) <= alpha


@pytest.mark.parametrize("alpha", [0.3, 0.01])
def test_no_world_that_an_optimiser_finds_fails_more_often_than_alpha(alpha: float) -> None:
    """Started from the worst worlds of the lattice; in each the m and the samples that do most harm."""
    t, bound = tables_and_bounds(alpha, 1)

    def failure(logits: Any) -> float:
        w = World(*expit(logits).tolist())
        return float(of_counts(w) @ t.worst(bound, w))

    def safety(logits: Any) -> float:
        return -failure(logits)

    starts = [logit(np.clip([w.p, w.a, w.b], 1e-4, 1 - 1e-4)) for w in lattice()]
    starts.sort(key=failure)
    found = [minimize(safety, x0=start, method="Nelder-Mead", options={"maxfev": 80}) for start in starts[-4:]]
    worst = max(-float(each.fun) for each in found)
    assert failure(starts[-1]) < worst <= alpha


@pytest.mark.parametrize(("direct", "candidates"), [(1, 1), (3, 3), (1, 3)])
def test_so_do_samples_from_scratch_where_votes_were_unanimous(direct: int, candidates: int) -> None:
    """Also when only some candidates of a group start from scratch there, and each with the worst m."""
    alpha = 0.05
    t, bound = tables_and_bounds(alpha, candidates)
    own = {m: lower_confidence_bound(np.arange(m + 1), m, alpha / candidates) for m in MENU}
    unanimous = prefers_direct(np.arange(N + 1), N)
    worlds = list(lattice())
    of_m = {m: np.asarray(binom.pmf(np.arange(m + 1)[:, None], m, [w.candidate for w in worlds])) for m in MENU}
    for c, w in enumerate(worlds):
        false = {m: np.flatnonzero(found > w.candidate) for m, found in own.items()}
        alone = max(float(of_m[m][counts, c].sum()) for m, counts in false.items())
        worst = t.worst(bound, w)
        there = np.minimum(1, direct * alone + (candidates - direct) * worst)
        elsewhere = np.minimum(1, candidates * worst)
        assert of_counts(w) @ np.where(unanimous, there, elsewhere) <= alpha


def test_the_enumeration_sees_an_invalid_bound() -> None:
    t, bound = tables_and_bounds(0.3, 1)
    assert max(of_counts(w) @ t.worst(bound, w) for w in lattice()) > 0.05
    t, bound = tables_and_bounds(0.05, 1)
    assert max(of_counts(w) @ t.worst(bound + 0.05 * (bound > 0), w) for w in lattice()) > 0.05


def levels_of(patch: pytest.MonkeyPatch, n: int, sizes: list[int], alpha: float, C: int) -> tuple[Array, Array]:
    """Return the widths of the steps, and for every m, bin of p and step the level that the bound is given."""
    given_levels: list[Array] = []

    def record(edges: Array, bins: Array, tau: NDArray[np.int64], prepared: Array, *rest: Any) -> None:
        given_levels.append(prepared[tau[0]])
        rest[-1][:] = 0

    prepared = joint_levels(float(np.nextafter(alpha * 0.99, 0)), C)
    with patch.context() as patched:
        patched.setattr(joint, "largest_rejected", record)
        for m in sizes:
            joint_lower_bound(n, n, m, 0, 0, m, alpha, candidates=C)
    return np.diff(np.concatenate([[0.0], prepared.u, [1.0]])), np.array(given_levels)


@pytest.mark.parametrize("candidates", [1, 10])
@pytest.mark.parametrize("alpha", [0.5, 0.05, 0.002, 1e-9])
@pytest.mark.parametrize("n", [10, 1000, 10_000, 1_000_000])
def test_alpha_pays_for_the_largest_level_of_any_choice(
    monkeypatch: pytest.MonkeyPatch, n: int, alpha: float, candidates: int
) -> None:
    """For each p: the integral of min(1, C rho) with the largest rho of all m, which is what the proof needs."""
    sizes = sorted({max(1, round(n * share)) for share in (1e-4, 0.01, 0.03, 0.1, 0.3, 0.6, 1.0)})
    width, levels = levels_of(monkeypatch, n, sizes, alpha, candidates)
    spent = (np.minimum(1, candidates * levels.max(axis=0)) * width).sum(axis=1)
    assert spent.max() <= 0.99 * alpha * (1 + 1e-9)
    assert spent.min() > 0.95 * 0.99 * alpha


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 10**6), st.floats(1e-80, 0.99), st.integers(1, 10**6), st.data())
def test_the_bound_never_fails_to_compute(n: int, alpha: float, candidates: int, data: st.DataObject) -> None:
    K = data.draw(st.integers(0, n))
    m = data.draw(st.integers(1, min(n, 1000)))
    k1 = data.draw(st.integers(max(0, m - (n - K)), min(K, m)))
    bound = joint_lower_bound(K, n, k1, 0, 0, m, alpha, candidates=candidates)
    assert 0 <= bound < 1
