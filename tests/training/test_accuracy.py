"""Accuracy under noise, of a classifier for which it is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from smoothcert.data import ArrayInputs, Dataset
from smoothcert.errors import InvalidArgumentError
from smoothcert.training import noisy_accuracy


def test_noisy_accuracy_of_a_threshold_is_its_gaussian_probability() -> None:
    class Threshold(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.cat([0.5 - x, x - 0.5], dim=1)

    dataset = Dataset("one", ArrayInputs(np.array([[0.75]])), np.array([1]), ("low", "high"))
    assert noisy_accuracy(Threshold(), dataset, sigma=0.0) == 1.0
    # P(0.75 + 0.25 z > 0.5) = Phi(1); 4,000 samples have a standard deviation of 0.006.
    accuracy = noisy_accuracy(Threshold(), dataset, sigma=0.25, samples=4000)
    assert accuracy == pytest.approx(0.8413, abs=0.02)
    for name, value in (("sigma", -1.0), ("samples", 0), ("batch_size", 0), ("seed", -1)):
        with pytest.raises(InvalidArgumentError, match=f"{name} is {value}"):
            noisy_accuracy(Threshold(), dataset, **{"sigma": 0.5, name: value})  # type: ignore[arg-type]
