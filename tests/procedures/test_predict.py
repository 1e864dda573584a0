from __future__ import annotations

import importlib
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr
from scipy.stats import binom, binomtest

import smoothcert as sc
from closed_form import half_space, recording
from smoothcert.errors import InvalidArgumentError
from smoothcert.noise import GaussianNoise, GridNoise, NoiseName
from smoothcert.procedures.predict import _level, decide_class

X = np.linspace(0.1, 0.9, 9).reshape(9, 1) * np.ones((1, 4))


@given(
    st.lists(st.tuples(st.integers(0, 300), st.integers(0, 300)), min_size=1, max_size=5),
    st.sampled_from([0.05, 0.001, 1e-9]),
)
@settings(max_examples=200, deadline=None)
def test_it_decides_by_the_two_sided_binomial_test(pairs: list[tuple[int, int]], alpha: float) -> None:
    decided = decide_class(np.array([[first, 0, second] for first, second in pairs]), alpha)
    for (first, second), label in zip(pairs, decided, strict=True):
        if first + second == 0:
            assert label == -1
            continue
        p_value = binomtest(first, first + second, 0.5).pvalue
        assert label == (-1 if p_value > alpha else (0 if first > second else 2))


def test_it_errs_no_more_than_alpha() -> None:
    """At a margin of 0.05 sigma, the class on the other side is returned at most as often as alpha allows."""
    x = np.full((2000, 3), 0.5)
    x[:, 2] = np.linspace(0, 1, 2000)
    labels = sc.predict(half_space(0.5 - 0.0125), x, sigma=0.25, n=50, alpha=0.1, seed=8)
    wrong = int((labels == 0).sum())
    assert binomtest(wrong, 2000, 0.1, alternative="greater").pvalue > 1e-4
    power = binom.sf(31, 50, ndtr(0.05))  # 32 of 50 votes reject at 0.1
    assert binomtest(int((labels == 1).sum()), 2000, float(power)).pvalue > 1e-5


def test_it_refuses_what_cannot_succeed() -> None:
    with pytest.raises(InvalidArgumentError, match=r"n >= 11"):
        sc.predict(half_space(0.5), X, sigma=0.5, n=10, alpha=0.001)


@given(n=st.integers(11, 10**8), alpha=st.floats(1e-6, 0.5), size=st.integers(1, 150_528))
@settings(max_examples=100, deadline=None)
def test_the_noise_and_the_test_together_spend_alpha(n: int, alpha: float, size: int) -> None:
    noise = GridNoise(0.5, 0)
    spent = n * Fraction(noise.total_variation(size))
    if spent > Fraction(alpha) / 2:
        with pytest.raises(InvalidArgumentError, match=r"^alpha is .* use alpha >= "):
            _level(alpha, n, noise, size)
        return
    level = Fraction(_level(alpha, n, noise, size))
    assert level + spent <= Fraction(alpha)
    assert level > Fraction(alpha) * (1 - Fraction(1, 10**12)) - spent * (1 + Fraction(1, 10**12))


def test_no_more_than_alpha_is_spent_where_the_noise_takes_nearly_half() -> None:
    """In exact arithmetic: nothing that is rounded may be rounded in favour of the test."""
    noise, rng = GridNoise(0.5, 0), np.random.default_rng(0)
    for n, share in zip(rng.integers(10**4, 10**8, 500).tolist(), rng.uniform(0.3, 0.499, 500), strict=True):
        spent = n * Fraction(noise.total_variation(3072))
        alpha = float(spent) / share
        assert Fraction(_level(alpha, n, noise, 3072)) + spent <= Fraction(alpha)


def test_under_float_noise_the_test_has_all_of_alpha() -> None:
    assert _level(0.001, 1000, GaussianNoise(0.5, 0), 3072) == pytest.approx(0.001, rel=1e-12)


@pytest.mark.parametrize("noise", ["grid", "gaussian"])
def test_batches_are_filled_across_inputs_and_change_nothing(noise: NoiseName) -> None:
    x = np.rint(X * 255) / 255
    sizes: list[int] = []
    calls: list[tuple[int, int]] = []
    together = sc.predict(
        recording(half_space(0.52), sizes), x, sigma=0.25, n=30, alpha=0.05, noise=noise, batch_size=64,
        progress=lambda done, total: calls.append((done, total)),
    )  # fmt: skip
    assert sizes[-5:] == [64, 64, 64, 64, 14], "270 samples"
    assert calls == [(64, 270), (128, 270), (192, 270), (256, 270), (270, 270)]
    for i in range(len(x)):
        alone = sc.predict(half_space(0.52), x[i : i + 1], sigma=0.25, n=30, alpha=0.05, noise=noise)
        assert alone[0] == together[i]


@pytest.mark.parametrize("votes", [100, 7])
def test_groups_of_inputs_change_nothing(monkeypatch: pytest.MonkeyPatch, votes: int) -> None:
    """Nor does an input that has more votes than a group."""
    whole = sc.predict(half_space(0.52), X, sigma=0.25, n=30, alpha=0.05, seed=3)
    module = importlib.import_module("smoothcert.procedures.predict")  # the package has the function by this name
    monkeypatch.setattr(module, "PART_VOTES", votes)
    np.testing.assert_array_equal(sc.predict(half_space(0.52), X, sigma=0.25, n=30, alpha=0.05, seed=3), whole)


def test_it_errs_in_a_thousandth_of_cases_unless_told() -> None:
    x = np.linspace(0.5, 0.6, 400).reshape(400, 1) * np.ones((1, 2))
    default = sc.predict(half_space(), x, sigma=0.25, n=150)
    for alpha in (0.001, 0.0005, 0.002):
        told = sc.predict(half_space(), x, sigma=0.25, n=150, alpha=alpha)
        assert bool((told == default).all()) == (alpha == 0.001)
