from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from smoothcert.errors import InvalidArgumentError
from smoothcert.noise import GaussianNoise, Purpose, input_keys

KEY = bytes(range(32))


def draw(
    start: int,
    stop: int,
    *,
    seed: int = 0,
    key: bytes = KEY,
    purpose: Purpose = Purpose.ESTIMATION,
    size: int = 5000,
) -> NDArray[np.float32]:
    out = np.empty((stop - start, size), np.float32)
    GaussianNoise(1.0, seed).perturb(np.zeros(size, np.float32), key, purpose, start, out)
    return out


@given(st.integers(0, 60), st.integers(1, 40))
@settings(max_examples=30, deadline=None)
def test_any_range_is_a_slice_of_the_stream(start: int, length: int) -> None:
    whole = draw(0, 100)  # blocks of 8 samples at this size
    np.testing.assert_array_equal(draw(start, start + length), whole[start : start + length])


@given(st.sets(st.integers(0, 99), max_size=30))
@settings(max_examples=30, deadline=None)
def test_samples_by_index_are_those_of_the_range(picked: set[int]) -> None:
    indices = np.array(sorted(picked), np.int64)
    x, out = np.zeros((50, 100), np.float32), np.full((len(indices), 50, 100), np.nan, np.float32)
    GaussianNoise(1.0, 0).perturb_at(x, KEY, Purpose.ESTIMATION, indices, out)
    np.testing.assert_array_equal(out.reshape(len(out), 5000), draw(0, 100)[indices])


def test_addresses_far_out_do_not_collide() -> None:
    near, far = draw(0, 8), draw(2**33, 2**33 + 8)
    assert not (near == far).any(axis=1).any()


def test_seed_key_and_purpose_give_independent_streams() -> None:
    streams = [
        draw(0, 8),
        draw(0, 8, seed=1),
        draw(0, 8, key=bytes(32)),
        draw(0, 8, purpose=Purpose.SELECTION),
        draw(0, 8, purpose=Purpose.PREDICTION),
    ]
    correlation = np.corrcoef(np.stack([s.ravel() for s in streams]))
    # 40,000 values: the largest of ten correlations exceeds 5 / sqrt(40,000) once in 170,000 seeds.
    assert np.abs(correlation - np.eye(len(streams))).max() < 5 / np.sqrt(40_000)


def test_noise_is_gaussian() -> None:
    values = draw(0, 40).ravel().astype(np.float64)
    assert stats.kstest(values, "norm").pvalue > 1e-4
    assert stats.chisquare(np.histogram(stats.norm.cdf(values), 50, (0, 1))[0]).pvalue > 1e-4


def test_sigma_scales_and_x_shifts() -> None:
    x = np.linspace(0, 1, 5000, dtype=np.float32)
    out = np.empty((4, 5000), np.float32)
    GaussianNoise(0.25, 0).perturb(x, KEY, Purpose.ESTIMATION, 0, out)
    np.testing.assert_allclose(out, 0.25 * draw(0, 4) + x, atol=2e-7)


@pytest.mark.parametrize("sigma", [0.0, -1.0, float("nan"), float("inf"), "0.5"])
def test_bad_sigma_is_refused(sigma: float) -> None:
    with pytest.raises(InvalidArgumentError, match="sigma is"):
        GaussianNoise(sigma, 0)


@pytest.mark.parametrize("seed", [-1, 1 << 128, 0.5])
def test_bad_seed_is_refused(seed: int) -> None:
    with pytest.raises(InvalidArgumentError, match="seed is"):
        GaussianNoise(0.5, seed)


def test_keys_follow_content_and_occurrence() -> None:
    x = np.random.default_rng(0).random((4, 3), dtype=np.float32)
    repeated = np.concatenate([x, x])
    keys = list(input_keys(repeated))
    assert len(set(keys)) == 8, "copies get noise of their own"
    assert list(input_keys(repeated[::-1]))[:4] == keys[:4][::-1], "order does not matter"
    assert set(input_keys(x.reshape(4, 3, 1))).isdisjoint(keys), "shape matters"
