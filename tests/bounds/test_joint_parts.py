"""What the joint bound is made of: levels that add up, tails that are rounded up, suprema that are covered."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import binom, norm

from smoothcert.bounds import lower_confidence_bound
from smoothcert.bounds._joint_kernel import (
    Pairs,
    cell_rejected,
    fill_reach,
    largest_rejected,
    log_gap,
    null_a,
    range_of_b,
    staircase_probability,
)
from smoothcert.bounds._joint_levels import P_BINS, TAUS, joint_levels, tau_index
from smoothcert.bounds.joint import _nuisance_limits

Array = NDArray[np.float64]
COMPILES = settings(deadline=None)


@pytest.mark.parametrize("alpha", [0.9, 0.05, 0.002, 1e-6, 1e-80])
@pytest.mark.parametrize("candidates", [1, 7, 1_000_000])
def test_levels_spend_alpha_and_no_more(alpha: float, candidates: int) -> None:
    prepared = joint_levels(alpha, candidates)
    edges = [Fraction(0), *map(Fraction, prepared.u), Fraction(1)]
    for level in prepared.level:
        spent = sum(
            (min(Fraction(1), candidates * Fraction(rho)) * (high - low))
            for rho, (low, high) in zip(level, pairwise(edges), strict=True)
        )
        assert spent <= Fraction(alpha)
        assert spent > 0.95 * Fraction(alpha)
    assert (np.diff(prepared.u) > 0).all()
    assert (np.diff(prepared.level, axis=1) <= 0).all()
    assert (prepared.level > 0).all()


@given(st.integers(1, 10**8))
def test_every_bin_of_p_has_prepared_levels(n: int) -> None:
    tau = tau_index(np.array([float(n)]))
    assert tau.shape == (1, len(P_BINS) + 1)
    assert ((tau >= 0) & (tau < len(TAUS))).all()


def test_levels_serve_every_ratio_of_standard_errors() -> None:
    """Scores that a half-plane of any tilt rejects at a fourteenth of alpha are rejected by every row."""
    alpha = 0.002
    prepared = joint_levels(alpha, 1)
    z1 = -norm.ppf(prepared.u)
    for tau in 10.0 ** np.linspace(-2, 2, 30):
        z2 = -norm.ppf(alpha / 14) * np.sqrt(1 + tau**2) - tau * z1
        assert (prepared.level[:, :-1] >= norm.sf(z2)).all()


def reach_of(n10: int, n01: int, k1: int, kappa: float, z: float, size: int) -> NDArray[np.int64]:
    reach = np.empty(size, np.int64)
    fill_reach(n10, n01, k1, kappa, z, reach)
    return reach


def pairs_of(k1: int, k0: int, reach: NDArray[np.int64], width: int = 4096) -> Pairs:
    return Pairs(k1, k0, 0.0, float(k1 + k0), reach, np.empty((2, width)))


def scipys(k1: int, a: Array, k0: int, b: Array, reach: NDArray[np.int64]) -> Array:
    x = np.asarray(binom.cdf(reach, k1, a[:, None]))
    return np.asarray((x * np.asarray(binom.pmf(np.arange(k0 + 1), k0, b[:, None]))).sum(axis=1))


tables = st.tuples(st.integers(1, 400), st.integers(1, 400)).flatmap(
    lambda k: st.tuples(st.just(k[0]), st.just(k[1]), st.integers(0, k[0]), st.integers(0, k[1]))
)
probabilities = st.sampled_from([0.0, 1.0]) | st.floats(1e-12, 1)


@COMPILES
@given(tables, st.floats(0.001, 1000), st.floats(0, 10))
def test_the_staircase_holds_what_its_ordering_puts_first(
    table: tuple[int, int, int, int], kappa: float, z: float
) -> None:
    k1, k0, n10, n01 = table
    reach = reach_of(n10, n01, k1, kappa, z, k0 + 1)

    def ordering(x: Array, y: Array) -> Array:
        root = np.sqrt(x + kappa**2 * y + z**2 * max(1, kappa**2) / 4)
        return np.asarray(x - kappa * y + z * root)

    x, y = np.meshgrid(np.arange(k1 + 1.0), np.arange(k0 + 1.0))
    value, observed = ordering(x, y), ordering(np.array(float(n10)), np.array(float(n01)))
    inside = x <= reach[:, None]
    tolerance = 1e-6 * (1 + kappa * k0 + k1 + kappa * z * np.sqrt(k0 + z**2))
    assert inside[n01, n10]
    assert (np.diff(reach) >= 0).all()
    assert inside[value <= observed].all()
    assert (value[inside] <= observed + tolerance).all()


@COMPILES
@given(tables, st.floats(0.05, 20), st.floats(0, 4), probabilities, probabilities)
def test_probability_is_scipys_rounded_up(
    table: tuple[int, int, int, int], kappa: float, z: float, a: float, b: float
) -> None:
    k1, k0, n10, n01 = table
    reach = reach_of(n10, n01, k1, kappa, z, k0 + 1)
    # The tails do not reach down to 1e-12 of the mode, so that what is cut off does not show.
    got = staircase_probability(pairs_of(k1, k0, reach), a, b, 1e-14)
    exact = scipys(k1, np.array([a]), k0, np.array([b]), reach)[0]
    assert got >= exact * (1 - 1e-11)
    assert got <= exact * (1 + 1e-8) + 1e-11


@COMPILES
@given(tables, probabilities, probabilities, st.floats(1e-12, 0.1), st.integers(1, 40))
def test_cutting_tails_and_rows_rounds_up(
    table: tuple[int, int, int, int], a: float, b: float, cut: float, rows: int
) -> None:
    k1, k0, n10, n01 = table
    reach = reach_of(n10, n01, k1, 1.0, 3.0, k0 + 1)
    exact = scipys(k1, np.array([a]), k0, np.array([b]), reach)[0]
    assert staircase_probability(pairs_of(k1, k0, reach[:rows], width=16), a, b, cut) >= min(exact, 1) * (
        1 - 1e-11
    )


@pytest.mark.parametrize("width", [3, 4, 8, 64])
@pytest.mark.parametrize(("k1", "k0"), [(10, 7), (1, 12), (6, 1)])
def test_wherever_a_tail_is_cut_off_the_probability_is_rounded_up(width: int, k1: int, k0: int) -> None:
    """All places: next to the mode, at the end, one before it, and where the buffer ends."""
    grid = np.array([0.04, 0.3, 0.5, 0.93])
    for reach in (np.minimum(np.arange(k0 + 1), k1), np.arange(k0 + 1) // 3 - 1, np.full(k0 + 1, k1)):
        for a in grid:
            exact = scipys(k1, np.full(4, a), k0, grid, reach)
            for cut in np.geomspace(1e-7, 0.99, 60):
                pairs = pairs_of(k1, k0, reach, width)
                got = np.array([staircase_probability(pairs, a, b, cut) for b in grid])
                assert (got >= exact * (1 - 1e-12)).all()
                if (
                    width == 64
                ):  # ratios of neighbours fall from the cut on, so that little more is added than lies there
                    assert (got <= exact + 40 * cut).all()


@COMPILES
@given(tables, probabilities, probabilities, probabilities, probabilities)
def test_probability_falls_in_losses_and_rises_in_gains(
    table: tuple[int, int, int, int], a0: float, a1: float, b0: float, b1: float
) -> None:
    k1, k0, n10, n01 = table
    pairs = pairs_of(k1, k0, reach_of(n10, n01, k1, k1 / k0, 3.0, k0 + 1))
    more = staircase_probability(pairs, min(a0, a1), max(b0, b1), 1e-14)
    less = staircase_probability(pairs, max(a0, a1), min(b0, b1), 1e-14)
    assert less <= more * (1 + 1e-8) + 1e-11


@settings(max_examples=200, deadline=None)
@given(
    tables,
    st.floats(0.001, 0.999),
    st.floats(0.001, 0.999),
    st.tuples(st.floats(0.001, 0.5), st.floats(0.01, 1)),
    st.floats(0.5, 4),
)
def test_pieces_of_the_null_line_are_bounded(
    table: tuple[int, int, int, int], p: float, t: float, piece: tuple[float, float], z: float
) -> None:
    """On a line with p (1 - a) + (1 - p) b = t the probability is at most that at the ends times exp(gap)."""
    k1, k0, n10, n01 = table
    pairs = pairs_of(k1, k0, reach_of(n10, n01, k1, k1 / k0 * (1 - p) / p, z, k0 + 1))
    b0, b1 = piece[0], min(piece[0] * (1 + piece[1]), 1.0)
    b = np.linspace(b0, b1, 17)
    a = np.array([null_a(each, t, p) for each in b])
    gap = log_gap(a[0], b0, a[-1], b1, (1 - p) / p, pairs)
    if gap > 20:
        return
    g = np.array([staircase_probability(pairs, x, y, 1e-14) for x, y in zip(a, b, strict=True)])
    assert g.max() <= max(g[0], g[-1]) * np.exp(gap) * (1 + 1e-7) + 1e-11


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("width", [0.0, 0.03])
def test_a_cell_is_rejected_as_far_as_its_nulls_allow(seed: int, width: float) -> None:
    rng = np.random.default_rng(seed)
    p = rng.uniform(0.05, 0.95)
    m = int(rng.integers(2, 400))
    k1 = max(int(rng.binomial(m, p)), 1)
    k0 = m - k1
    share = 10 ** rng.uniform(-3, -0.3)
    n10, n01 = int(rng.binomial(k1, share)), int(rng.binomial(k0, share))
    low, high = _nuisance_limits(np.array([n10 + n01]), np.array([m]), 1e-5)[0]
    reach = reach_of(n10, n01, k1, k1 / max(k0, 1) * (1 - p) / p, 3.0, k0 + 1)
    pairs = Pairs(k1, k0, low, high, reach, np.empty((2, 4096)))
    p_high, level = min(p + width, 1.0), 10 ** rng.uniform(-5, -1)

    def rejected(t: float) -> bool:
        return bool(cell_rejected(t, p, p_high, level, pairs))

    def largest(t: float) -> float:
        """Over nulls (p, a, b) in the nuisance set: on the line, above it, and for any p of the cell."""
        on_line = np.linspace(*range_of_b(t, p, p_high, pairs), 200)
        b = np.concatenate([on_line, rng.uniform(low / m, high / max(k0, 1), 200)]).clip(0, 1)
        tested = rng.choice([p, p_high, (p + p_high) / 2], len(b), p=[0.8, 0.1, 0.1])
        a = np.clip(1 - b + (b - t) / tested, 0, None)
        a += np.where(rng.random(len(b)) < 0.1, rng.exponential(0.01, len(b)), 0)
        mean = k1 * a + k0 * b
        inside = (a <= 1) & (mean >= low * (1 - 1e-9)) & (mean <= high * (1 + 1e-9))
        return float(scipys(k1, a[inside], k0, b[inside], reach).max(initial=0))

    below, above = 0.0, 1.0
    while above - below > 1e-6:
        middle = (below + above) / 2
        below, above = (middle, above) if rejected(middle) else (below, middle)
    assert not rejected(below) or largest(below) <= level
    assert not rejected(min(above + 1e-3, 1.0))
    if width == 0 and k0 > 0:
        assert largest(min(above + 1e-5, 1.0)) > 0.95 * level


@pytest.mark.parametrize(("k1", "k0"), [(1, 1), (2, 9), (9, 2), (12, 12), (30, 5), (5, 40)])
@pytest.mark.parametrize("alpha", [0.2, 0.01])
def test_nuisance_limits_hold_for_unequal_probabilities(k1: int, k0: int, alpha: float) -> None:
    """The sum of two binomials with different probabilities, by convolution."""
    m = k1 + k0
    total = np.arange(m + 1)
    low, high = _nuisance_limits(total.astype(float), np.full(m + 1, float(m)), alpha).T
    grid = np.concatenate([[0, 1e-6, 1e-3], np.linspace(0.01, 0.99, 25), [1 - 1e-3, 1 - 1e-6, 1]])
    for a in grid:
        for b in grid:
            law = np.convolve(binom.pmf(np.arange(k1 + 1), k1, a), binom.pmf(np.arange(k0 + 1), k0, b))
            mean = k1 * a + k0 * b
            assert law[high < mean * (1 - 1e-12)].sum() <= alpha * (1 + 1e-9)
            assert law[low > mean * (1 + 1e-12)].sum() <= alpha * (1 + 1e-9)


def test_prepared_ratios_span_what_occurs() -> None:
    """One per cent of disagreement at p = 0.8, n = 10,000, m = 600: 0.4 % of the base, 0.6 % of the pairs."""
    tau = TAUS[tau_index(np.array([1e4, 1e8]))[:, np.searchsorted(P_BINS, 0.8, side="right")]]
    assert 0.5 < tau[0] < 0.9
    assert tau[1] < TAUS[-1]


def test_every_cell_with_a_level_is_tested() -> None:
    """Also one that lies before cells which the base excludes, as bins of p with other ratios can make it."""
    u = np.array([1e-4, 0.01, 0.1, 0.5])
    edges = np.asarray(lower_confidence_bound(8000, 10_000, u))[None]
    middle = np.array([(edges[0, 1] + edges[0, 2]) / 2])

    def bound(*levels: list[float]) -> float:
        prepared, out = np.array(levels), np.empty(1)
        largest_rejected(
            edges,
            middle,
            np.array([[0, len(levels) - 1]]),
            prepared,
            np.maximum(norm.isf(prepared), 0),
            np.array([[800, 200, 5, 5]]),
            _nuisance_limits(np.array([10.0]), np.array([1000.0]), 1e-5),
            np.array([[0.8, 0.8, 0.004, 0.003, 1.0]]),
            out,
        )
        return float(out[0])

    alone = bound([1, 1e-5, 1, 1, 1])
    assert bound([1, 1e-5, 1e-5, 1, 1], [1, 1, 1, 1, 0.5]) <= alone + 1e-4
    assert alone < bound([1, 0.5, 1, 1, 1])
