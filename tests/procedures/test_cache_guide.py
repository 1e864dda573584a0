"""A cache as a guide: valid whatever model made it, worth samples, refused where it saw what is counted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest

import smoothcert as sc
from closed_form import half_space, opposite
from folders import contents
from interruptions import halfway
from smoothcert.errors import CacheMismatchError, InvalidArgumentError

SIGMA, ALPHA = 0.25, 0.05
X = np.random.default_rng(0).uniform(0.3, 1.0, (120, 1)) * np.ones((1, 3))


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An older version, whose boundary lay elsewhere by a tenth of sigma."""
    folder = tmp_path_factory.mktemp("guide") / "old"
    sc.certify(half_space(0.525), X, sigma=SIGMA, n0=50, n=2000, seed=9, cache=folder)
    return folder


def guided(guide: Path | sc.CacheGuide | None, **changes: object) -> sc.CertificationRun:
    call: dict[str, object] = {"budget": 120 * 600, "sigma": SIGMA, "guide": guide, "seed": 1, **changes}
    return sc.certify_with_budget(half_space(), X, **call)  # type: ignore[arg-type]


def test_samples_go_where_the_cache_says_that_they_pay(old: Path) -> None:
    run = guided(old)
    far, lost = X[:, 0] > 0.8, X[:, 0] < 0.32
    assert run.certificates.method == "guided"
    assert 0.97 * 120 * 600 < run.timing.samples <= 120 * 600
    assert run.certificates.n[far].mean() > 1.5 * run.certificates.n[~far].mean()
    assert run.certificates.n[lost].mean() > run.certificates.n[np.abs(X[:, 0] - 0.5) < 0.02].mean()
    assert guided(str(old)).certificates.n.tolist() == run.certificates.n.tolist()  # type: ignore[arg-type]


def test_it_certifies_more_than_one_n_for_all(old: Path) -> None:
    """At the same samples, selection included; the guide's class needs no selection at all."""
    even = sc.certify(half_space(), X, sigma=SIGMA, n0=100, n=100, seed=1).certificates.radius.mean()
    assert guided(old, budget=120 * 200).certificates.radius.mean() > 1.05 * even
    assert guided(old, budget=120 * 200, n0=0).certificates.radius.mean() > 1.2 * even


@pytest.mark.parametrize("kind", ["older", "opposite"])
@pytest.mark.parametrize("n0", [0, 20])
def test_no_more_false_certificates_than_alpha(tmp_path: Path, kind: str, n0: int) -> None:
    """Close to the boundary a share alpha of the bounds is above the truth; a guide that is wrong adds none."""
    m = 2500
    x = np.full((m, 3), 0.6)
    x[:, 2] = np.linspace(0, 1, m)
    f = half_space(0.525)
    guide = tmp_path / "old"
    sc.certify(f if kind == "older" else opposite(f), x, sigma=SIGMA, n0=20, n=60, seed=9, cache=guide)
    budget = m * (n0 + 100)
    run = sc.certify_with_budget(half_space(), x, budget, sigma=SIGMA, guide=guide, n0=n0, alpha=ALPHA, seed=1)
    c = run.certificates
    false = int((c.certified & ((c.radius > 0.1) | (c.prediction != 1))).sum())
    assert len(np.unique(c.n)) > 3
    assert binomtest(false, m, ALPHA, alternative="greater").pvalue > 1e-4
    if kind == "older" or n0:
        assert false > 0.3 * ALPHA * m, "the count can fail"
    else:
        assert not (c.prediction == 0).any(), "the guide's class has a third of the votes"


def test_a_radius_draws_the_samples(old: Path) -> None:
    at = guided(sc.CacheGuide(old, radius=0.3)).certificates
    mean = guided(old).certificates
    assert (at.radius >= 0.3).sum() > (mean.radius >= 0.3).sum()


def test_an_interrupted_run_continues_and_another_guide_does_not(old: Path, tmp_path: Path) -> None:
    large = {"budget": 120 * 3000}
    whole = guided(old, cache=tmp_path / "whole", **large)
    with pytest.raises(KeyboardInterrupt):
        guided(old, cache=tmp_path / "out", progress=halfway, **large)
    again = guided(old, cache=tmp_path / "out", **large)
    assert 0 < again.timing.samples < whole.timing.samples
    np.testing.assert_array_equal(again.tally.counts, whole.tally.counts)
    before = contents(tmp_path / "out")
    with pytest.raises(CacheMismatchError, match=r"spread = 0\.15, but the call has 0\.3"):
        guided(sc.CacheGuide(old, spread=0.3), cache=tmp_path / "out", **large)
    with pytest.raises(CacheMismatchError, match=r"n = 2900, but the call has 700"):
        guided(old, cache=tmp_path / "out", budget=120 * 800)
    assert contents(tmp_path / "out") == before


def test_what_does_not_fit_is_refused_before_any_sampling(old: Path, tmp_path: Path) -> None:
    def untouched(*_: int) -> None:
        raise AssertionError

    changes: list[tuple[dict[str, object], type[Exception], str]] = [
        ({"seed": 9}, InvalidArgumentError, "seed is 9, which is that of .* give another seed"),
        ({"guide": tmp_path / "none"}, CacheMismatchError, "holds no certification cache"),
        ({"guide": sc.CacheGuide(old, least=5)}, InvalidArgumentError, "least is 5"),
        ({"budget": 120 * 101}, InvalidArgumentError, "budget is 12120 for 120 inputs"),
    ]
    for change, error, message in changes:
        with pytest.raises(error, match=message):
            guided(**{"guide": old, "progress": untouched, **change})  # type: ignore[arg-type]
    with pytest.raises(CacheMismatchError, match=r"x\[0\] is not in"):
        sc.certify_with_budget(half_space(), X[:5] / 2, 5000, sigma=SIGMA, guide=old, seed=1)
    with pytest.raises(CacheMismatchError, match=r"made with sigma = 0\.25, but the call has 0\.5"):
        sc.certify_with_budget(half_space(), X, 120 * 600, sigma=0.5, guide=old, seed=1)
    with pytest.raises(InvalidArgumentError, match=r"spread is 0\.0"):
        sc.CacheGuide(old, spread=0.0)
    with pytest.raises(InvalidArgumentError, match=r"radius is -1\.0"):
        sc.CacheGuide(old, radius=-1.0)
    with pytest.raises(CacheMismatchError, match="made with num_classes = 2, but the call has 3"):
        sc.certify_with_budget(half_space(num_classes=3), X, 120 * 600, sigma=SIGMA, guide=old, seed=1)


def test_votes_of_the_fitting_purpose_may_share_the_seed(tmp_path: Path) -> None:
    """They are on noise of their own, and without a selection the class with most of them is expected."""
    sc.collect_votes(half_space(), X, sigma=SIGMA, n=500, seed=1, cache=tmp_path / "votes")
    c = guided(tmp_path / "votes", n0=0).certificates
    far = np.abs(X[:, 0] - 0.5) > 0.1
    np.testing.assert_array_equal(c.top_class[far], X[far, 0] > 0.5)
    assert c.n[X[:, 0] > 0.8].mean() > 1.5 * c.n[~far].mean()
