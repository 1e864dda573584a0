"""Mistakes that nothing else shows are said in the summary."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binomtest

import smoothcert as sc
from closed_form import half_space, opposite
from smoothcert.bounds import largest_radius
from smoothcert.procedures.cautions import far_from_training, near_chance, odd_sigma, with_cautions

X = np.array([[0.55, 0.0], [0.9, 0.0], [0.95, 0.0]], np.float32)


def test_invalid_votes_are_counted() -> None:
    """f scores NaN left of x0 = 0.5: about the share Phi(-0.2) of the votes around 0.55."""

    def logits(batch: NDArray[np.float32]) -> NDArray[np.float32]:
        score = np.where(batch[:, 0] > 0.5, batch[:, 0], np.nan)
        return np.stack([score, 1 - score], axis=1)

    f = sc.FunctionClassifier(logits, num_classes=2, fingerprint="half of it is NaN")
    run = sc.certify(f, X[:1], sigma=0.25, n=1000)
    invalid = int((run.certificates.n - run.tally.counts.sum(axis=1)).sum())
    assert 300 < invalid < 550
    (caution,) = run.certificates.cautions
    assert caution.startswith(f"{invalid} of 1,000 votes, around 1 of 1 inputs, are invalid")
    assert run.summary().splitlines() == [run.certificates.claim(), f"caution: {caution}"]
    assert "1 caution, see summary()" in repr(run)


def test_nothing_is_said_of_what_is_usual() -> None:
    run = sc.certify(half_space(), X, sigma=0.25, n=100)
    assert run.certificates.cautions == ()
    assert run.summary() == run.certificates.claim()
    assert with_cautions(run.certificates, run.tally.counts, labels=np.array([1, 1, 1])) is run.certificates


def test_guesses_are_told_from_classes_that_are_only_few_or_hard() -> None:
    rng = np.random.default_rng(0)
    for m, k, accuracy in [
        (50, 10, 0.1),
        (50, 10, 0.3),
        (500, 1000, 0.2),
        (12, 2, 0.5),
        (2, 10, 0.0),
        (200, 2, 0.45),
    ]:
        labels = rng.integers(0, k, m)
        right = np.arange(m) < round(accuracy * m)
        said = near_chance(np.where(right, labels, (labels + 1) % k), labels, k)
        r = int(right.sum())
        guessing = binomtest(r, m, 1 / k, alternative="greater").pvalue > 0.01
        far_below = binomtest(r, m, (1 + 1 / k) / 2, alternative="less").pvalue <= 0.01
        assert bool(said) == (guessing and far_below)
        if said:
            assert said[0].startswith(f"accuracy {accuracy:.2f} on {m} labelled inputs, no better than guessing")
    assert near_chance(np.zeros(50, int), np.arange(50) % 10, 10)
    assert not near_chance(np.array([3]), np.array([4]), 10), "one wrong input says nothing"


def test_labels_in_another_order_are_noticed() -> None:
    x = np.tile(X[1:], (15, 1))
    run = sc.certify(half_space(), x, sigma=0.25, n=100)
    swapped = with_cautions(run.certificates, run.tally.counts, labels=np.zeros(30, int))
    assert "accuracy 0.00 on 30 labelled inputs" in swapped.summary()
    assert "labels in another order" in swapped.summary()


@pytest.mark.parametrize(
    ("sigma", "said"), [(0.25, ""), (2.0, ""), (1 / 255, ""), (12.5, "0.049"), (0.001, "no noise")]
)
def test_a_sigma_that_is_not_for_inputs_in_0_to_1(sigma: float, said: str) -> None:
    found = odd_sigma(sigma)
    assert bool(found) is bool(said)
    assert said in "".join(found)


def test_a_sigma_far_from_that_of_the_training() -> None:
    assert far_from_training(0.5, 0.25) and far_from_training(0.25, 0.5) and far_from_training(0.25, 0.0)
    assert not far_from_training(0.25, 0.25) and not far_from_training(0.5, 0.45)
    run = sc.certify(half_space(), X, sigma=2.5, n=100)
    assert "sigma is 2.5, but inputs are in [0, 1]" in run.summary()


@pytest.mark.parametrize("bound", ["auto", "joint", "irs", sc.Joint(runner_up=True)], ids=str)
@pytest.mark.parametrize("spread", ["budget", "even"])
def test_samples_that_cannot_show_the_radii_of_the_base(
    tmp_path: Path, bound: str | sc.Joint, spread: str
) -> None:
    """The base itself, as its own candidate, loses no vote: 40 samples still show less than 20,000 did."""
    f, x = half_space(), np.array([[0.9, 0.0], [0.95, 0.0], [0.52, 0.0]], np.float32)
    base = sc.certify(f, x, sigma=0.25, n=20_000, cache=tmp_path)
    if spread == "budget" and (bound == "irs" or isinstance(bound, sc.Joint)):
        pytest.skip("not proven")
    few = sc.recertify(f, x, cache=tmp_path, n_p=40, bound=bound, spread=spread)  # type: ignore[arg-type]
    (caution,) = few.certificates.cautions
    short = (few.certificates.n > 0) & (few.certificates.radius < 0.9 * base.certificates.radius)
    assert caution.startswith(f"{int(short[:2].sum())} of 3 inputs have radii with the base")
    assert (few.certificates.radius[:2] < base.certificates.radius[:2]).all()
    assert caution in few.summary()
    many = sc.recertify(f, x, cache=tmp_path, n_p=10_000, bound=bound, spread=spread)  # type: ignore[arg-type]
    assert many.certificates.cautions == ()


def test_what_few_samples_can_show_is_what_unanimous_ones_show(tmp_path: Path) -> None:
    """Where all cached votes agree, the candidate starts afresh: its limit is that of Clopper and Pearson."""
    f, x = half_space(), np.array([[5.5, 0.0]], np.float32) / 5.5
    base = sc.certify(f, x, sigma=0.1, n=5000, cache=tmp_path)
    assert (base.tally.count == 5000).all()
    few = sc.recertify(f, x, cache=tmp_path, n_p=100)
    shown = np.floor(largest_radius(100, 0.002, 0.1) * 1e3) / 1e3
    assert "1 of 1 inputs have radii with the base" in few.summary()
    assert f"{shown:g} at most from 100 samples" in few.summary()


@pytest.mark.parametrize("bound", ["joint", "irs"])
def test_a_bad_candidate_is_no_lack_of_samples(tmp_path: Path, bound: str) -> None:
    f, x = half_space(), X[1:]
    sc.certify(f, x, sigma=0.25, n=2000, cache=tmp_path)
    bad = sc.recertify(opposite(f), x, cache=tmp_path, n_p=1500, bound=bound, spread="even")  # type: ignore[arg-type]
    assert not bad.certificates.certified.any()
    assert bad.certificates.cautions == ()
