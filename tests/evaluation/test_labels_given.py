"""Labels beside inputs that bring labels of their own must be the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import smoothcert as sc
from closed_form import half_space
from smoothcert.errors import InvalidArgumentError
from smoothcert.evaluation import compare


def test_labels_in_another_order_than_those_of_the_inputs_are_refused(tmp_path: Path) -> None:
    x, y = np.array([[0.9, 0.0], [0.1, 0.0], [0.8, 0.0]]), np.array([1, 0, 1])
    sc.certify(half_space(), x, sigma=0.25, n=100, cache=tmp_path)
    with pytest.raises(InvalidArgumentError, match=r"y\[1\] is 1, but x\[1\] came with the label 0"):
        compare(tmp_path, (x, y), np.array([1, 1, 0]))
    assert compare(tmp_path, (x, y), y).y.tolist() == [1, 0, 1]
