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
from smoothcert.sampling import Inputs, Votes, check_inputs
from smoothcert.surrogate.inputs import Rows
from smoothcert.votes import tally_of
from smoothcert.votes.store import CachedInput, CertificationCache, Manifest

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
    y : ndarray of int64, shape (m,)
        Labels, used for accuracies alone.
    rows : list of CachedInput
        Every vote.
    """

    manifest: Manifest
    inputs: Inputs
    y: NDArray[np.int64]
    rows: list[CachedInput]

    @property
    def keys(self) -> list[bytes]:
        """The inputs' keys."""
        return [row.key for row in self.rows]

    @property
    def votes(self) -> Votes:
        """Every estimation vote, (m, n)."""
        return np.stack([row.votes for row in self.rows])

    def select(self, rows: NDArray[np.int64]) -> SampledInputs:
        """Return some of the inputs."""
        return replace(
            self, inputs=Rows(self.inputs, rows), y=self.y[rows], rows=[self.rows[i] for i in rows.tolist()]
        )

    def certificates(
        self, n: int | NDArray[np.int64], alpha: float, top_class: NDArray[np.int64] | None = None
    ) -> Certificates:
        """Certify from the first n votes of each input and nothing else; n may differ from input to input.

        The class is that of the selection votes, or one that was chosen without them.
        """
        tally = tally_of(self.rows, n)
        if top_class is not None:
            chosen = np.zeros_like(tally.selection)
            chosen[np.arange(len(chosen)), top_class] = 1
            tally = replace(tally, selection=chosen)
        return cohen_certificates(tally, alpha, self.manifest.noise(), math.prod(self.manifest.input_shape))


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
    return SampledInputs(
        manifest=store.manifest, inputs=inputs, y=np.asarray(y), rows=[store[key] for key in keys]
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
