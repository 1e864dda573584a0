"""The data set that a surrogate learns from: each input's votes under noise, as shares."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smoothcert._results import Brief
from smoothcert.classifiers import Classifier
from smoothcert.errors import CacheMismatchError, InvalidArgumentError
from smoothcert.noise import NoiseName, NoiseStream, Purpose, input_keys
from smoothcert.sampling import Inputs, as_inputs
from smoothcert.votes import Quota, ShowProgress, Smoothed, require_count, sampling_groups
from smoothcert.votes.store import CertificationCache, Manifest

__all__ = ["VoteData", "collect_votes", "read_votes"]

_ALPHA = 0.001  # of the bounds that a cache keeps; without selection votes there is nothing to bound


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class VoteData(Brief):
    """Inputs and their votes.

    Attributes
    ----------
    manifest : Manifest
        What the votes are votes of.
    inputs : Inputs, shape (m, *shape)
        The clean inputs.
    keys : list of bytes
        Their keys.
    counts : ndarray of int64, shape (m, k)
        Votes per class, of n; invalid votes are in n and in no class.
    """

    manifest: Manifest
    inputs: Inputs
    keys: list[bytes]
    counts: NDArray[np.int64]

    def __len__(self) -> int:
        """Return the number of inputs."""
        return len(self.keys)

    def shares(self) -> NDArray[np.float32]:
        """Return the normalised counts, one distribution for each input.

        Returns
        -------
        ndarray of float32, shape (m, k) or (m, k + 1)
            Counts over n. Where any vote of any input is invalid, a last column holds the share of those, so
            that each row sums to 1 and no class gets what was not voted for it.
        """
        n = self.manifest.n
        invalid = n - self.counts.sum(axis=1, keepdims=True)
        counts = np.hstack([self.counts, invalid]) if invalid.any() else self.counts
        return (counts / n).astype(np.float32)


def collect_votes(
    classifier: Classifier,
    x: Any,
    *,
    sigma: float,
    n: int,
    cache: str | Path,
    seed: int = 0,
    noise: NoiseName | NoiseStream = "auto",
    batch_size: int | None = None,
    progress: ShowProgress = None,
) -> VoteData:
    """Sample the votes of f under noise around each input, to fit or to calibrate a surrogate.

    The result is a certification cache without selection votes, on noise of a purpose of its own: what a
    surrogate remembers of it says nothing about the votes that guided certification counts. A cache that `certify`
    made serves as well, but then its noise is spent for guided certification of the same inputs.

    Parameters
    ----------
    classifier : Classifier
        The base classifier f.
    x : array, tensor, sequence, data set or loader, shape (m, *shape)
        Inputs in [0, 1].
    sigma : float
        Standard deviation of the noise, in the units of the input.
    n : int
        Samples per input; the paper takes 100,000.
    cache : str or Path
        Folder of the votes; a call that was interrupted, made again, continues and ends with the same bytes.
    seed : int
        Seed of the noise stream.
    noise : {"auto", "grid", "gaussian", "quantised"} or NoiseStream
        The noise law, see `certify`.
    batch_size : int, optional
        Forward passes at once; it changes no noise.
    progress : callable or False, optional
        Called with (samples done, samples in total).

    Returns
    -------
    VoteData

    Raises
    ------
    InvalidArgumentError
        When an argument is out of range, or the classifier's votes depend on batch mates.
    CacheError
        When the cache does not fit the call, is damaged, locked or cannot be written.

    References
    ----------
    Bhardwaj, Kaushik, Gupta, "Accelerated Smoothing: A Scalable Approach to Randomized Smoothing", 2024, section
    IV-B.

    Examples
    --------
    >>> import numpy as np, smoothcert as sc, tempfile
    >>> f = sc.FunctionClassifier(lambda batch: batch, num_classes=2, fingerprint="identity")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     data = collect_votes(f, np.array([[0.5, 0.5], [1.0, 0.0]]), sigma=0.25, n=1000, cache=folder)
    >>> data.shares().round(1)
    array([[0.5, 0.5],
           [1. , 0. ]], dtype=float32)
    """
    n = require_count("n", n)
    g = Smoothed.open(classifier, x, sigma=sigma, seed=seed, noise=noise, batch_size=batch_size, folder=cache)
    quota = Quota(n0=0, n=n, alpha=_ALPHA, purpose=_purpose(cache))
    with sampling_groups(g, quota, folder=cache) as votes:
        counts = votes.tally(progress).counts
    return VoteData(manifest=CertificationCache(cache).manifest, inputs=g.inputs, keys=g.keys, counts=counts)


def _purpose(cache: str | Path) -> Purpose:
    """Return what votes are drawn for: fitting, where no older version began them otherwise."""
    try:
        return Purpose[CertificationCache(cache).manifest.purpose.upper()]
    except CacheMismatchError:  # there are none yet, or what is there is refused when it is opened for writing
        return Purpose.FITTING


def read_votes(cache: str | Path, x: Any) -> VoteData:
    """Read the votes of inputs from a cache.

    Parameters
    ----------
    cache : str or Path
        Folder of the cache, from `collect_votes` or `certify`.
    x : array, tensor, sequence, data set or loader, shape (m, *shape)
        Inputs, all of them in the cache, in any order.

    Returns
    -------
    VoteData

    Raises
    ------
    CacheError
        When an input is not in the cache, or the cache is damaged.
    InvalidArgumentError
        When the cache or `x` has no inputs.
    """
    store = CertificationCache(cache)
    if not len(store):
        raise InvalidArgumentError(
            f"{store.path} holds the votes of no input: run smoothcert surrogate votes first"
        )
    inputs = as_inputs(x).inputs
    keys = list(input_keys(inputs))
    store.require(keys)
    counts = np.stack([store[key].counts for key in keys])
    return VoteData(manifest=store.manifest, inputs=inputs, keys=keys, counts=counts)
