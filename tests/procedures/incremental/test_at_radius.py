"""Decisions at a radius from a cache: right where the truth is known, few samples, never lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binomtest

import smoothcert as sc
from closed_form import by_heart, half_space, opposite
from interruptions import interrupted
from smoothcert.errors import CacheMismatchError, InvalidArgumentError
from smoothcert.noise import input_keys
from smoothcert.procedures.incremental.at_radius import RadiusDecisions, _decisions
from smoothcert.procedures.incremental.opening import Opened
from smoothcert.votes import Progress, Quota, Smoothed
from smoothcert.votes.store import CertificationCache

X = np.linspace(0.1, 0.9, 17).reshape(17, 1) * np.ones((1, 4), np.float32)
SIGMA, N = 0.25, 4000


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("decision") / "cache"
    sc.certify(half_space(0.52), X, sigma=SIGMA, n=N, seed=3, cache=folder, noise="gaussian")
    return folder


def decide(
    store: CertificationCache,
    g: Smoothed,
    quota: Quota,
    radius: float,
    *,
    start: int = 0,
    folder: Path | None = None,
    progress: Progress | None = None,
) -> RadiusDecisions:
    opened = Opened(store, g, quota, range(start, start + quota.n), held_out=False, identical=False)
    return _decisions(opened, radius, folder, progress)


def run(
    cache: Path,
    candidate: sc.FunctionClassifier | None = None,
    *,
    x: NDArray[np.floating[Any]] = X,
    radius: float = 0.1,
    n_p: int = 2000,
    batch_size: int | None = None,
    start: int = 0,
    folder: Path | None = None,
    progress: Progress | None = None,
) -> RadiusDecisions:
    store = CertificationCache(cache)
    g = Smoothed(
        classifier=half_space(0.525) if candidate is None else candidate,
        inputs=x,
        keys=list(input_keys(x)),
        noise=store.manifest.noise(),
        batch_size=batch_size,
    )
    return decide(store, g, Quota(n0=0, n=n_p, alpha=0.002), radius, start=start, folder=folder, progress=progress)


def test_it_finds_who_is_still_certified(cache: Path) -> None:
    found = run(cache).certificates
    truth = np.where(X[:, 0] > 0.52, 1, -1) * (
        X[:, 0] - 0.525
    )  # the radius of the cached class under the candidate
    far = np.abs(truth - 0.1) > 0.03
    np.testing.assert_array_equal(found.certified[far], (truth > 0.1)[far])
    assert (truth[found.certified] >= 0.1).all()
    np.testing.assert_array_equal(found.prediction[found.certified], (X[:, 0] > 0.52)[found.certified])
    np.testing.assert_array_equal(found.radius, np.where(found.certified, 0.1, 0))
    assert found.n[far].mean() < 60
    assert set(found.reason) == {"", "not certified at 0.1"}
    assert found.alpha == pytest.approx(sum(found.alpha_split.values()))
    assert found.premise.startswith("the candidate was fixed without looking")


def test_samples_are_few_and_counted(cache: Path) -> None:
    decisions = run(cache)
    assert decisions.timing.samples == decisions.certificates.n.sum()
    assert (decisions.certificates.count <= decisions.certificates.n).all()
    assert decisions.certificates.n.max() <= 2000


def test_the_class_is_the_cached_one(cache: Path) -> None:
    """A candidate that turned into its opposite is not certified for its own class."""
    found = run(cache, opposite(half_space(0.52))).certificates
    assert not found.certified.any()
    store = CertificationCache(cache)
    assert found.top_class.tolist() == [store[key].top_class for key in input_keys(X)]


@pytest.mark.parametrize("batch_size", [1, 33, 1000])
def test_results_do_not_depend_on_batches(cache: Path, batch_size: int) -> None:
    expected, found = run(cache).certificates, run(cache, batch_size=batch_size).certificates
    for name, values in expected.columns().items():
        np.testing.assert_array_equal(found.columns()[name], values)


@pytest.mark.parametrize("calls", [0, 1, 3, 6])
def test_an_interrupted_run_ends_the_same(cache: Path, tmp_path: Path, calls: int) -> None:
    whole = run(cache)
    with pytest.raises(KeyboardInterrupt):
        run(cache, interrupted(half_space(0.525), calls), folder=tmp_path / "d", batch_size=200)
    again = run(cache, folder=tmp_path / "d")
    for name, values in whole.certificates.columns().items():
        np.testing.assert_array_equal(again.certificates.columns()[name], values)
    assert run(cache, folder=tmp_path / "d").timing.samples == 0
    with pytest.raises(CacheMismatchError, match=r"radius = 0\.1"):
        run(cache, folder=tmp_path / "d", radius=0.2)
    with pytest.raises(CacheMismatchError, match="is a certification cache"):
        run(cache, folder=cache)


def test_held_out_samples_are_the_only_ones_looked_at(cache: Path) -> None:
    """A candidate that learned the noise of the first samples by heart is found out on the others."""
    store = CertificationCache(cache)
    liar = by_heart(half_space(0.52), X, input_keys(X), store.manifest.noise(), 1000)
    assert run(cache, liar, n_p=1000).certificates.certified.sum() > 8
    assert not run(cache, liar, n_p=1000, start=1000).certificates.certified.any()


def test_it_errs_at_most_alpha_at_the_boundary(tmp_path: Path) -> None:
    size, radius = 800, 0.2
    x = np.full((size, 3), 0.7, np.float32)
    x[:, 2] = np.linspace(0, 1, size)
    at = float(x[0, 0])
    sc.certify(
        half_space(at - radius - 0.03),
        x,
        sigma=SIGMA,
        n0=20,
        n=500,
        alpha=0.025,
        cache=tmp_path / "c",
        noise="gaussian",
    )
    store = CertificationCache(tmp_path / "c")
    g = Smoothed(
        classifier=half_space(at - radius), inputs=x, keys=list(input_keys(x)), noise=store.manifest.noise()
    )
    found = decide(store, g, Quota(n0=0, n=250, alpha=0.05), radius * (1 + 1e-9)).certificates
    assert binomtest(int(found.certified.sum()), size, 0.05, alternative="greater").pvalue > 1e-3


def test_progress_is_shown(cache: Path) -> None:
    seen: list[tuple[int, int]] = []
    decisions = run(cache, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (decisions.timing.samples, decisions.timing.samples)
    assert all(done <= total for done, total in seen)


def test_a_radius_out_of_reach_is_refused_with_the_largest(cache: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="no more than") as caught:
        run(cache, radius=0.9, n_p=500)
    largest = float(str(caught.value).split("no more than ")[1].split(";")[0])
    assert 0.5 < largest < 0.9
    run(cache, x=X[:1], radius=largest, n_p=500)
    with pytest.raises(InvalidArgumentError, match="radius is nan"):
        sc.recertify_at_radius(half_space(0.525), X, float("nan"), cache=cache)
