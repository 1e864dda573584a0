"""What may stand for a classifier, and what is said about anything else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from smoothcert import certify, recertify
from smoothcert.classifiers import Classifier, FunctionClassifier
from smoothcert.errors import InvalidArgumentError
from smoothcert.votes import require_classifier

X = np.array([[0.2, 0.9], [0.6, 0.5]])


class Logits:
    """What a classifier has to have, and nothing else."""

    num_classes = 2
    fingerprint = "x0 > x1"

    def logits(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        return batch[:, ::-1]


class Labels(Logits):
    """The same with labels of its own, and another description."""

    description = {"runtime": "mine"}  # noqa: RUF012

    def classify(self, batch: NDArray[np.float32]) -> NDArray[np.int32]:
        return (batch[:, 0] > batch[:, 1]).astype(np.int32)


@pytest.mark.parametrize("kind", [Logits, Labels])
def test_an_object_with_logits_is_certified_and_recertified(kind: Any, tmp_path: Path) -> None:
    truth = FunctionClassifier(lambda x: x[:, ::-1], num_classes=2, fingerprint="truth")
    expected = certify(truth, X, sigma=0.25, n=500).certificates
    run = certify(kind(), X, sigma=0.25, n=500, cache=tmp_path)
    np.testing.assert_array_equal(run.certificates.radius, expected.radius)
    again = recertify(kind(), X, cache=tmp_path, n_p=100, base=kind())
    assert again.identical


def test_what_is_missing_is_filled_in() -> None:
    completed = require_classifier("f", Logits())
    assert isinstance(completed, Classifier)
    assert completed.description["name"].endswith(".Logits")
    batch = np.array([[0.1, 0.2], [np.nan, 0.0]], np.float32)
    assert completed.classify(batch).tolist() == [0, -1]
    assert completed.logits(batch.astype(np.float64)).dtype == np.float32
    own = require_classifier("f", Labels())
    assert own.description == {"runtime": "mine"}
    assert own.classify(batch).tolist() == [0, 0]
    whole = FunctionClassifier(lambda x: x, num_classes=2, fingerprint="f")
    assert require_classifier("f", whole) is whole


def linear(batch: NDArray[np.float32]) -> NDArray[np.float32]:
    return batch


class NoFingerprint:
    num_classes = 2

    def logits(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        return batch


class Strange(Logits):
    num_classes = "two"  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (torch.nn.Linear(2, 2), r"f is a Linear: give TorchClassifier\(module, num_classes=10\)"),
        ("model.onnx", r"f is a str: give OnnxClassifier\(path\)"),
        (Path("model.onnx"), r"Path: give OnnxClassifier\(path\)"),
        ("model.pt", r"load it, by .*load_checkpoint\(path\)"),
        (linear, r'f is a function: give FunctionClassifier\(function, num_classes=10, fingerprint="name"\)'),
        (Logits, "f is the class Logits: give an object of it"),
        (NoFingerprint(), "it has no fingerprint; give"),
        (Strange(), "it has no usable num_classes"),
        (None, r"it has no num_classes or fingerprint or logits; give .*from_estimator"),
    ],
)
def test_anything_else_is_told_how_to_become_one(value: Any, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        require_classifier("f", value)


def test_an_estimator_is_told_of_its_line() -> None:
    linear_model = pytest.importorskip("sklearn.linear_model")
    with pytest.raises(InvalidArgumentError, match=r"give FunctionClassifier\.from_estimator\(estimator\)"):
        certify(linear_model.RidgeClassifier().fit(X, [0, 1]), X, sigma=0.25)
