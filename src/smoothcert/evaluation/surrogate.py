"""A surrogate against sampling, on inputs whose votes are cached: the paper's tables as functions of a run."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smoothcert.certificate import Certificates
from smoothcert.errors import InvalidArgumentError
from smoothcert.evaluation.metrics import Claims
from smoothcert.noise import input_keys
from smoothcert.procedures import cohen_certificates
from smoothcert.sampling import Inputs, Votes, check_inputs, count_votes
from smoothcert.surrogate import Rows
from smoothcert.votes.store import CertificationCache, Manifest

__all__ = [
    "EstimationErrors",
    "OneSide",
    "SampledInputs",
    "estimation_errors",
    "read_sampled",
    "sampling_variance",
]


@dataclass(frozen=True, kw_only=True, eq=False)
class SampledInputs:
    """Labelled inputs with every vote, from a cache that `certify` made.

    Attributes
    ----------
    manifest : Manifest
        What the votes are votes of.
    inputs : Inputs, shape (m, *shape)
        The clean inputs.
    keys : list of bytes
        Their keys.
    y : ndarray of int64, shape (m,)
        Labels, used for accuracies alone.
    votes : ndarray of uint8 or uint16, shape (m, n)
        Every estimation vote.
    selection_counts : ndarray of int64, shape (m, k)
        Selection votes per class.
    """

    manifest: Manifest
    inputs: Inputs
    keys: list[bytes]
    y: NDArray[np.int64]
    votes: Votes
    selection_counts: NDArray[np.int64]

    def __len__(self) -> int:
        """Return the number of inputs."""
        return len(self.keys)

    def select(self, rows: NDArray[np.int64]) -> SampledInputs:
        """Return some of the inputs."""
        return SampledInputs(
            manifest=self.manifest,
            inputs=Rows(self.inputs, rows),
            keys=[self.keys[i] for i in rows],
            y=self.y[rows],
            votes=self.votes[rows],
            selection_counts=self.selection_counts[rows],
        )

    def with_classes(self, top_class: NDArray[np.int64]) -> SampledInputs:
        """Return the same with classes that were chosen without selection votes, one for each input."""
        chosen = np.zeros_like(self.selection_counts)
        chosen[np.arange(len(self)), top_class] = 1
        return replace(self, selection_counts=chosen)

    def counts(self, n: int | NDArray[np.int64]) -> NDArray[np.int64]:
        """Return votes per class among the first n of each input, (m, k)."""
        sizes = np.broadcast_to(n, len(self))
        k = self.manifest.num_classes
        return np.stack([count_votes(row[:size], k) for row, size in zip(self.votes, sizes, strict=True)])

    def certificates(self, n: int | NDArray[np.int64], alpha: float) -> Certificates:
        """Certify from the first n votes of each input and nothing else; n may differ from input to input."""
        return cohen_certificates(
            self.selection_counts,
            self.counts(n),
            n,
            alpha,
            self.manifest.noise(),
            math.prod(self.manifest.input_shape),
        )


def read_sampled(cache: str | Path, x: Any, y: NDArray[np.int64]) -> SampledInputs:
    """Read inputs with every vote from a cache.

    Parameters
    ----------
    cache : str or Path
        Folder of a certification cache with selection votes.
    x : array, tensor or lazy sequence, shape (m, *shape)
        Inputs, all of them in the cache.
    y : ndarray of int64, shape (m,)
        Their labels.

    Returns
    -------
    SampledInputs

    Raises
    ------
    CacheError
        When an input is missing or the cache is damaged.
    InvalidArgumentError
        When the cache has no selection votes, or the labels do not fit the inputs.
    """
    store = CertificationCache(cache)
    if store.manifest.n0 == 0:
        raise InvalidArgumentError(
            f"{store.path} has no selection votes, so that CERTIFY cannot be evaluated on it: give a cache that "
            "smoothcert certify made"
        )
    inputs = check_inputs(x)
    if np.shape(y) != (len(inputs),):
        raise InvalidArgumentError(
            f"y has shape {np.shape(y)}, but x has {len(inputs)} inputs: give one label each"
        )
    keys = list(input_keys(inputs))
    store.require(keys)
    rows = [store[key] for key in keys]
    return SampledInputs(
        manifest=store.manifest,
        inputs=inputs,
        keys=keys,
        y=np.asarray(y),
        votes=np.stack([row.votes for row in rows]),
        selection_counts=np.stack([row.selection_counts for row in rows]),
    )


@dataclass(frozen=True)
class OneSide:
    """Inputs whose radius is predicted too low, or too high (half of Table VI).

    Attributes
    ----------
    share : float
        Share of all inputs.
    percentage_error : float
        Mean of |predicted - sampled| / sampled, in percent; NaN when there are none.
    mean_radius : float
        Mean sampled radius (the paper's ground-truth ACR).
    mean_error, error_variance : float
        Mean and variance of |predicted - sampled|, in the units of the input.
    """

    share: float
    percentage_error: float
    mean_radius: float
    mean_error: float
    error_variance: float


@dataclass(frozen=True)
class EstimationErrors:
    """Where a surrogate is below and where above what sampling certifies (Tables III and VI)."""

    under: OneSide
    over: OneSide


def estimation_errors(predicted: Claims, sampled: Claims, *, least: float = 0.25) -> EstimationErrors:
    """Compare predicted with sampled radii where both are at least `least`.

    Parameters
    ----------
    predicted, sampled : Certificates or Claims
        Of the same m inputs.
    least : float
        Smallest radius that is looked at, in the units of the input; 0.25 in the paper.

    Returns
    -------
    EstimationErrors

    References
    ----------
    Bhardwaj, Kaushik, Gupta, "Accelerated Smoothing", 2024, section V-D, Tables III and VI.

    Examples
    --------
    >>> import numpy as np
    >>> from types import SimpleNamespace
    >>> one = SimpleNamespace(prediction=np.zeros(3, int), radius=np.array([0.4, 0.6, 0.1]))
    >>> two = SimpleNamespace(prediction=np.zeros(3, int), radius=np.array([0.5, 0.5, 0.5]))
    >>> errors = estimation_errors(one, two)
    >>> round(errors.under.percentage_error), round(errors.over.share, 3)
    (20, 0.333)
    """
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
    """Return how much counts vary from one sampling to the next, class by class (Table IV).

    Parameters
    ----------
    votes : ndarray of uint8 or uint16, shape (m, n)
        Votes of m inputs; they are cut into `repeats` samplings of N = n // repeats.
    num_classes : int
        Number of classes k.
    repeats : int
        Samplings per input, 2 .. n; 50 in the paper.

    Returns
    -------
    ndarray of float64, shape (k,)
        Variance of the count over samplings, mean over inputs, divided by N. Table IV has it times 100,000, and
        Table V the mean over classes in percent: a binomial count has variance N p (1 - p), so the ratio does not
        depend on N.

    Raises
    ------
    InvalidArgumentError
        When there are fewer votes than repeats.

    Examples
    --------
    >>> import numpy as np
    >>> votes = np.random.default_rng(0).choice(3, (20, 5000), p=[0.5, 0.3, 0.2]).astype(np.uint8)
    >>> sampling_variance(votes, 3).round(2)
    array([0.25, 0.21, 0.16])
    """
    m, n = votes.shape
    if not 2 <= repeats <= n:
        raise InvalidArgumentError(f"repeats is {repeats} and there are {n} votes per input: give 2 .. {n}")
    size = n // repeats
    blocks = votes[:, : repeats * size].reshape(m, repeats, size)
    variance = np.zeros(num_classes)
    for c in range(num_classes):
        variance[c] = (blocks == c).sum(axis=2).var(axis=1, ddof=1).mean()
    return np.asarray(variance / size)
