"""How far a surrogate's radii are from sampled ones, and sampled counts from each other: the paper's tables."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smoothcert.errors import InvalidArgumentError
from smoothcert.evaluation.metrics import HasRadius
from smoothcert.sampling import Votes

__all__ = ["EstimationErrors", "OneSide", "estimation_errors", "sampling_variance"]


@dataclass(frozen=True)
class OneSide:
    """Inputs whose radius is predicted too low, or too high (half of Table VI)."""

    share: float  # of all inputs; the others are NaN where it is 0
    percentage_error: float  # mean of |predicted - sampled| / sampled, in percent
    mean_radius: float  # sampled: the paper's ground-truth ACR
    mean_error: float  # of |predicted - sampled|, in the units of the input
    error_variance: float


@dataclass(frozen=True)
class EstimationErrors:
    """Where a surrogate is below and where above what sampling certifies (Tables III and VI)."""

    under: OneSide
    over: OneSide


def estimation_errors(predicted: HasRadius, sampled: HasRadius, *, least: float = 0.25) -> EstimationErrors:
    """Compare predicted with sampled radii of the same inputs, where both are at least `least`."""
    both = (predicted.radius >= least) & (sampled.radius >= least)
    difference = predicted.radius - sampled.radius
    return EstimationErrors(
        _one_side(both & (difference < 0), difference, sampled.radius),
        _one_side(both & (difference > 0), difference, sampled.radius),
    )


def _one_side(which: NDArray[np.bool_], difference: NDArray[np.float64], radius: NDArray[np.float64]) -> OneSide:
    if not which.any():
        return OneSide(0.0, math.nan, math.nan, math.nan, math.nan)
    error = np.abs(difference[which])
    return OneSide(
        share=float(which.mean()),
        percentage_error=float(100 * (error / radius[which]).mean()),
        mean_radius=float(radius[which].mean()),
        mean_error=float(error.mean()),
        error_variance=float(error.var()),
    )


def sampling_variance(votes: Votes, num_classes: int, *, repeats: int = 50) -> NDArray[np.float64]:
    """Return the variance of the counts from one sampling to the next over N, class by class (Table IV), (k,)."""
    m, n = votes.shape
    if not 2 <= repeats <= n:
        raise InvalidArgumentError(f"repeats is {repeats} and there are {n} votes per input: give 2 .. {n}")
    # A binomial count has variance N p (1 - p), so the ratio does not depend on N: Table IV has it times 100,000,
    # Table V its mean in percent.
    size = n // repeats
    blocks = votes[:, : repeats * size].reshape(m, repeats, size)
    variances = [(blocks == c).sum(axis=2).var(axis=1, ddof=1).mean() for c in range(num_classes)]
    return np.asarray(np.array(variances) / size)
