"""The limit that no valid incremental bound exceeds: its tests against closed forms, and the bounds against it."""

from __future__ import annotations

import numpy as np
import pytest
from information_limit import World, disagreement, limit_radius, power
from scipy.stats import binom, multivariate_normal, norm

from smoothcert.bounds import certified_radius, joint_lower_bound


def test_power_without_losses_and_gains_is_the_binomial_tests() -> None:
    world, null, alpha = World(0.8, 0.01, 0.02, 500, 50), World(0.72, 0.01, 0.02, 500, 50), 0.01
    count = np.arange(501)
    tail = np.asarray(binom.sf(count - 1, 500, 0.72))
    first = int(np.argmax(tail <= alpha))
    coin = (alpha - tail[first]) / float(binom.pmf(first - 1, 500, 0.72))
    exact = float(binom.sf(first - 1, 500, 0.8)) + coin * float(binom.pmf(first - 1, 500, 0.8))
    assert power(world, null, alpha) == pytest.approx(exact, abs=1e-6)


def test_power_of_many_votes_is_the_normal_laws() -> None:
    world = World(0.7, 0.2, 0.3, 10**6, 10**5)
    variance = 0.7 * 0.3 * 0.5**2 / world.n + (0.7 * 0.2 * 0.8 + 0.3 * 0.3 * 0.7) / world.m
    null = world.null(world.candidate - 3 * np.sqrt(variance), losses=1.0)
    assert power(world, null, 0.01) == pytest.approx(norm.sf(norm.isf(0.01) - 3), abs=0.01)


def test_null_has_the_probability_that_is_asked_for() -> None:
    world = World(0.8, 0.01, 0.04, 10_000, 1000)
    for losses in (1.0, 100.0):
        assert world.null(0.77, losses).candidate == pytest.approx(0.77, abs=1e-9)


def test_disagreement_is_the_bivariate_normals() -> None:
    p, rho = 0.8, 0.9
    z = norm.ppf(p)
    both = multivariate_normal([0, 0], [[1, rho], [rho, 1]]).cdf([z, z])
    a, b = disagreement(np.array([p]), rho)
    assert a[0] == pytest.approx((p - both) / p, rel=1e-4)
    assert b[0] == pytest.approx((p - both) / (1 - p), rel=1e-4)


def test_the_joint_bound_stays_below_the_limit_and_comes_near() -> None:
    n, m, alpha, p, a, b = 10_000, 1000, 0.002, 0.8, 0.006, 0.024
    limit = limit_radius(np.array([p]), np.array([a]), np.array([b]), n, m, alpha, 1.0)[0]
    rng = np.random.default_rng(0)
    k1 = rng.binomial(m, p, 300)
    K = k1 + rng.binomial(n - m, p, 300)
    bound = joint_lower_bound(K, n, k1, rng.binomial(k1, a), rng.binomial(m - k1, b), m, alpha)
    mean = certified_radius(bound, 1.0).mean()
    assert 0.9 * limit < mean < limit < norm.ppf(p)
