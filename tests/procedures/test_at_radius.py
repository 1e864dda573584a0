"""Certification at one radius: right where the truth is known, wrong no more often than alpha, never lost."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.special import ndtr
from scipy.stats import binomtest

import smoothcert as sc
from closed_form import constant, half_space, invalid
from interruptions import interrupted
from smoothcert.bounds import certified_radius
from smoothcert.errors import CacheMismatchError, InvalidArgumentError
from smoothcert.noise import GaussianNoise, GridNoise
from smoothcert.procedures import certify_at_radius
from smoothcert.procedures.threshold import threshold_of

X = np.linspace(0.1, 0.9, 9).reshape(9, 1) * np.ones((1, 4))
CALL = {"radius": 0.15, "sigma": 0.5, "n": 20_000, "seed": 3}


def run(**changes: object) -> sc.CertificationRun:
    call: dict[str, object] = {"classifier": half_space(0.52), "x": X, **CALL, **changes}
    return certify_at_radius(call.pop("classifier"), call.pop("x"), **call)  # type: ignore[arg-type]


def test_it_finds_who_is_certified_at_the_radius() -> None:
    found = run().certificates
    truth = np.abs(X[:, 0] - 0.52)
    far = np.abs(truth - 0.15) > 0.025
    np.testing.assert_array_equal(found.certified[far], (truth > 0.15)[far])
    assert (found.certified <= (truth >= 0.15)).all()
    np.testing.assert_array_equal(found.prediction[found.certified], (X[:, 0] > 0.52)[found.certified])
    np.testing.assert_array_equal(found.radius, np.where(found.certified, 0.15, 0))
    assert set(found.reason) == {"", "not certified at 0.15"}
    assert found.method == "sequential"
    assert found.alpha == pytest.approx(sum(found.alpha_split.values()))


def test_samples_are_counted_and_few() -> None:
    result = run()
    found = result.certificates
    np.testing.assert_array_equal(result.tally.counts.sum(axis=1), found.n)
    assert result.timing.samples == found.n.sum() + 9 * 100
    assert (found.n[np.abs(X[:, 0] - 0.52) > 0.3] < 400).all()
    assert found.n.max() <= 20_000


def test_an_input_does_not_depend_on_the_others_or_the_batches() -> None:
    together = run(noise="gaussian").certificates
    for i in (0, 3, 8):
        alone = run(x=X[i : i + 1], noise="gaussian", batch_size=7).certificates
        for name in ("prediction", "n", "count", "radius"):
            assert getattr(alone, name)[0] == getattr(together, name)[i]


@pytest.mark.parametrize("calls", [2, 8, 20])
def test_an_interrupted_run_ends_the_same(tmp_path: Path, calls: int) -> None:
    whole = run()
    with pytest.raises(KeyboardInterrupt):
        run(classifier=interrupted(half_space(0.52), calls + 3), cache=tmp_path / "r")
    again = run(cache=tmp_path / "r")
    for name, values in whole.certificates.columns().items():
        np.testing.assert_array_equal(again.certificates.columns()[name], values)
    assert again.timing.samples <= whole.timing.samples
    assert run(cache=tmp_path / "r").timing.samples == 0


def test_a_folder_serves_one_call(tmp_path: Path) -> None:
    run(cache=tmp_path / "r")
    for change, message in (
        ({"radius": 0.2}, "radius = 0.15"),
        ({"n": 10_000}, "n = 20000"),
        ({"sigma": 0.25}, "sigma"),
        ({"x": X[:3]}, "other inputs"),
        ({"alpha": 0.01}, "alpha"),
    ):
        with pytest.raises(CacheMismatchError, match=message):
            run(cache=tmp_path / "r", **change)
    with pytest.raises(CacheMismatchError, match="samples in rounds"):
        sc.recertify(half_space(0.52), X, cache=tmp_path / "r", n_p=100)


@pytest.mark.parametrize("noise", ["gaussian", "grid"])
def test_it_errs_at_most_alpha_at_the_boundary(noise: str) -> None:
    """Inputs exactly at the radius, which differ in a coordinate that the classifier does not look at."""
    levels = 255
    distance = 40.5 / levels
    x = np.full((1500, 3), 200 / levels)
    x[:, 2] = np.rint(np.linspace(0, 1, 1500) * levels) / levels
    result = run(
        classifier=half_space(200 / levels - distance),
        x=x,
        radius=distance * (1 + 1e-12),
        sigma=0.25,
        n0=20,
        n=200,
        alpha=0.05,
        noise=noise,
    )
    false = int(result.certificates.certified.sum())
    assert binomtest(false, 1500, 0.05, alternative="greater").pvalue > 1e-3
    assert false > 0.01 * 1500, "it could fail: half of alpha pays for the last look, where bounds are exact"


@pytest.mark.parametrize("noise", ["gaussian", "grid"])
def test_the_bound_is_what_the_radius_needs_or_nothing(noise: str) -> None:
    """Under exact noise: what the grid costs is paid before."""
    x = np.rint(X * 255) / 255
    found = run(x=x, noise=noise).certificates
    assert 0 < found.certified.sum() < len(x)
    np.testing.assert_allclose(found.p_lower[found.certified], ndtr(0.15 / 0.5), rtol=1e-12)
    np.testing.assert_array_equal(found.p_lower[~found.certified], 0)


def test_radius_zero_certifies_the_class() -> None:
    found = run(radius=0.0).certificates
    far = np.abs(X[:, 0] - 0.52) > 0.03
    np.testing.assert_array_equal(found.prediction[far], (X[:, 0] > 0.52)[far])
    assert (found.radius == 0).all()


def test_nothing_but_invalid_votes_is_not_sampled_on() -> None:
    found = run(classifier=invalid()).certificates
    assert found.prediction.tolist() == [-1] * 9
    assert found.n.tolist() == [0] * 9
    assert set(found.reason) == {"no valid selection vote"}


def test_the_threshold_is_rounded_up_and_pays_for_the_grid() -> None:
    for r, sigma in ((0.0, 0.5), (0.25, 0.25), (1.3, 0.5), (2.6, 0.5), (1.0, 0.2)):
        p0, drawn = threshold_of(r, GaussianNoise(sigma, 0), 3072)
        assert p0 == drawn
        assert p0 > ndtr(r / sigma) - 1e-16
        assert certified_radius(p0, sigma) >= r * (1 - 1e-9)
        assert 1 - p0 == pytest.approx(ndtr(-r / sigma), rel=1e-6)
    grid = GridNoise(0.5, 0)
    p0, drawn = threshold_of(0.5, grid, 3072)
    assert drawn - p0 >= grid.total_variation(3072) > 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"radius": -0.1}, "radius is -0.1"),
        ({"radius": float("nan")}, "radius is nan"),
        ({"radius": True}, "radius is True"),
        (
            {"radius": 2.0, "n": 1000},
            r"radius is 2: with n = 1000, .* even unanimous votes certify no more than 1.2",
        ),
        ({"radius": 0.0, "n": 5}, "no more than 0; ask for less, or use more samples"),
        ({"n": 0}, "n is 0"),
        ({"alpha": 2}, "alpha is 2"),
    ],
)
def test_bad_arguments_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        run(**change)


def test_the_largest_radius_named_can_be_reached() -> None:
    with pytest.raises(InvalidArgumentError, match="no more than") as caught:
        run(radius=3.0, n=1000, noise="gaussian")
    largest = float(str(caught.value).split("no more than ")[1].split(";")[0])
    x = np.full((1, 4), 0.9)
    assert run(classifier=constant(1), x=x, radius=largest, n=1000, noise="gaussian").certificates.certified.all()
