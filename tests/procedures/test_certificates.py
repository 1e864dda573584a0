"""From bounds to claims, against exact arithmetic."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from scipy.special import ndtri
from scipy.stats import beta

from smoothcert.noise import GaussianNoise, GridNoise
from smoothcert.procedures import cohen_certificates
from smoothcert.procedures.certificates import claims, under_exact_noise
from smoothcert.votes import Tally

SIZE = 150_528


def test_the_distance_of_the_noise_is_taken_off_and_rounded_down() -> None:
    noise = GridNoise(0.5, 0)
    delta = Fraction(noise.total_variation(SIZE))
    p = np.random.default_rng(0).random(500)
    for before, after in zip(p, under_exact_noise(p, noise, SIZE), strict=True):
        exact = max(Fraction(float(before)) - delta, Fraction(0))
        assert exact - Fraction(1, 2**52) < Fraction(float(after)) <= exact


def test_the_distance_of_the_noise_is_added_to_the_runner_up() -> None:
    """Where the others share what the top class leaves, so that their own bound counts."""
    noise, n = GridNoise(0.5, 0), 10_000
    counts = np.array([[n - 3600, 1200, 1200, 1200]])
    tally = Tally(selection=counts, counts=counts, n=np.array([n]))
    drawn, exact = (
        cohen_certificates(tally, 0.001, law, SIZE, runner_up=True) for law in (noise, GaussianNoise(0.5, 0))
    )
    assert drawn.runner_up is not None
    assert exact.runner_up is not None
    assert exact.runner_up[0] == pytest.approx(beta.ppf(1 - 0.0005, 1201, n - 1200), rel=1e-9)
    assert drawn.runner_up[0] - exact.runner_up[0] == pytest.approx(noise.total_variation(SIZE), rel=1e-3)
    p_A, p_B = drawn.p_lower[0], drawn.runner_up[0]
    assert drawn.radius[0] == pytest.approx(0.25 * (ndtri(p_A) - ndtri(p_B)), rel=1e-12)
    assert drawn.radius[0] < exact.radius[0]


def test_a_tie_claims_nothing() -> None:
    noise, above = GaussianNoise(0.5, 0), np.nextafter
    alone = claims(np.array([0.0, 0.5, above(0.5, 1)]), None, noise, 3)
    assert alone.made.tolist() == [False, False, True]
    against = claims(np.array([0.2, above(0.25, 1), 0.2501]), np.full(3, 0.25), noise, 3)
    assert against.made.tolist() == [False, False, True]
    assert against.radius[:2].tolist() == [0, 0] == alone.radius[:2].tolist()
