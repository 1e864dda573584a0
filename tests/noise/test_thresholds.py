from __future__ import annotations

import hashlib
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smoothcert.noise.thresholds import (
    MAX_SCALE,
    grid_thresholds,
    thresholds_digest,
    total_variation,
    word_tables,
)


def truth(sigma: float, levels: int, j: int) -> int:
    with mpmath.workdps(60):
        x = (mpmath.mpf(j) + mpmath.mpf(1) / 2) / (mpmath.mpf(sigma) * levels)
        tail = mpmath.mpf(2) ** 64 * mpmath.ncdf(-abs(x))  # Phi(20) has too many nines for 60 digits
        return int(mpmath.floor(tail)) if x < 0 else 2**64 - int(mpmath.ceil(tail))


@pytest.mark.parametrize(
    ("sigma", "levels", "every"),
    [
        (0.12, 255, 1),
        (0.5, 16, 1),
        (0.25, 255, 7),
        (0.5, 255, 17),
        (1.0, 255, 31),
        (2.0, 255, 97),
        (1.0, 1024, 199),
    ],
)
def test_thresholds_are_the_floors_of_60_digits(sigma: float, levels: int, every: int) -> None:
    T = grid_thresholds(sigma, levels)
    J = len(T) // 2
    for j in [*range(-J, J, every), -1, 0, J - 1]:
        assert int(T[j + J]) == truth(sigma, levels, j), j


@given(st.floats(1e-12, 1.0), st.sampled_from([1, 15, 16, 255, 256, 1024]), st.integers(-(10**5), 10**5))
@settings(max_examples=25, deadline=None)
def test_any_sigma(sigma: float, levels: int, position: int) -> None:
    T = grid_thresholds(sigma, levels)
    J = len(T) // 2
    j = position % (2 * J) - J
    assert int(T[j + J]) == truth(sigma, levels, j)


def test_sigma_is_the_exact_value_of_the_float() -> None:
    assert Fraction(0.1) != Fraction(1, 10)
    T, J = grid_thresholds(0.1, 255), 0
    with mpmath.workdps(60):
        x = mpmath.mpf(1) / 2 / (mpmath.mpf(1) / 10 * 255)
        decimal = int(mpmath.floor(mpmath.mpf(2) ** 64 * mpmath.ncdf(x)))
    assert int(T[J + len(T) // 2]) != decimal


@pytest.mark.parametrize("sigma", [1e-9, 0.12, 0.5, 1.0, 3.4])
def test_form(sigma: float) -> None:
    T = grid_thresholds(sigma, 1024 if sigma == 3.4 else 255)
    assert T[0] == 0
    assert T[-1] == 2**64 - 1
    assert (T[1:] >= T[:-1]).all()
    assert len(T) + 1 < 1 << 16


def test_the_largest_scale_fits_the_tables() -> None:
    assert 2 * (int(np.ceil(9.2 * MAX_SCALE)) + 1) + 1 < 1 << 16


def test_the_thresholds_of_the_law_do_not_change() -> None:
    assert thresholds_digest(grid_thresholds(0.5, 255)) == (
        "c16d71df4d7512d01dd6699fa533b51b427f26a31ceb0b21d99d3ec729cb3fd8"
    )
    T = grid_thresholds(0.25, 255)
    assert thresholds_digest(T) == hashlib.sha256(b"".join(int(t).to_bytes(8, "little") for t in T)).hexdigest()


@pytest.mark.parametrize(("sigma", "levels"), [(0.12, 255), (0.5, 16), (0.5, 255), (2.0, 255), (1e-9, 255)])
def test_tables_hold_what_every_uniform_with_these_upper_bits_gives(sigma: float, levels: int) -> None:
    T = grid_thresholds(sigma, levels)
    decided, first = word_tables(T)
    smallest = np.arange(1 << 16, dtype=np.uint64) << np.uint64(48)
    for low in (0, 1, 0x123456789ABC, (1 << 48) - 1):
        number = np.searchsorted(T, smallest + np.uint64(low), side="right")
        known = decided != len(T) + 1
        np.testing.assert_array_equal(decided[known], number[known])
        assert (first <= number).all()
    np.testing.assert_array_equal(first, np.searchsorted(T, smallest, side="right"))
    inside = np.unique(T[(T % np.uint64(1 << 48)) != 0] >> np.uint64(48))
    np.testing.assert_array_equal(np.flatnonzero(decided == len(T) + 1), inside)


def test_total_variation_of_usual_inputs() -> None:
    cifar = total_variation(3 * 32 * 32, grid_thresholds(0.5, 255))
    assert cifar == pytest.approx(3.9e-13, rel=0.01)
    assert total_variation(3 * 224 * 224, grid_thresholds(2.0, 255)) == pytest.approx(7.7e-11, rel=0.01)


@given(st.integers(1, 2**60))
def test_total_variation_is_rounded_up(size: int) -> None:
    T = grid_thresholds(0.5, 16)
    bound = Fraction(total_variation(size, T))
    exact = Fraction(size * len(T), 2**64)
    assert exact <= bound <= exact * (1 + Fraction(1, 2**51))


@pytest.mark.parametrize(("sigma", "levels"), [(0.12, 255), (0.5, 16), (1.0, 16)])
def test_total_variation_bounds_the_distance_of_the_two_laws(sigma: float, levels: int) -> None:
    T = grid_thresholds(sigma, levels)
    J = len(T) // 2
    with mpmath.workdps(60):
        scale = mpmath.mpf(sigma) * levels
        # P(K <= k) for k = -J .. J - 1, and everything above: what is drawn has its last step at J.
        exact = [mpmath.ncdf((mpmath.mpf(j) + mpmath.mpf(1) / 2) / scale) for j in range(-J, J + 1)]
        drawn = [mpmath.mpf(int(t)) / mpmath.mpf(2) ** 64 for t in T] + [mpmath.mpf(1)]
        cells = [abs((b - a) - (d - c)) for a, b, c, d in zip(exact, exact[1:], drawn, drawn[1:], strict=False)]
        distance = (sum(cells) + abs(exact[0] - drawn[0]) + (1 - exact[-1])) / 2
    assert 0 < distance <= total_variation(1, T)
