"""The paper's tables as functions of a run, against numbers worked out by hand and closed forms."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from calibration_study import study_calibration, study_table
from closed_form_surrogate import SIGMA, Wrong, classifier, inputs, surrogate, votes
from scipy.special import ndtr, ndtri
from scipy.stats import beta

import smoothcert as sc
from smoothcert.errors import CacheMismatchError, InvalidArgumentError
from smoothcert.evaluation.cached_votes import read_sampled
from smoothcert.evaluation.estimation import estimation_errors, sampling_variance
from smoothcert.evaluation.surrogate_evaluation import evaluate_surrogate, guided_curve
from smoothcert.reporting.surrogate_evaluation import (
    accuracy_table,
    errors_table,
    evaluation_json,
    guided_table,
    variance_table,
    write_evaluation,
)
from smoothcert.reporting.tables import cells
from smoothcert.surrogate import plan_samples


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of 120 inputs of the closed-form classifier, n = 2,000."""
    folder = tmp_path_factory.mktemp("base")
    sc.certify(classifier(), inputs(120, 0), sigma=SIGMA, n0=100, n=2000, cache=folder)
    return folder


def _labels(m: int) -> np.ndarray:
    return (inputs(m, 0)[:, 0] > 0.5).astype(np.int64)


def test_errors_are_those_worked_out_by_hand() -> None:
    def claims(*radius: float) -> SimpleNamespace:
        return SimpleNamespace(prediction=np.zeros(len(radius), np.int64), radius=np.array(radius))

    errors = estimation_errors(claims(0.3, 0.4, 0.9, 0.9, 0.2, 0.5), claims(0.5, 0.5, 0.6, 0.75, 0.9, 0.5))
    assert errors.under.share == pytest.approx(2 / 6)
    assert errors.under.percentage_error == pytest.approx((40 + 20) / 2)
    assert errors.under.mean_radius == pytest.approx(0.5)
    assert errors.under.mean_error == pytest.approx(0.15)
    assert errors.under.error_variance == pytest.approx(0.05**2)
    assert errors.over.percentage_error == pytest.approx((50 + 20) / 2)
    assert errors.over.mean_radius == pytest.approx(0.675)
    assert np.isnan(estimation_errors(claims(0.1), claims(0.9)).under.percentage_error)


def test_sampling_variance_is_that_of_binomial_counts(base: Path) -> None:
    x = inputs(120, 0)
    sampled = read_sampled(base, x, _labels(120))
    p = ndtr((x[:, 0].astype(np.float64) - 0.5) / SIGMA)
    found = sampling_variance(sampled.votes, 2, repeats=40)
    np.testing.assert_allclose(found, [(p * (1 - p)).mean()] * 2, rtol=0.06)
    for repeats in (1, 2001):
        with pytest.raises(InvalidArgumentError, match="repeats"):
            sampling_variance(sampled.votes, 2, repeats=repeats)


def test_sampling_in_the_evaluation_is_certify(base: Path) -> None:
    x, y = inputs(120, 0), _labels(120)
    found = evaluate_surrogate(surrogate(Wrong(0.0)), base, x, y)
    for n in (100, 2000):
        alone = sc.certify(classifier(), x, sigma=SIGMA, n0=100, n=n).certificates
        np.testing.assert_array_equal(found.certificates[f"sampling, n = {n}"].radius, alone.radius)
    by_samples = sc.certify_with_surrogate(surrogate(Wrong(0.0)), x, n0=0, n=2000).certificates
    np.testing.assert_array_equal(found.certificates["surrogate, n0 = 0"].radius, by_samples.radius)
    assert {c.guarantee for name, c in found.certificates.items() if name.startswith("surr")} == {"estimated"}
    # A surrogate that is right is as far from sampling as sampling is from the truth.
    assert found.agreement > 0.97
    assert found.errors.under.percentage_error < 10 > found.errors.over.percentage_error


def test_inputs_that_were_fitted_or_calibrated_are_left_out(base: Path) -> None:
    h = surrogate(Wrong(0.0))
    known = np.frombuffer(b"".join(read_sampled(base, inputs(120, 0), _labels(120)).keys[:30]), np.uint8)
    fitted = sc.Surrogate(
        module=h.module, record=h.record, keys=known.reshape(30, 32), held_out_probit=h.held_out_probit
    )
    x = inputs(120, 0)
    calibration = sc.calibrate_surrogate(fitted, votes(x[30:100], 300, 1), miss=0.1, beta=0.1, groups=1)
    found = evaluate_surrogate(fitted, base, x, _labels(120), calibration=calibration)
    assert (found.left_out, len(found.y)) == (100, 20)
    assert found.certificates["calibrated, n0 = 0"].guarantee == "calibrated"
    with pytest.raises(InvalidArgumentError, match="all 100 inputs"):
        evaluate_surrogate(fitted, base, x[:100], _labels(100), calibration=calibration)


def test_guided_curves_spend_what_they_say(base: Path) -> None:
    x = inputs(120, 0)
    sampled = read_sampled(base, x, _labels(120))
    points = guided_curve(surrogate(Wrong(0.0)).predict(x), sampled, [50, 200], 0.001)
    assert [p.n for p in points] == [50, 200]
    for p in points:
        assert 0.95 * 120 * p.n < p.samples <= 120 * p.n
        assert p.guided > 0.97 * p.uniform


def test_guided_without_selection_certifies_the_surrogates_class(base: Path) -> None:
    x, y = inputs(120, 0), _labels(120)
    predicted, sampled = surrogate(Wrong(3.0)).predict(x), read_sampled(base, x, y)
    (point,) = guided_curve(predicted, sampled, [100], 0.001)
    sizes, top = plan_samples(predicted, 100, 0.001, most=2000), predicted.top_class
    counts = np.array([(row[:n] == c).sum() for row, n, c in zip(sampled.votes, sizes, top, strict=True)])
    radii = sc.certified_radius(sc.lower_confidence_bound(counts, sizes, 0.001), SIGMA)
    expected = np.mean(radii * (top == y))
    assert point.unselected == pytest.approx(expected, rel=1e-9)
    assert point.unselected < point.guided


def test_tables_name_the_guarantee_of_every_radius(base: Path, tmp_path: Path) -> None:
    h, x, y = surrogate(Wrong(0.2)), inputs(120, 0), _labels(120)
    calibration = sc.calibrate_surrogate(h, votes(inputs(300, 7), 300, 1), miss=0.1, beta=0.1)
    found = evaluate_surrogate(h, base, x, y, calibration=calibration)
    table = cells(accuracy_table(found))
    assert [row[1] for row in table] == ["certified"] * 2 + ["estimated"] * 2 + ["calibrated"] * 2
    z = (x[:, 0].astype(np.float64) - 0.5) / SIGMA
    z += 0.2 * np.sin(1e4 * x[:, 1].astype(np.float64))  # what Wrong(0.2) predicts
    k = np.floor(2000 * ndtr(np.abs(z)))
    radius = SIGMA * np.maximum(ndtri(beta.ppf(0.001, k, 2000 - k + 1)), 0)
    assert table[3][0] == "surrogate, n0 = 0"
    assert float(table[3][-2]) == pytest.approx(np.mean(radius * ((z > 0) == y)), abs=2e-4)
    assert len(cells(accuracy_table(found, [0.1]))[0]) == 5
    assert [row[0] for row in cells(errors_table(found))] == ["under", "over"]
    assert len(cells(variance_table(found))[0]) == 3
    assert len(cells(guided_table(found))) == len(found.guided)
    assert evaluation_json(found)["accuracy"][2]["guarantee"] == "estimated"
    files = write_evaluation(found, tmp_path / "report")
    assert all(path.stat().st_size > 0 for path in files)
    assert (tmp_path / "report" / "radii-calibrated-calibrated-n0-0.csv") in files
    study = study_calibration(h, votes(inputs(300, 8), 300, 1), miss=0.1, beta=0.1, groups=2, splits=5)
    assert len(cells(study_table({"two groups": study}))[0]) == 9


def test_misfits_are_refused(base: Path, tmp_path: Path) -> None:
    h, x, y = surrogate(Wrong(0.0)), inputs(120, 0), _labels(120)
    with pytest.raises(InvalidArgumentError, match=r"sigma = 0\.5, not for the 0\.25"):
        evaluate_surrogate(surrogate(Wrong(0.0), sigma=0.5), base, x, y)
    with pytest.raises(InvalidArgumentError, match="y has shape"):
        evaluate_surrogate(h, base, x, y[:5])
    with pytest.raises(CacheMismatchError, match="not in"):
        evaluate_surrogate(h, base, inputs(5, 77), y[:5])
    sc.collect_votes(classifier(), x, sigma=SIGMA, n=10, cache=tmp_path)
    with pytest.raises(InvalidArgumentError, match="no selection votes"):
        evaluate_surrogate(h, tmp_path, x, y)
    with pytest.raises(InvalidArgumentError, match="fitted to"):
        study_calibration(h, votes(inputs(3, 98), 300, 1), miss=0.1, beta=0.1)
