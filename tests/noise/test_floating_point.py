"""A classifier that reads the rounding bits of x + noise is certified falsely with float noise, not on the grid.

After Voracek and Hein (ICLR 2023, arXiv:2207.07209): f(z) = 1 where (z - a) + a == z in float32. Every rounded sum
a + n passes that test, as it carries the rounding of a sum with a; sums with another input often do not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from smoothcert.bounds import certified_radius, lower_confidence_bound
from smoothcert.noise import GaussianNoise, GridNoise, NoiseStream, Purpose, input_keys

SIGMA, N, ALPHA = 0.5, 10_000, 0.001
Floats = NDArray[np.float32]


def carries_the_bits_of(a: Floats, z: Floats) -> NDArray[np.bool_]:
    """Return f(z) for each row of z: 1 if every coordinate passes."""
    passed: NDArray[np.bool_] = ((z - a) + a == z).all(axis=-1)
    return passed


@dataclass(frozen=True)
class Claim:
    """Class, radius, and how many votes class 1 had."""

    label: int
    radius: float
    ones: int


def certify(noise: NoiseStream, a: Floats, x: Floats) -> Claim:
    """Certify f at x: majority class, bound of its votes less the distance of the laws, radius."""
    out = np.empty((N, *x.shape), np.float32)
    noise.perturb(x, next(input_keys([x])), Purpose.ESTIMATION, 0, out)
    ones = int(carries_the_bits_of(a, out).sum())
    label = int(2 * ones > N)
    p_lower = lower_confidence_bound(max(ones, N - ones), N, ALPHA) - noise.total_variation(x.size)
    return Claim(label, float(certified_radius(p_lower, SIGMA)), ones)


def pixels(*levels: int) -> Floats:
    return np.array(levels, np.float32) / np.float32(255)


def test_float_noise_certifies_falsely_in_one_dimension() -> None:
    a, other = pixels(202), pixels(0)
    noise = GaussianNoise(SIGMA, 0)
    claim = certify(noise, a, a)
    assert claim.ones == N
    distance = float(np.linalg.norm(a - other))
    assert claim.radius > 1.5 > distance
    # The point is inside the radius, and the smoothed classifier is another one there (0.47 of the votes).
    assert stats.binomtest(certify(noise, a, other).ones, N, 0.5, "less").pvalue < 1e-6


def test_grid_noise_does_not_in_one_dimension() -> None:
    a, other = pixels(202), pixels(0)
    noise = GridNoise(SIGMA, 0)
    claim = certify(noise, a, a)
    assert claim.ones < N
    assert stats.binomtest(certify(noise, a, other).ones, N, 0.5, "less").pvalue < 1e-6
    assert claim.radius < float(np.linalg.norm(a - other))


def test_votes_under_grid_noise_are_those_of_one_function_of_x_plus_noise() -> None:
    """Its exact probabilities follow from f at the grid points alone, explain the votes, and are Lipschitz."""
    a, noise = pixels(202), GridNoise(SIGMA, 0)
    reach = len(noise._thresholds) // 2
    k = np.arange(-reach, reach + 1)
    cells = stats.norm.sf((np.abs(k) - 0.5) / (255 * SIGMA)) - stats.norm.sf((np.abs(k) + 0.5) / (255 * SIGMA))
    grid = pixels(*range(-reach, 256 + reach))
    f = carries_the_bits_of(a, grid[:, None])
    g = np.array([cells @ f[m : m + len(k)] for m in range(256)])
    for m in (0, 100, 201, 202, 203, 255):
        assert stats.binomtest(certify(noise, a, pixels(m)).ones, N, g[m]).pvalue > 1e-4
    # Smoothing's theorem for the exact probabilities: Phi^-1(g) moves by at most distance / sigma.
    quantile, x = stats.norm.ppf(g), np.arange(256) / 255
    moved = np.abs(quantile[:, None] - quantile[None, :])
    assert (moved <= np.abs(x[:, None] - x[None, :]) / SIGMA + 1e-9).all()
    # And no claim at a grid point contradicts the class at another.
    for m in (0, 60, 120, 202, 255):
        claim = certify(noise, a, pixels(m))
        near = np.abs(x - x[m]) <= claim.radius
        assert claim.radius == 0 or ((g[near] > 0.5) == bool(claim.label)).all()


@pytest.mark.parametrize("seed", [0, 1])
def test_in_48_dimensions_a_step_in_each_pixel_is_enough(seed: int) -> None:
    levels = np.random.default_rng(seed).integers(1, 255, 48)
    a, other = pixels(*levels), pixels(*(levels - 1))
    distance = float(np.linalg.norm(a - other))
    assert distance == pytest.approx(0.027, abs=3e-4)

    float_claim = certify(GaussianNoise(SIGMA, 0), a, a)
    assert float_claim.label == 1
    assert float_claim.radius > 1.2
    assert stats.binomtest(certify(GaussianNoise(SIGMA, 0), a, other).ones, N, 0.5, "less").pvalue < 1e-6

    grid = GridNoise(SIGMA, 0)
    claims = certify(grid, a, a), certify(grid, a, other)
    assert claims[0].label == claims[1].label or max(claims[0].radius, claims[1].radius) < distance
