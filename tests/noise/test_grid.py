from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from smoothcert.errors import InvalidArgumentError
from smoothcert.noise import GaussianNoise, GridNoise, Purpose, on_grid
from smoothcert.noise._reference import grid_steps

KEY = bytes(range(32))
Floats = NDArray[np.float32]


def draw(
    noise: GridNoise, x: Floats, start: int, count: int, key: bytes = KEY, purpose: Purpose = Purpose.ESTIMATION
) -> Floats:
    out = np.full((count, *x.shape), np.nan, np.float32)
    noise.perturb(x, key, purpose, start, out)
    return out


def by_definition(
    noise: GridNoise, levels_of_x: NDArray[np.int64], start: int, count: int, key: bytes, purpose: Purpose
) -> Floats:
    """Every 64-bit uniform compared with the thresholds, integers divided in exact-enough double precision."""
    philox_key, tag = noise._address(key, purpose)
    samples = np.array([start + i for i in range(count)], dtype=np.uint64)[:, None]
    coordinates = np.arange(levels_of_x.size, dtype=np.uint64)
    steps = grid_steps(noise._thresholds, philox_key, tag, samples, coordinates)
    # A quotient of integers this small is no double-rounding case: float64 has over twice float32's digits + 2.
    return ((levels_of_x + steps) / noise.levels).astype(np.float32)


@given(
    sigma=st.floats(1e-4, 2.0),
    levels=st.sampled_from([16, 255, 1024]),
    size=st.integers(1, 5000),
    count=st.integers(1, 4),
    start=st.integers(0, 2**64 - 5),
    seed=st.integers(0, 2**128 - 1),
    key=st.binary(min_size=32, max_size=32),
    purpose=st.sampled_from(Purpose),
)
@settings(max_examples=30, deadline=None)
def test_the_kernel_draws_what_the_definition_says(
    sigma: float, levels: int, size: int, count: int, start: int, seed: int, key: bytes, purpose: Purpose
) -> None:
    noise = GridNoise(sigma, seed, levels)
    m = np.random.default_rng(size).integers(-levels, 2 * levels, size)
    x = m.astype(np.float32) / np.float32(levels)
    np.testing.assert_array_equal(
        draw(noise, x, start, count, key, purpose), by_definition(noise, m, start, count, key, purpose)
    )


@pytest.mark.parametrize("sigma", [0.12, 0.5, 2.0])
def test_many_draws_agree_with_the_definition(sigma: float) -> None:
    noise, m = GridNoise(sigma, 11), np.zeros(10_000, np.int64)
    for start in (0, 2**32 - 5, 2**33 + 7):
        got = draw(noise, np.zeros(10_000, np.float32), start, 10)
        np.testing.assert_array_equal(got, by_definition(noise, m, start, 10, KEY, Purpose.ESTIMATION))


def test_a_kernel_that_must_look_at_the_low_bits_agrees_with_the_definition() -> None:
    """With every first word open, each draw takes the second stream and the search."""
    noise = GridNoise(0.5, 5)
    noise._decided = np.full_like(noise._decided, len(noise._thresholds) + 1)
    got = draw(noise, np.zeros(5000, np.float32), 3, 20)
    expected = by_definition(noise, np.zeros(5000, np.int64), 3, 20, KEY, Purpose.ESTIMATION)
    np.testing.assert_array_equal(got, expected)


def test_coordinates_beyond_2_to_the_32_have_noise_of_their_own() -> None:
    noise = GridNoise(0.5, 0)
    near = np.arange(4096, dtype=np.uint64)
    key, tag = noise._address(KEY, Purpose.ESTIMATION)
    drawn = [
        grid_steps(noise._thresholds, key, tag, np.array([[0]], np.uint64), near + np.uint64(shift))
        for shift in (0, 2**32, 2**33 - 4096)
    ]
    correlation = np.corrcoef(np.concatenate(drawn))
    assert np.abs(correlation - np.eye(3)).max() < 5 / np.sqrt(4096)


@given(st.integers(0, 60), st.integers(1, 40))
@settings(max_examples=30, deadline=None)
def test_any_range_is_a_slice_of_the_stream(start: int, count: int) -> None:
    noise, x = GridNoise(0.25, 0), np.zeros((3, 7, 5), np.float32)
    whole = draw(noise, x, 0, 100)
    np.testing.assert_array_equal(draw(noise, x, start, count), whole[start : start + count])


@given(st.sets(st.integers(0, 2**63 - 1), min_size=0, max_size=20), st.integers(1, 5000))
@settings(max_examples=30, deadline=None)
def test_samples_by_index_are_those_of_the_definition(picked: set[int], size: int) -> None:
    noise, indices = GridNoise(0.5, 3), np.array(sorted(picked), np.int64)
    m = np.random.default_rng(size).integers(0, 256, size)
    out = np.full((len(indices), size), np.nan, np.float32)
    noise.perturb_at(m.astype(np.float32) / np.float32(255), KEY, Purpose.PREDICTION, indices, out)
    for index, row in zip(indices, out, strict=True):
        expected = by_definition(noise, m, int(index), 1, KEY, Purpose.PREDICTION)[0]
        np.testing.assert_array_equal(row, expected)


def test_a_range_over_the_low_word_of_the_index_is_a_slice_too() -> None:
    noise, x = GridNoise(0.25, 0), np.zeros(500, np.float32)
    np.testing.assert_array_equal(
        draw(noise, x, 2**32 - 8, 16), np.concatenate([draw(noise, x, 2**32 - 8 + i, 1) for i in range(16)])
    )


def test_threads_and_processes_draw_the_same() -> None:
    noise, x = GridNoise(0.5, 9), np.zeros(3072, np.float32)
    expected = draw(noise, x, 0, 64)
    with ThreadPoolExecutor(4) as pool:
        parts = pool.map(lambda start: draw(noise, x, start, 8), range(0, 64, 8))
        np.testing.assert_array_equal(np.concatenate(list(parts)), expected)
    program = (
        "import hashlib, numpy as np\n"
        "from smoothcert.noise import GridNoise, Purpose\n"
        "out = np.empty((64, 3072), np.float32)\n"
        "GridNoise(0.5, 9).perturb(np.zeros(3072, np.float32), bytes(range(32)), Purpose.ESTIMATION, 0, out)\n"
        "print(hashlib.sha256(out.tobytes()).hexdigest())\n"
    )
    other = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert other.stdout.strip() == hashlib.sha256(expected.tobytes()).hexdigest()


def test_it_runs_where_machine_code_cannot_be_kept() -> None:
    program = (
        "import numba.core.caching as caching\n"
        "caching.CompileResultCacheImpl._locator_classes = []\n"
        "import numpy as np\n"
        "from smoothcert.noise import GridNoise, Purpose\n"
        "out = np.empty((1, 3), np.float32)\n"
        "GridNoise(0.5, 9).perturb(np.zeros(3, np.float32), bytes(range(32)), Purpose.ESTIMATION, 0, out)\n"
        "print(*np.rint(out[0] * 255).astype(int))\n"
    )
    other = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    here = draw(GridNoise(0.5, 9), np.zeros(3, np.float32), 0, 1)[0]
    assert [int(k) for k in other.stdout.split()] == np.rint(here * 255).astype(int).tolist()


def test_purposes_and_the_two_streams_have_counters_of_their_own() -> None:
    tags = [GridNoise(0.5, 0)._address(KEY, purpose)[1] for purpose in Purpose]
    last_words = [tag | stream for tag in tags for stream in (0, 1)]
    assert len(set(last_words)) == 2 * len(Purpose)
    assert len({word >> 8 for word in last_words}) == 1
    assert all(word < 1 << 32 for word in last_words)


def test_the_law_does_not_change() -> None:
    """A changed hash is another noise law: give it another version, so that caches are not paired with it."""
    noise = GridNoise(0.5, 7)
    steps = np.rint(draw(noise, np.zeros(1000, np.float32), 2**40, 3) * 255).astype("<i4")
    assert (noise.law, noise.digest[:16]) == ("grid-1/255/1", "7643fa80cd266a60")
    assert hashlib.sha256(steps.tobytes()).hexdigest()[:16] == "068fbe4776d64165"


def test_other_addresses_are_other_noise() -> None:
    x = np.zeros(5000, np.float32)
    streams = [draw(GridNoise(0.5, seed), x, 0, 8) for seed in (0, 1, 1 << 127)]
    streams += [draw(GridNoise(0.5, 0), x, 0, 8, key=bytes(32))]
    streams += [draw(GridNoise(0.5, 0), x, 0, 8, purpose=p) for p in Purpose if p is not Purpose.ESTIMATION]
    streams += [draw(GridNoise(0.5, 0), x, start, 8) for start in (8, 2**32, 2**33)]
    correlation = np.corrcoef(np.stack([s.ravel() for s in streams]))
    # 40,000 values: the largest of 45 correlations exceeds 5.5 / sqrt(40,000) once in 580,000 seeds.
    assert np.abs(correlation - np.eye(len(streams))).max() < 5.5 / np.sqrt(40_000)


def test_coordinates_and_samples_are_uncorrelated() -> None:
    drawn = draw(GridNoise(0.5, 1), np.zeros(64, np.float32), 0, 20_000)
    between = np.corrcoef(drawn.T) - np.eye(64)
    assert np.abs(between).max() < 5.5 / np.sqrt(20_000)
    squares = np.corrcoef(drawn.T**2) - np.eye(64)
    assert np.abs(squares).max() < 5.5 / np.sqrt(20_000)
    for lag in (1, 2, 16):
        assert abs(np.corrcoef(drawn[lag:].ravel(), drawn[:-lag].ravel())[0, 1]) < 5 / np.sqrt(drawn.size)


@pytest.mark.parametrize(("sigma", "levels"), [(0.5, 255), (0.12, 255), (0.5, 16)])
def test_steps_have_the_probabilities_of_gaussian_cells(sigma: float, levels: int) -> None:
    noise, x = GridNoise(sigma, 2026, levels), np.zeros(100_000, np.float32)
    counts: NDArray[np.int64] = np.zeros(len(noise._thresholds) + 1, np.int64)
    for start in range(0, 200, 20):
        steps = np.rint(draw(noise, x, start, 20) * levels).astype(np.int64)
        counts += np.bincount(steps.ravel() + len(counts) // 2, minlength=len(counts))
    k = np.arange(len(counts)) - len(counts) // 2
    scale = sigma * levels
    # From the nearer tail, or the difference of two numbers close to 1 would be left.
    expected = counts.sum() * (stats.norm.sf((np.abs(k) - 0.5) / scale) - stats.norm.sf((np.abs(k) + 0.5) / scale))
    inner = expected >= 20
    observed = np.append(counts[inner], counts[~inner].sum())
    model = np.append(expected[inner], counts.sum() - expected[inner].sum())
    assert stats.chisquare(observed, model).pvalue > 1e-4
    assert np.sqrt((counts * k**2).sum() / counts.sum()) / scale == pytest.approx(
        np.sqrt(1 + 1 / (12 * scale**2)), abs=5 / np.sqrt(2 * counts.sum())
    )


@pytest.mark.parametrize("levels", [1, 10, 16, 255, 256, 1000, 1024, 65535])
def test_multiples_of_the_step_are_on_the_grid(levels: int) -> None:
    m = np.arange(-levels, 3 * levels + 1)
    nearest = np.array([float(k) / levels for k in m]).astype(np.float32)
    assert on_grid(nearest, levels)
    assert on_grid(m.astype(np.float32) * np.float32(1 / levels), levels)
    neighbours = np.nextafter(nearest, np.float32(np.inf))
    product = m.astype(np.float32) * np.float32(1 / levels)
    for value in neighbours[neighbours != product][:300]:
        assert not on_grid(value, levels)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38, 0.5, 2.0**21, 1e-9])
def test_what_is_not_on_the_grid_is_refused_with_a_remedy(value: float) -> None:
    x = np.array([0.0, 1.0, value], np.float32)
    assert not on_grid(x, 255)
    with pytest.raises(InvalidArgumentError, match=re.escape(f"{float(x[2])!r}") + '.*Quantise.*noise="gaussian"'):
        draw(GridNoise(0.5, 0), x, 0, 2)


def test_both_ways_to_divide_by_255_are_the_same_input() -> None:
    m = np.arange(256, dtype=np.float32)
    divided, multiplied = m / np.float32(255), m * np.float32(1 / 255)
    assert (divided != multiplied).sum() == 126
    noise = GridNoise(0.5, 0)
    np.testing.assert_array_equal(draw(noise, divided, 0, 3), draw(noise, multiplied, 0, 3))


def test_values_are_not_clipped_and_inputs_may_leave_the_unit_interval() -> None:
    x = np.array([-1.0, 0.0, 1.0, 7.0, -0.0], np.float32)
    out = draw(GridNoise(1.0, 0), x, 0, 1000)
    assert out.min() < -3
    assert out.max() > 9
    assert on_grid(out, 255)
    np.testing.assert_allclose(out.mean(axis=0), x, atol=0.15)


@pytest.mark.parametrize(
    ("sigma", "seed", "levels", "name"),
    [
        (0.0, 0, 255, "sigma"),
        (float("nan"), 0, 255, "sigma"),
        (20.0, 0, 255, "sigma"),
        (0.5, -1, 255, "seed"),
        (0.5, 1 << 128, 255, "seed"),
        (0.5, 0, 0, "levels"),
        (0.5, 0, 255.0, "levels"),
    ],
)
def test_bad_arguments_are_refused(sigma: float, seed: int, levels: int, name: str) -> None:
    with pytest.raises(InvalidArgumentError, match=f"^{name} is"):
        GridNoise(sigma, seed, levels)


def test_bad_addresses_and_buffers_are_refused() -> None:
    noise, x = GridNoise(0.5, 0), np.zeros(8, np.float32)
    for start in (-1, 2**64 - 1):
        with pytest.raises(InvalidArgumentError, match="start is"):
            draw(noise, x, start, 2)
    buffers: list[NDArray[Any]] = [
        np.empty((8, 4), np.float32).T,
        np.empty((4, 8), np.float64),
        np.empty((4, 9), np.float32),
    ]
    for out in buffers:
        with pytest.raises(InvalidArgumentError, match="out is"):
            noise.perturb(x, KEY, Purpose.ESTIMATION, 0, out)


def test_the_digest_tells_laws_apart_and_seeds_not() -> None:
    assert GridNoise(0.5, 0).digest == GridNoise(0.5, 1).digest
    others = {GridNoise(s, 0, levels).digest for s, levels in ((0.5, 255), (0.25, 255), (0.5, 256), (0.5, 16))}
    assert len(others) == 4


def test_total_variation() -> None:
    assert GridNoise(0.5, 0).total_variation(3072) == pytest.approx(3.9e-13, rel=0.01)
    assert GridNoise(2.0, 0).total_variation(3 * 224 * 224) == pytest.approx(7.7e-11, rel=0.01)
    assert GaussianNoise(0.5, 0).total_variation(3072) == 0.0


@pytest.mark.parametrize("size", [1, 64, 3072, 150_528, 10**9])
def test_block(size: int) -> None:
    block = GridNoise(0.5, 0).block(size)
    assert block & (block - 1) == 0
    assert block == 16 or block * size <= 1 << 18 < 2 * block * size
