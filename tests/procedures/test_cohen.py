from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr, ndtri
from scipy.stats import beta, binomtest

import smoothcert as sc
from closed_form import constant, half_space, invalid, invalid_beyond, stripes
from smoothcert.errors import InvalidArgumentError
from smoothcert.noise import GaussianNoise, GridNoise
from smoothcert.procedures import cohen_certificates
from smoothcert.votes import Tally

X = np.linspace(0.1, 0.9, 9).reshape(9, 1) * np.ones((1, 4))


def test_certify_finds_the_closed_form_class_and_radius() -> None:
    run = sc.certify(half_space(0.52), X, sigma=0.5, n=20_000, seed=3)
    truth = np.abs(X[:, 0] - 0.52)
    far = truth > 0.03
    np.testing.assert_array_equal(run.certificates.prediction[far], (X[:, 0] > 0.52)[far])
    assert (run.certificates.radius <= truth).all()
    # 3.1 standard errors and the bound's own margin: well within 5 of them.
    p = ndtr(truth / 0.5)
    low = ndtri(np.maximum(p - 8 * np.sqrt(p * (1 - p) / 20_000), 0.5))
    assert (run.certificates.radius >= 0.5 * low).all()


def test_votes_follow_the_known_probability() -> None:
    run = sc.certify(half_space(0.52), X, sigma=0.5, n=20_000, seed=4)
    p = ndtr((X[:, 0] - 0.52) / 0.5)
    for votes, probability in zip(run.tally.counts[:, 1], p, strict=True):
        assert binomtest(int(votes), 20_000, float(probability)).pvalue > 1e-5


def test_many_inputs_at_once_are_the_same_as_one_by_one() -> None:
    together = sc.certify(half_space(0.52), X, sigma=0.5, n=500, seed=5, noise="gaussian")
    for i in range(len(X)):
        alone = sc.certify(
            half_space(0.52), X[i : i + 1], sigma=0.5, n=500, seed=5, noise="gaussian", batch_size=7
        )
        np.testing.assert_array_equal(alone.tally.counts[0], together.tally.counts[i])


def test_selection_and_estimation_noise_are_disjoint() -> None:
    """With the same noise, the selected class's share would be biased upwards: an even classifier shows it."""
    x = np.linspace(0, 1, 400).reshape(400, 1) * np.ones((1, 2))
    run = sc.certify(stripes(), x, sigma=0.5, n0=50, n=50, seed=6)
    assert binomtest(int(run.certificates.count.sum()), 400 * 50, 0.5).pvalue > 1e-4


def test_estimation_does_not_move_with_n0() -> None:
    few = sc.certify(half_space(0.52), X, sigma=0.5, n0=10, n=300, seed=7)
    many = sc.certify(half_space(0.52), X, sigma=0.5, n0=99, n=300, seed=7)
    np.testing.assert_array_equal(few.tally.counts, many.tally.counts)


counts_strategy = st.lists(st.integers(0, 400), min_size=3, max_size=3).filter(any)


@given(counts_strategy, counts_strategy, st.sampled_from([0.05, 0.001]))
@settings(max_examples=200, deadline=None)
def test_certificates_follow_algorithm_1(selection: list[int], counts: list[int], alpha: float) -> None:
    n = sum(counts)
    tally = Tally(selection=np.array([selection]), counts=np.array([counts]), n=np.array([n]))
    found = cohen_certificates(tally, alpha, GaussianNoise(0.5, 0), 4)
    c_A = int(np.argmax(selection))
    p_lower = 0.0 if counts[c_A] == 0 else float(beta.ppf(alpha, counts[c_A], n - counts[c_A] + 1))
    assert found.top_class[0] == c_A
    assert found.p_lower[0] == pytest.approx(p_lower, rel=1e-9)
    if abs(p_lower - 0.5) > 1e-9:
        assert found.prediction[0] == (c_A if p_lower > 0.5 else -1)
        assert found.radius[0] == pytest.approx(0.5 * ndtri(max(p_lower, 0.5)), abs=1e-9)
    assert (found.reason[0] == "") == (found.prediction[0] >= 0)


def test_noise_follows_the_inputs_unless_told() -> None:
    pixels = np.rint(X * 255).astype(np.float32) / np.float32(255)
    laws = [
        sc.certify(half_space(), x, sigma=0.5, n=100, **options).certificates.noise
        for x, options in (
            (pixels, {}),
            (np.rint(X * 16) / 16, {}),
            (X, {}),
            (pixels, {"noise": "gaussian"}),
            (np.rint(X * 64) / 64, {"noise": GridNoise(0.5, 0, 64)}),
        )
    ]
    assert laws == ["grid-1/255/1", "grid-1/1024/1", "gaussian/1", "gaussian/1", "grid-1/64/1"]


def test_grid_noise_gives_up_its_total_variation() -> None:
    noise = GridNoise(0.5, 0)
    counts = np.array([[900, 100]])
    tally = Tally(selection=counts, counts=counts, n=np.array([1000]))
    exact = cohen_certificates(tally, 0.001, GaussianNoise(0.5, 0), 3072)
    found = cohen_certificates(tally, 0.001, noise, 3072)
    assert exact.p_lower[0] - found.p_lower[0] == pytest.approx(3.9e-13, rel=0.02)
    assert found.radius[0] < exact.radius[0]
    assert "rounds its noisy input" in found.premise


def test_invalid_votes_count_in_n_and_for_no_class() -> None:
    run = sc.certify(invalid_beyond(constant(0), 0, 0.5), np.full((1, 2), 0.5), sigma=0.5, n=10_000)
    assert run.tally.counts[0, 1] == 0
    assert binomtest(int(run.tally.counts[0, 0]), 10_000, 0.5).pvalue > 1e-5
    assert run.certificates.prediction[0] == -1
    assert run.certificates.n[0] == 10_000


def test_nothing_but_invalid_votes_abstains() -> None:
    found = sc.certify(invalid(), np.full((2, 2), 0.5), sigma=0.5, n=100).certificates
    assert found.prediction.tolist() == [-1, -1]
    assert found.reason[0] == "no valid selection vote"
    assert found.radius.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sigma": 0.0}, "sigma is 0.0"),
        ({"n": 9}, r"n is 9: .* n >= 10"),
        ({"n": 2.5}, "n is 2.5"),
        ({"n0": 0}, "n0 is 0"),
        ({"alpha": 1.0}, "alpha is 1.0"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"noise": "grid"}, r"x\[0\] has values that are no multiples of 1/255"),
        ({"noise": "uniform"}, "noise is 'uniform'"),
        ({"x": np.zeros((2, 4), np.uint8)}, "dtype uint8"),
        ({"classifier": lambda batch: batch}, "give FunctionClassifier"),
    ],
)
def test_bad_arguments_are_refused(change: dict[str, object], message: str) -> None:
    call: dict[str, object] = {"classifier": half_space(), "x": X, "sigma": 0.5, "n": 100, **change}
    with pytest.raises(InvalidArgumentError, match=message):
        sc.certify(call.pop("classifier"), call.pop("x"), **call)  # type: ignore[arg-type]


@pytest.mark.parametrize("alpha", [0.5, 0.05, 0.001])
def test_as_many_votes_as_can_certify_are_enough(alpha: float) -> None:
    """Unanimous votes of n samples show that p exceeds alpha^(1/n)."""
    n = next(n for n in range(1, 100) if alpha ** (1 / n) > 0.5)
    found = sc.certify(constant(1), X, sigma=0.5, n=n, alpha=alpha).certificates
    assert found.prediction.tolist() == [1] * len(X)
    with pytest.raises(InvalidArgumentError, match=f"use n >= {n}"):
        sc.certify(constant(1), X, sigma=0.5, n=n - 1, alpha=alpha)


def test_a_model_with_another_number_of_classes_is_refused() -> None:
    three = sc.FunctionClassifier(lambda batch: np.zeros((len(batch), 3)), 2, "three")
    with pytest.raises(InvalidArgumentError, match=r"logits of shape \(16, 3\)"):
        sc.certify(three, X, sigma=0.5, n=100)
