"""The dataset: labels checked, subsets lazy, positions remembered."""

from __future__ import annotations

import numpy as np
import pytest

from smoothcert.data import ArrayInputs, Dataset, UInt8Images
from smoothcert.errors import DataError, InvalidArgumentError


def _dataset(m: int = 10) -> Dataset:
    images = UInt8Images(np.arange(m, dtype=np.uint8).reshape(m, 1, 1, 1))
    return Dataset("toy", images, np.arange(m) % 2, ("even", "odd"))


def test_take_is_every_skip_th_up_to_the_limit() -> None:
    part = _dataset().take(limit=3, skip=4)
    assert part.indices.tolist() == [0, 4, 8]
    assert part.inputs.shape == (3, 1, 1, 1)
    assert _dataset().take(limit=99).indices.tolist() == list(range(10))
    assert _dataset().take(limit=2, skip=3).take(limit=1, skip=1).indices.tolist() == [0]
    assert isinstance(part.inputs, UInt8Images)


def test_positions_survive_a_selection_of_a_selection() -> None:
    part = _dataset().select([9, 2, -3]).select(np.array([2, 0]))
    assert part.indices.tolist() == [7, 9]
    np.testing.assert_array_equal(part.inputs.in_memory()[:].ravel() * 255, [7, 9])
    assert part.labels.tolist() == [1, 1]


@pytest.mark.parametrize(
    ("limit", "skip", "word"), [(0, 1, "limit is 0"), (-1, 1, "limit is -1"), (1, 0, "skip is 0")]
)
def test_nonsense_limits_are_refused(limit: int, skip: int, word: str) -> None:
    with pytest.raises(InvalidArgumentError, match=word):
        _dataset().take(limit, skip)


def test_positions_outside_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="outside toy"):
        _dataset().select([10])


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (np.array([0.0, 1.0]), "labels of type float64"),
        (np.array([0, 2]), "label 2 at position 1"),
        (np.array([-1, 0]), "label -1 at position 0"),
        (np.array([0, 1, 1]), r"2 inputs but labels of shape \(3,\)"),
    ],
)
def test_wrong_labels_are_refused(labels: np.ndarray, words: str) -> None:
    with pytest.raises(DataError, match=words):
        Dataset("toy", ArrayInputs(np.zeros((2, 1))), labels, ("a", "b"))
