from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from smoothcert.errors import InvalidArgumentError
from smoothcert.noise import GridNoise, Purpose, distance_to_grid, noise_of_law, on_grid

KEY = bytes(range(32))
Floats = NDArray[np.float32]


def draw(noise: GridNoise, x: Floats, count: int) -> Floats:
    out = np.empty((count, *x.shape), np.float32)
    noise.perturb(x, KEY, Purpose.ESTIMATION, 0, out)
    return out


@pytest.mark.parametrize("levels", [16, 255, 4096])
def test_an_input_off_the_grid_is_perturbed_as_its_nearest_point(levels: int) -> None:
    noise = GridNoise(0.5, 1, levels, quantise=True)
    x = np.random.default_rng(levels).random(500, dtype=np.float32)
    nearest = np.rint(x.astype(np.float64) * levels).astype(np.float32) / np.float32(levels)
    assert not on_grid(x, levels)
    found = draw(noise, x, 50)
    np.testing.assert_array_equal(found, draw(noise, nearest, 50))
    assert on_grid(found, levels)


def test_without_being_asked_it_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match=r'no multiple of 1/255 .*noise="quantised"'):
        draw(GridNoise(0.5, 0), np.array([0.1], np.float32), 1)


@pytest.mark.parametrize("value", [2.0**21, -(2.0**21), np.inf, np.nan])
def test_what_has_no_level_is_refused_all_the_same(value: float) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^x has the value"):
        draw(GridNoise(0.5, 0, 1, quantise=True), np.array([value], np.float32), 1)


def test_it_is_a_law_of_its_own() -> None:
    plain, quantised = GridNoise(0.5, 0), GridNoise(0.5, 0, quantise=True)
    assert quantised.law == "quantised-1/255/1"
    assert quantised.digest != plain.digest
    assert quantised.total_variation(3072) == plain.total_variation(3072)
    assert "x_q" in quantised.premise
    assert "x_q" not in plain.premise
    again = noise_of_law(quantised.law, 0.5, 0)
    assert again is not None
    assert again.digest == quantised.digest


@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=50), st.integers(1, 4096))
@settings(max_examples=100, deadline=None)
def test_the_distance_is_never_too_small(values: list[float], levels: int) -> None:
    """Against exact rational numbers; the noise of a quantised stream says which point it was."""
    x = np.array(values, np.float32)
    noise = GridNoise(0.1 / levels, 0, levels, quantise=True)  # steps of 0 only, nearly always
    point = [
        Fraction(int(np.rint(v * levels)), levels) for v in np.median(draw(noise, x, 9), axis=0).astype(float)
    ]
    exact = sum((Fraction(float(v)) - p) ** 2 for v, p in zip(x, point, strict=True))
    found = Fraction(float(distance_to_grid(x[None], levels)[0]))
    assert found**2 >= exact
    assert float(found) <= float(exact) ** 0.5 + 1e-13
    assert float(found) <= len(values) ** 0.5 / (2 * levels) * (1 + 1e-6) + 1e-6
