"""Certification under a budget: valid, within the budget, worth more than the same n for all, never lost."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import ndtri
from scipy.stats import binomtest

import smoothcert as sc
from closed_form import half_space, invalid
from interruptions import interrupted
from smoothcert.bounds import lower_confidence_bound
from smoothcert.errors import CacheMismatchError, InvalidArgumentError
from smoothcert.procedures.budget import divide_budget, pilot_samples

X = np.concatenate([np.full(8, 0.5), np.linspace(0.55, 0.95, 9)])[:, None] * np.ones((1, 4))
CALL = {"budget": 17 * 2000, "sigma": 0.25, "seed": 3}


def run(**changes: object) -> sc.CertificationRun:
    call: dict[str, object] = {"classifier": half_space(), "x": X, **CALL, **changes}
    return sc.certify_with_budget(call.pop("classifier"), call.pop("x"), **call)  # type: ignore[arg-type]


def test_samples_go_where_they_buy_radius() -> None:
    result = run()
    found = result.certificates
    assert result.timing.samples <= 17 * 2000
    assert result.timing.samples > 0.97 * 17 * 2000
    assert result.timing.samples == found.n.sum() + result.tally.selection.sum()
    assert np.median(found.n[:8]) < 1300, "x0 = 1/2 is on the boundary"
    assert found.n[8:].mean() > 2200
    assert (found.radius <= np.abs(X[:, 0] - 0.5)).all()
    assert found.method == "adaptive"
    assert dict(found.alpha_split) == {"base": 0.001}


def test_it_is_worth_more_than_the_same_n_for_all() -> None:
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.uniform(0.3, 0.5, 60), rng.uniform(0.5, 1.0, 60)])[:, None] * np.ones((1, 3))
    y = np.ones(120, np.int64)
    adaptive = run(x=x, budget=120 * 1000)
    fixed = sc.certify(half_space(), x, sigma=0.25, n=900, seed=3)
    assert adaptive.timing.samples <= fixed.timing.samples == 120 * 1000
    assert sc.average_certified_radius(adaptive.certificates, y) > sc.average_certified_radius(
        fixed.certificates, y
    )


@pytest.mark.parametrize("noise", ["gaussian", "grid"])
def test_it_errs_at_most_alpha(noise: str) -> None:
    """Every input at the same distance; all claims beyond it are false. Close to the bound's own rate."""
    levels, size = 255, 2500
    distance = 60.5 / levels
    x = np.full((size, 3), 200 / levels)
    x[:, 2] = np.rint(np.linspace(0, 1, size) * levels) / levels
    found = run(
        classifier=half_space(200 / levels - distance),
        x=x,
        n0=20,
        budget=size * 200,
        alpha=0.05,
        noise=noise,
        cache=None,
    ).certificates
    assert len(set(found.n.tolist())) > 3, "n was chosen from votes"
    false = int((found.certified & (found.radius > distance)).sum())
    assert binomtest(false, size, 0.05, alternative="greater").pvalue > 1e-3
    assert false > 0.02 * size, "it could fail"


@pytest.mark.parametrize("batch_size", [5, 400])
def test_results_do_not_depend_on_batches(batch_size: int) -> None:
    expected, found = run().certificates, run(batch_size=batch_size).certificates
    for name, values in expected.columns().items():
        np.testing.assert_array_equal(found.columns()[name], values)


@pytest.mark.parametrize("calls", [3, 6, 20])
def test_an_interrupted_run_ends_the_same(tmp_path: Path, calls: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smoothcert.votes.rounds.PART_VOTES", 4096)
    whole = run()
    with pytest.raises(KeyboardInterrupt):
        run(classifier=interrupted(half_space(), calls + 3), cache=tmp_path / "a")
    again = run(cache=tmp_path / "a")
    for name, values in whole.certificates.columns().items():
        np.testing.assert_array_equal(again.certificates.columns()[name], values)
    assert run(cache=tmp_path / "a").timing.samples == 0
    with pytest.raises(CacheMismatchError, match="budget = 34000"):
        run(cache=tmp_path / "a", budget=40_000)
    with pytest.raises(CacheMismatchError, match="name = 'adaptive'"):
        sc.certify_at_radius(half_space(), X, 0.1, sigma=0.25, n=34_000, seed=3, cache=tmp_path / "a")


def test_the_division_spends_the_budget_and_no_more() -> None:
    rng = np.random.default_rng(1)
    for budget in (11_000, 100_000, 10_000_000):
        p = rng.uniform(0.2, 1, 100)
        n0 = np.full(100, 100)
        count = rng.binomial(n0, p)
        more = pilot_samples(count, n0, budget)
        assert (more[p < 0.35] == 0).mean() > 0.7
        count, size = count + rng.binomial(more, p), n0 + more
        n = divide_budget(count, size, budget, 0.001)
        assert 0.9 * budget - 100 * 500 < n.sum() + size.sum() <= budget
        assert n.min() >= 10


def test_the_division_is_close_to_what_knowing_p_would_buy() -> None:
    rng = np.random.default_rng(2)
    p, budget = rng.beta(3, 1, 400), 400 * 3000

    def gained(n: NDArray[np.int64]) -> float:
        return float(
            np.maximum(ndtri(np.maximum(lower_confidence_bound(rng.binomial(n, p), n, 0.001), 0.5)), 0).mean()
        )

    n0 = np.full(400, 100)
    count = rng.binomial(n0, p)
    more = pilot_samples(count, n0, budget)
    chosen = gained(divide_budget(count + rng.binomial(more, p), n0 + more, budget, 0.001))
    known = gained(divide_budget((10**7 * p).astype(np.int64), np.full(400, 10**7), 400 * (10**7 + 2900), 0.001))
    fixed = gained(np.full(400, 2900))
    assert fixed < chosen
    assert chosen - fixed > 0.5 * (known - fixed)


def test_nothing_but_invalid_votes_abstains() -> None:
    found = run(classifier=invalid()).certificates
    assert set(found.prediction.tolist()) == {-1}
    assert set(found.reason) == {"no valid selection vote"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"budget": 17 * 110 - 1}, r"budget is 1869 for 17 inputs: .* use budget >= 1870"),
        ({"budget": None}, "budget is None"),
        ({"budget": 0}, "budget is 0"),
        ({"n0": 0}, "n0 is 0"),
    ],
)
def test_bad_arguments_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        run(**change)


def test_the_smallest_budget_works() -> None:
    assert run(budget=17 * 110).timing.samples == 17 * 110


def test_the_runner_up_can_be_bounded_too() -> None:
    found = run(runner_up=True).certificates
    assert found.runner_up is not None
    assert found.certified[-1]
