from __future__ import annotations

import mpmath
import numpy as np
import pytest

from smoothcert.bounds import certified_radius, lower_confidence_bound
from smoothcert.surrogate.prediction import error_features, fit_error_scale, predict_shares, sampling_probit


@pytest.mark.parametrize("gap", [0.0, 1.0, 10.0, 30.0, 80.0])
def test_probits_keep_their_digits_close_to_one(gap: float) -> None:
    predicted = predict_shares(np.array([[gap, 0.0, -1.0]]), 3)
    with mpmath.workdps(60):
        rest = (1 + mpmath.exp(-1)) / (mpmath.exp(gap) + 1 + mpmath.exp(-1))
        exact = mpmath.sqrt(2) * mpmath.erfinv(1 - 2 * rest)
    assert predicted.probit[0] == pytest.approx(float(exact), rel=1e-9, abs=1e-12)


def test_a_column_for_invalid_votes_is_no_class() -> None:
    predicted = predict_shares(np.log([[0.2, 0.1, 0.7], [0.5, 0.3, 0.2]]), 2)
    np.testing.assert_array_equal(predicted.top_class, [0, 0])
    np.testing.assert_allclose(predicted.shares, [[0.2, 0.1], [0.5, 0.3]])
    assert predicted.probit[0] < 0


def test_sampling_radii_are_those_of_whole_counts_rounded_down() -> None:
    share = np.array([0.6, 0.6009, 0.601, 1.0, 0.7, 0.58])
    count = np.array([600, 600, 601, 1000, 700, 580])
    radius = certified_radius(lower_confidence_bound(count, 1000, 0.001), 1.0)
    np.testing.assert_allclose(sampling_probit(share, 1000, 0.001), radius, rtol=1e-9)


def test_the_scale_of_errors_is_learned() -> None:
    rng = np.random.default_rng(0)
    shares = rng.dirichlet(np.full(5, 0.3), 4000)
    features = error_features(shares)
    truth = np.exp(-1.5 + 0.4 * features[:, 0] / 2)
    scale = fit_error_scale(features, rng.laplace(0, truth))
    found = scale(features)
    assert np.abs(np.log(found / truth)).mean() < 0.1
    assert np.corrcoef(np.log(found), np.log(truth))[0, 1] > 0.9


def test_constant_features_and_errors_of_zero_are_no_trouble() -> None:
    features = error_features(np.full((30, 3), 1 / 3))
    assert np.isfinite(fit_error_scale(features, np.zeros(30))(features)).all()
