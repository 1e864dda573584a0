from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smoothcert.approximate import same_function
from smoothcert.classifiers import FunctionClassifier

BATCH = np.random.default_rng(0).standard_normal((8, 3)).astype(np.float32)


def adding(row: list[float]) -> FunctionClassifier:
    def logits(batch: NDArray[np.float32]) -> NDArray[np.float32]:
        scores: NDArray[np.float32] = batch + np.array(row, np.float32)
        return scores

    return FunctionClassifier(logits, num_classes=3, fingerprint=str(row))


def test_one_bit_is_a_difference_though_all_labels_agree() -> None:
    base = FunctionClassifier(lambda batch: batch, num_classes=3, fingerprint="base")
    last_bit = FunctionClassifier(lambda batch: np.nextafter(batch, np.inf), num_classes=3, fingerprint="last bit")
    assert (base.classify(BATCH) == last_bit.classify(BATCH)).all()
    assert same_function(base, base, BATCH)
    assert not same_function(base, last_bit, BATCH)


def test_the_sign_of_zero_is_a_difference_and_equal_nans_are_none() -> None:
    zero = FunctionClassifier(lambda batch: 0 * np.abs(batch), num_classes=3, fingerprint="0")
    minus = FunctionClassifier(lambda batch: -0.0 * np.abs(batch), num_classes=3, fingerprint="-0")
    nan = adding([np.nan, 0.0, 0.0])
    assert not same_function(zero, minus, BATCH)
    assert same_function(nan, nan, BATCH)


def test_another_number_of_classes_is_a_difference() -> None:
    two = FunctionClassifier(lambda batch: batch[:, :2], num_classes=2, fingerprint="two")
    assert not same_function(adding([0.0, 0.0, 0.0]), two, BATCH)
