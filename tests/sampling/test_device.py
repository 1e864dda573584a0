"""The path on which everything stays on the classifier's device: the CPU here, and CUDA where it is."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from smoothcert.classifiers import TorchClassifier
from smoothcert.noise import GaussianNoise, GridNoise, NoiseStream, Purpose, input_keys, noise_on_device
from smoothcert.sampling import SampleIndices, SampleRange, SampleRequest, sample_votes
from smoothcert.sampling.device import device_votes

CPU = torch.device("cpu")
X = np.random.default_rng(0).integers(0, 256, (5, 2, 3)).astype(np.float32) / np.float32(255)
KEYS = list(input_keys(X))


class Linear(torch.nn.Module):
    """Sums in double precision, so that no near tie depends on their order."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        torch.manual_seed(num_classes)
        self.layer = torch.nn.Linear(6, num_classes, dtype=torch.float64)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.layer(x.flatten(1).double())
        return logits


def linear(num_classes: int) -> tuple[TorchClassifier, torch.Tensor]:
    """Return a classifier and its biases."""
    classifier = TorchClassifier(Linear(num_classes), num_classes)
    assert isinstance(classifier.module, Linear)
    return classifier, classifier.module.layer.bias.data


def there(classifier: TorchClassifier, noise: NoiseStream, requests: list[SampleRequest], size: int) -> list[int]:
    stream = noise_on_device(noise, CPU)
    assert stream is not None
    found: list[int] = device_votes(classifier, stream, X, requests, size, None).tolist()
    return found


def here(classifier: TorchClassifier, noise: NoiseStream, requests: list[SampleRequest]) -> list[int]:
    found: list[int] = np.concatenate(sample_votes(classifier, X, noise, requests)).tolist()
    return found


request_strategy = st.one_of(
    st.builds(
        lambda row, start, length: SampleRange(row, KEYS[row], Purpose.ESTIMATION, start, start + length),
        st.integers(0, 4),
        st.sampled_from([0, 5, 2**40]),
        st.integers(0, 100),
    ),
    st.builds(
        lambda row, picked: SampleIndices(row, KEYS[row], Purpose.SELECTION, np.array(sorted(picked), np.int64)),
        st.integers(0, 4),
        st.sets(st.integers(0, 2**40), max_size=20),
    ),
)


@given(requests=st.lists(request_strategy, min_size=1, max_size=6), size=st.integers(1, 70), grid=st.booleans())
@settings(max_examples=40, deadline=None)
def test_votes_are_those_of_the_host(requests: list[SampleRequest], size: int, grid: bool) -> None:
    noise: NoiseStream = GridNoise(0.5, 3) if grid else GaussianNoise(0.5, 3)
    classifier, _ = linear(4)
    assert there(classifier, noise, requests, size) == here(classifier, noise, requests)


def test_votes_of_many_classes_and_invalid_ones_are_kept() -> None:
    classifier, bias = linear(40_000)
    bias[:] = torch.linspace(0, 50, 40_000)  # the last classes win, beyond the range of int16
    requests: list[SampleRequest] = [SampleRange(0, KEYS[0], Purpose.ESTIMATION, 0, 50)]
    expected = here(classifier, GridNoise(0.5, 0), requests)
    assert max(expected) > 2**15
    assert there(classifier, GridNoise(0.5, 0), requests, 16) == expected
    bias[7] = torch.nan
    assert there(classifier, GridNoise(0.5, 0), requests, 16) == [2**16 - 1] * 50
    few, bias = linear(4)
    bias[0] = torch.inf
    assert there(few, GridNoise(0.5, 0), requests, 16) == [2**8 - 1] * 50


def test_out_of_memory_halves_the_batch() -> None:
    sizes: list[int] = []

    class Small(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            sizes.append(len(x))
            if len(x) > 20:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return x.flatten(1)

    requests: list[SampleRequest] = [SampleRange(i, KEYS[i], Purpose.ESTIMATION, 0, 30) for i in range(5)]
    found = there(TorchClassifier(Small(), 6), GridNoise(0.5, 0), requests, 64)
    assert sizes[:3] == [64, 32, 16]
    assert max(sizes[3:]) == 16
    assert found == here(TorchClassifier(torch.nn.Flatten(), 6), GridNoise(0.5, 0), requests)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_on_a_gpu_votes_are_those_of_the_cpu() -> None:
    assert importlib.util.find_spec("triton") is not None
    requests: list[SampleRequest] = [SampleRange(i, KEYS[i], Purpose.ESTIMATION, 0, 5000) for i in range(5)]
    requests.append(SampleIndices(1, KEYS[1], Purpose.SELECTION, np.arange(0, 10_000, 7)))
    noise = GridNoise(0.5, 3)
    expected = here(linear(4)[0], noise, requests)
    moved = TorchClassifier(Linear(4), 4, device="cuda")
    for size in (100, 4096):
        assert np.concatenate(sample_votes(moved, X, noise, requests, batch_size=size)).tolist() == expected
