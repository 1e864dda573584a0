"""What certification from scratch is expected to need, held against certifications from drawn votes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

import smoothcert as sc
from closed_form import half_space
from smoothcert.bounds import allocate_samples, lower_confidence_bound
from smoothcert.evaluation.baselines import expected_curve, samples_from_scratch
from smoothcert.procedures import CacheGuide, predicted_from_cache

SIGMA, ALPHA, N, N_P = 0.25, 0.001, 10_000, 500
X = np.random.default_rng(5).random((60, 2), dtype=np.float32)
Y = (X[:, 0] > 0.5).astype(np.int64)
P = np.maximum(ndtr(np.abs(X[:, 0] - 0.503) / SIGMA), 0.5)  # of the candidate

Array = NDArray[np.float64]


@dataclass(frozen=True)
class World:
    run: sc.Recertification
    right: NDArray[np.bool_]

    @property
    def acr(self) -> float:
        return float((self.run.certificates.radius * self.right).mean())


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    cache = tmp_path_factory.mktemp("baselines") / "cache"
    sc.certify(half_space(), X, sigma=SIGMA, n=N, alpha=ALPHA, noise="gaussian", cache=cache)
    run = sc.recertify(half_space(0.503), X, cache=cache, n_p=N_P)
    return World(run, run.certificates.top_class == Y)


def acr_from_scratch(world: World, n: int | NDArray[np.int64]) -> float:
    """Certify from drawn votes of the candidate, often."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(60):
        bound = lower_confidence_bound(rng.binomial(n, P), n, 2 * ALPHA)
        found.append(SIGMA * np.maximum(ndtri(bound), 0) * world.right)
    return float(np.mean(found))


def test_both_baselines_reach_the_acr_with_the_samples_that_are_given(world: World) -> None:
    pairs, spent = world.run.pairs, float(world.run.pairs.m.mean())
    found = samples_from_scratch(pairs, world.run.certificates.radius, world.right, 2 * ALPHA, SIGMA)
    assert found is not None
    n = round(found.one_n.ratio * spent)
    assert acr_from_scratch(world, n) == pytest.approx(world.acr, rel=0.01)
    predicted = predicted_from_cache(pairs.count, N, CacheGuide.spread)
    sizes = allocate_samples(predicted, round(found.guided.ratio * spent), 2 * ALPHA)
    assert acr_from_scratch(world, sizes) == pytest.approx(world.acr, rel=0.01)
    assert 1 < found.guided.ratio < found.one_n.ratio
    for worth in (found.one_n, found.guided):
        assert worth.low < worth.ratio < worth.high
        assert worth.high < 2 * worth.low


def test_intervals_are_narrower_with_more_inputs(world: World) -> None:
    """By the root of their number, for the same inputs four times over."""

    def width(times: int) -> float:
        rows = np.tile(np.arange(len(X)), times)
        pairs = world.run.pairs.take(rows)
        found = samples_from_scratch(
            pairs, world.run.certificates.radius[rows], world.right[rows], 2 * ALPHA, SIGMA
        )
        assert found is not None
        return float(np.log(found.one_n.high / found.one_n.low))

    assert width(1) / width(4) == pytest.approx(2.0, rel=0.25)


def test_a_curve_from_scratch_is_that_of_drawn_votes(world: World) -> None:
    sizes = np.array([30, 300, 3000])
    curve = expected_curve(world.run.pairs, world.right, sizes, 2 * ALPHA, SIGMA, float)
    assert curve.cost.tolist() == sizes.tolist()
    np.testing.assert_allclose(curve.acr, [acr_from_scratch(world, int(n)) for n in sizes], rtol=0.03)


def test_without_a_certificate_there_is_nothing_to_compare(world: World, tmp_path: Path) -> None:
    nothing = np.zeros(len(X))
    assert samples_from_scratch(world.run.pairs, nothing, world.right, 2 * ALPHA, SIGMA) is None
