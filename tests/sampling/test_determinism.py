"""Votes are those of the model, the runtime and the noise, and of nothing else."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from smoothcert.classifiers import Classifier, OnnxClassifier, TorchClassifier, export_onnx
from smoothcert.models import build_model
from smoothcert.noise import GridNoise, Purpose, input_keys
from smoothcert.sampling import SampleRange, sample_votes

for package in ("onnx", "onnxruntime", "onnxscript"):
    pytest.importorskip(package)

SHAPE, SAMPLES = (3, 8, 8), 100
X = np.random.default_rng(0).integers(0, 256, (4, *SHAPE)).astype(np.float32) / np.float32(255)
KEYS = list(input_keys(X))
NOISE = GridNoise(0.5, 7)


@pytest.fixture(scope="module")
def eager() -> TorchClassifier:
    """A ResNet-20 whose classes are about as frequent as each other, so that votes have something to fall for."""
    torch.manual_seed(0)
    module = build_model("cifar_resnet20", 10, SHAPE).eval()
    classifier = TorchClassifier(module, 10)
    batch = np.empty((200, *SHAPE), np.float32)
    NOISE.perturb(X[0], KEYS[0], Purpose.CALIBRATION, 0, batch)
    with torch.no_grad():
        last = [layer for layer in module.modules() if isinstance(layer, torch.nn.Linear)][-1]
        last.bias.sub_(torch.from_numpy(classifier.logits(batch).mean(axis=0)))
    return TorchClassifier(module, 10)


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def votes(classifier: Classifier, batch_size: int, rows: list[int]) -> NDArray[np.uint8]:
    """Sample the inputs in that order; return their votes in the order of the inputs."""
    ranges = [SampleRange(i, KEYS[i], Purpose.ESTIMATION, 0, SAMPLES) for i in rows]
    found = sample_votes(classifier, X, NOISE, ranges, batch_size=batch_size)
    return np.stack([found[rows.index(i)] for i in range(len(X))])


def test_onnx_votes_move_with_neither_threads_nor_batches_nor_order(eager: TorchClassifier) -> None:
    model = export_onnx(eager, SHAPE)
    expected = votes(OnnxClassifier(model, 10, threads=1), 128, [0, 1, 2, 3])
    assert len(np.unique(expected)) > 3, "votes of one class alone would prove nothing"
    for count in (1, 2, 3):
        classifier = OnnxClassifier(model, 10, threads=count)
        for batch_size, rows in ((1, [0, 1, 2, 3]), (7, [3, 2, 1, 0]), (64, [1, 3, 0, 2]), (1000, [2, 0, 3, 1])):
            np.testing.assert_array_equal(votes(classifier, batch_size, rows), expected)


def test_another_model_would_be_noticed(eager: TorchClassifier) -> None:
    """The votes above are not so clear that any model casts them: weights off by 1e-4 change some."""
    expected = votes(eager, 128, [0, 1, 2, 3])
    other = build_model("cifar_resnet20", 10, SHAPE)
    other.load_state_dict({k: v * 1.0001 if "conv" in k else v for k, v in eager.module.state_dict().items()})
    assert (votes(TorchClassifier(other, 10), 128, [0, 1, 2, 3]) != expected).any()


@pytest.mark.usefixtures("threads")
def test_eager_votes_move_only_where_two_classes_nearly_tie(eager: TorchClassifier) -> None:
    """PyTorch takes other kernels for batches of a few samples, which round differently."""
    expected = votes(eager, 128, [0, 1, 2, 3])
    batch = np.empty((SAMPLES, *SHAPE), np.float32)
    clear = np.empty(expected.shape, bool)
    for i in range(len(X)):
        NOISE.perturb(X[i], KEYS[i], Purpose.ESTIMATION, 0, batch)
        logits = np.sort(eager.logits(batch), axis=1)
        clear[i] = logits[:, -1] - logits[:, -2] > 1e-5 * np.ptp(logits)
    assert clear.mean() > 0.99
    for count, batch_size, rows in ((1, 3, [0, 1, 2, 3]), (1, 64, [3, 2, 1, 0]), (2, 20, [1, 3, 0, 2])):
        torch.set_num_threads(count)
        np.testing.assert_array_equal(votes(eager, batch_size, rows)[clear], expected[clear])
    np.testing.assert_array_equal(votes(eager, 20, rows), votes(eager, 20, rows))
