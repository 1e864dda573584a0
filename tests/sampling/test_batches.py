from __future__ import annotations

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
from smoothcert.sampling.batches import noisy_batches, one_ahead

X = np.random.default_rng(0).integers(0, 256, (5, 2, 3)).astype(np.float32) / np.float32(255)
KEYS = list(input_keys(X))
W = np.random.default_rng(1).standard_normal((6, 4)).astype(np.float32)


class Elsewhere(FunctionClassifier):
    """A function that says that it runs on another device, so that its noise is made ahead."""

    @property
    def description(self) -> dict[str, str]:
        return super().description | {"device": "elsewhere"}


def logits(batch: NDArray[np.float32]) -> NDArray[np.floating]:
    return batch.reshape(len(batch), -1).astype(np.float64) @ W.astype(np.float64)


def noise_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("noise")]


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

    for ahead in (False, True):
        made: Iterator[NDArray[np.float32]] = noisy_batches(ranges, draw, buffers, batch_size, block)
        found = [batches.copy() for batches in (one_ahead(made) if ahead else made)]
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
    assert noise_threads() == []


def test_an_item_is_made_while_the_last_is_in_use_and_only_one() -> None:
    made = [threading.Event() for _ in range(6)]

    def items() -> Iterator[int]:
        for i, event in enumerate(made):
            event.set()
            yield i

    for item in one_ahead(items()):
        if item + 1 < len(made):
            assert made[item + 1].wait(timeout=60), "nothing is made ahead"
        assert not any(event.is_set() for event in made[item + 2 :]), "memory holds two items"


def test_what_goes_wrong_with_the_noise_is_raised_where_votes_are_asked_for() -> None:
    class Torn:
        shape = X.shape

        def __len__(self) -> int:
            return len(X)

        def __iter__(self) -> Iterator[NDArray[np.float32]]:
            return iter(X)

        def __getitem__(self, index: int, /) -> NDArray[np.float32]:
            if index == 3:
                raise OSError("image 3 is torn")
            row: NDArray[np.float32] = X[index]
            return row

    ranges = [SampleRange(i, KEYS[i], Purpose.ESTIMATION, 0, 30) for i in range(5)]
    with pytest.raises(OSError, match="image 3 is torn"):
        sample_votes(Elsewhere(logits, 4, "f"), Torn(), GridNoise(0.5, 0), ranges, batch_size=10)
    assert noise_threads() == []


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
    assert noise_threads() == []
