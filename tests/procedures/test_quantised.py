"""Inputs off the grid that are rounded to it once, on request."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest

import smoothcert as sc
from closed_form import half_space
from smoothcert.errors import InvalidArgumentError
from smoothcert.noise import GridNoise, distance_to_grid

LEVELS = 20
NOISE = GridNoise(0.25, 0, LEVELS, quantise=True)
AT = 0.5 + 0.5 / LEVELS  # half-way between grid points, where the probabilities are exactly normal
X = np.random.default_rng(0).random((40, 3), dtype=np.float32)


def test_the_certificate_is_about_the_rounded_input_and_says_so() -> None:
    run = sc.certify(half_space(AT), X, sigma=0.25, n=20_000, noise=NOISE)
    found = run.certificates
    rounded = np.rint(X.astype(np.float64) * LEVELS) / LEVELS
    truth = np.abs(rounded[:, 0] - AT)
    assert binomtest(int((found.radius > truth).sum()), len(X), found.alpha, alternative="greater").pvalue > 1e-4
    assert (found.radius[truth > 0.1] > 0.9 * truth[truth > 0.1]).all()
    assert (found.prediction == (rounded[:, 0] > AT))[found.certified].all()
    assert found.noise == f"quantised-1/{LEVELS}/1"
    assert "about x_q, each input x rounded to multiples of 1/20" in found.premise
    # For many the claim would be false about x itself; less the distance it is not.
    around_x = np.abs(X[:, 0].astype(np.float64) - AT)
    assert (found.radius > around_x).sum() > 5
    assert (found.radius - distance_to_grid(X, LEVELS) <= around_x)[found.radius <= truth].all()


def test_a_cache_of_rounded_inputs_is_found_again_by_the_inputs_as_they_were(tmp_path: Path) -> None:
    run = sc.certify(half_space(AT), X, sigma=0.25, n=500, noise=NOISE, cache=tmp_path / "base")
    again = sc.recertify(half_space(AT), X, cache=tmp_path / "base", n_p=500)
    assert again.certificates.noise == run.certificates.noise
    assert "x_q" in again.certificates.premise


def test_predict_takes_them_too() -> None:
    labels = sc.predict(half_space(AT), X, sigma=0.25, noise=NOISE)
    rounded = np.rint(X[:, 0] * LEVELS) / LEVELS
    assert (labels == (rounded > AT))[labels >= 0].all()
    with pytest.raises(InvalidArgumentError, match=r"x\[0\] .* take noise='quantised'"):
        sc.predict(half_space(AT), X, sigma=0.25, noise=GridNoise(0.25, 0, LEVELS))


def test_a_stream_of_another_sigma_or_seed_is_refused() -> None:
    for call in ({"sigma": 0.5}, {"sigma": 0.25, "seed": 1}):
        with pytest.raises(InvalidArgumentError, match=r"noise is a stream of sigma = 0\.25 and seed = 0, but"):
            sc.certify(half_space(AT), X, noise=NOISE, **call)  # type: ignore[arg-type]
