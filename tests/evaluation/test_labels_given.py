"""Labels beside inputs that bring labels of their own must be the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import smoothcert as sc
from closed_form import half_space
from smoothcert.errors import CacheMismatchError, InvalidArgumentError
from smoothcert.evaluation import compare


def test_labels_in_another_order_than_those_of_the_inputs_are_refused(tmp_path: Path) -> None:
    x, y = np.array([[0.9, 0.0], [0.1, 0.0], [0.8, 0.0]]), np.array([1, 0, 1])
    sc.certify(half_space(), x, sigma=0.25, n=100, cache=tmp_path)
    with pytest.raises(InvalidArgumentError, match=r"y\[1\] is 1, but x\[1\] came with the label 0"):
        compare(tmp_path, (x, y), np.array([1, 1, 0]))
    assert compare(tmp_path, (x, y), y).y.tolist() == [1, 0, 1]


def test_a_candidate_that_lacks_inputs_is_not_compared_in_silence(tmp_path: Path) -> None:
    f = sc.FunctionClassifier(lambda batch: batch, num_classes=2, fingerprint="identity")
    g = sc.Candidate("other", sc.FunctionClassifier(lambda batch: 2 * batch, 2, "twice"), "twice as much")
    x, y = np.array([[0.9, 0.1], [0.2, 0.7]]), np.array([0, 1])
    sc.certify(f, (x[:1], y[:1]), sigma=0.25, n=200, cache=tmp_path)
    sc.recertify(g, x[:1], cache=tmp_path, n_p=50)
    assert len(compare(tmp_path).y) == 1
    sc.certify(f, (x, y), sigma=0.25, n=200, cache=tmp_path)
    with pytest.raises(CacheMismatchError, match="lacks 1 of the 2 inputs"):
        compare(tmp_path)
    assert len(compare(tmp_path, x[:1], y[:1]).y) == 1
