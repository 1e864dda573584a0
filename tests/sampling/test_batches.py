from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from smoothcert.classifiers import FunctionClassifier
from smoothcert.noise import GaussianNoise, GridNoise, NoiseStream, Purpose, input_keys
from smoothcert.sampling import SampleRange, SampleRequest, sample_votes
from smoothcert.sampling.batches import noisy_batches

X = np.random.default_rng(0).integers(0, 256, (5, 2, 3)).astype(np.float32) / np.float32(255)
KEYS = list(input_keys(X))
W = np.random.default_rng(1).standard_normal((6, 4)).astype(np.float32)


class Elsewhere(FunctionClassifier):
    """A function that says that it runs on another device, so that noise is made beside it."""

    @property
    def description(self) -> dict[str, str]:
        return super().description | {"device": "elsewhere"}


def logits(batch: NDArray[np.float32]) -> NDArray[np.floating]:
    return batch.reshape(len(batch), -1).astype(np.float64) @ W.astype(np.float64)


def classifying() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("classify")]


@given(
    ranges=st.lists(
        st.builds(
            lambda row, start, length: SampleRange(row, KEYS[row], Purpose.ESTIMATION, start, start + length),
            st.integers(0, 4),
            st.sampled_from([0, 1, 16_380]),
            st.integers(0, 50),
        ),
        max_size=6,
    ),
    batch_size=st.integers(1, 70),
    block=st.sampled_from([1, 4, 64]),
)
@settings(max_examples=40, deadline=None)
def test_batches_hold_all_samples_in_order(ranges: list[SampleRange], batch_size: int, block: int) -> None:
    noise = GridNoise(0.5, 0)
    expected = [np.empty((0, 2, 3), np.float32)]
    for r in ranges:
        expected.append(np.empty((len(r), 2, 3), np.float32))
        r.perturb(noise, X[r.row], expected[-1])
    buffers = np.empty((batch_size + block, 2, 3), np.float32), np.empty((batch_size + block, 2, 3), np.float32)

    def draw(piece: SampleRequest, out: NDArray[np.float32]) -> None:
        piece.perturb(noise, X[piece.row], out)

    found = [batches.copy() for batches in noisy_batches(ranges, draw, buffers, batch_size, block)]
    np.testing.assert_array_equal(np.concatenate([*found, expected[0]]), np.concatenate(expected))
    assert all(len(batches) % batch_size == 0 for batches in found[:-1])


@pytest.mark.parametrize("noise", [GridNoise(0.5, 3), GaussianNoise(0.5, 3)])
@pytest.mark.parametrize("batch_size", [1, 7, 64, 1000])
def test_votes_are_the_same_whether_noise_is_made_ahead(noise: NoiseStream, batch_size: int) -> None:
    ranges = [SampleRange(i, KEYS[i], Purpose.ESTIMATION, 5, 200 + 50 * i) for i in range(5)]
    here = sample_votes(FunctionClassifier(logits, 4, "f"), X, noise, ranges, batch_size=batch_size)
    there = sample_votes(Elsewhere(logits, 4, "f"), X, noise, ranges, batch_size=batch_size)
    for votes, others in zip(here, there, strict=True):
        np.testing.assert_array_equal(votes, others)
    assert classifying() == []


class Watched:
    """Inputs that note which were asked for."""

    shape = X.shape

    def __init__(self, torn: int = -1) -> None:
        self.asked = [threading.Event() for _ in X]
        self.torn = torn

    def __len__(self) -> int:
        return len(X)

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        return iter(X)

    def __getitem__(self, index: int, /) -> NDArray[np.float32]:
        self.asked[index].set()
        if index == self.torn:
            raise OSError(f"image {index} is torn")
        row: NDArray[np.float32] = X[index]
        return row


RANGES = [SampleRange(i, KEYS[i], Purpose.ESTIMATION, 0, 32) for i in range(5)]


def test_noise_is_made_while_the_last_batch_is_classified_and_no_further() -> None:
    inputs, batches = Watched(), 0

    def patient(batch: NDArray[np.float32]) -> NDArray[np.floating]:
        nonlocal batches
        if batches + 1 < len(X):
            assert inputs.asked[batches + 1].wait(timeout=60), "nothing is made ahead"
        assert not any(asked.is_set() for asked in inputs.asked[batches + 2 :]), "memory holds two batches"
        batches += 1
        return logits(batch)

    sample_votes(Elsewhere(patient, 4, "f"), inputs, GridNoise(0.5, 0), RANGES, batch_size=32)
    assert batches == len(X)


class Piecewise(FunctionClassifier):
    """A function whose batches are cut into pieces for three threads; the first three wait for each other."""

    threads = 3
    calls = itertools.count()
    together = threading.Barrier(3, timeout=60)

    def pieces(self, batch: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        return np.array_split(batch, 3)

    def classify_piece(self, piece: NDArray[np.float32]) -> NDArray[np.int64]:
        if next(self.calls) < self.threads:
            self.together.wait()
        return self.classify(piece)


@pytest.mark.parametrize("batch_size", [3, 20, 64, 1000])
def test_pieces_in_threads_give_the_same_votes(batch_size: int) -> None:
    counts: list[int] = []
    ranges = [SampleRange(i, KEYS[i], Purpose.ESTIMATION, 5, 200 + 50 * i) for i in range(5)]
    noise = GridNoise(0.5, 3)
    expected = sample_votes(FunctionClassifier(logits, 4, "f"), X, noise, ranges)
    found = sample_votes(
        Piecewise(logits, 4, "f"), X, noise, ranges, batch_size=batch_size, on_batch=counts.append
    )
    np.testing.assert_array_equal(np.concatenate(found), np.concatenate(expected))
    assert sum(counts) == sum(map(len, ranges))
    assert set(counts[:-1]) <= {batch_size}
    assert classifying() == []


def test_out_of_memory_in_a_thread_halves_the_batch() -> None:
    sizes: list[int] = []

    def small(batch: NDArray[np.float32]) -> NDArray[np.floating]:
        sizes.append(len(batch))
        if len(batch) > 10:
            raise MemoryError
        return logits(batch)

    found = sample_votes(Elsewhere(small, 4, "f"), X, GridNoise(0.5, 3), RANGES, batch_size=32)
    expected = sample_votes(FunctionClassifier(logits, 4, "f"), X, GridNoise(0.5, 3), RANGES)
    np.testing.assert_array_equal(np.concatenate(found), np.concatenate(expected))
    assert sizes[:3] == [32, 16, 8]
    assert max(sizes[3:]) == 8


def test_what_goes_wrong_with_the_noise_ends_all_threads() -> None:
    with pytest.raises(OSError, match="image 3 is torn"):
        sample_votes(Elsewhere(logits, 4, "f"), Watched(torn=3), GridNoise(0.5, 0), RANGES, batch_size=10)
    assert classifying() == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_a_classifier_that_is_interrupted_leaves_no_thread(error: type[BaseException]) -> None:
    calls = 0

    def interrupted(batch: NDArray[np.float32]) -> NDArray[np.floating]:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise error
        return logits(batch)

    ranges = [SampleRange(0, KEYS[0], Purpose.ESTIMATION, 0, 100_000)]
    with pytest.raises(error):
        sample_votes(Elsewhere(interrupted, 4, "f"), X, GridNoise(0.5, 0), ranges, batch_size=10)
    assert classifying() == []
