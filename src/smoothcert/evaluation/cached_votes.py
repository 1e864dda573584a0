"""Inputs with labels and every vote that a cache holds, and what CERTIFY makes of the first votes of each."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smoothcert.certificate import Certificates
from smoothcert.errors import InvalidArgumentError
from smoothcert.noise import input_keys
from smoothcert.procedures import cohen_certificates
from smoothcert.sampling import Inputs, Votes, check_inputs, count_votes
from smoothcert.surrogate import Rows
from smoothcert.votes.store import CachedInput, CertificationCache, Manifest

__all__ = ["SampledInputs", "cached_rows", "certify_first", "count_first", "labelled_inputs", "read_sampled"]


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

    def certificates(self, n: int | NDArray[np.int64], alpha: float) -> Certificates:
        """Certify from the first n votes of each input and nothing else; n may differ from input to input."""
        return certify_first(n, alpha, self.votes, self.selection_counts, self.manifest)


def certify_first(
    n: int | NDArray[np.int64],
    alpha: float,
    votes: Sequence[Votes] | Votes,
    selection_counts: NDArray[np.int64],
    manifest: Manifest,
    cache: str = "the cache",
) -> Certificates:
    """Certify from the first n votes of each input and nothing else, as CERTIFY with n samples does."""
    counts, size = count_first(n, votes, manifest.num_classes), math.prod(manifest.input_shape)
    return cohen_certificates(selection_counts, counts, n, alpha, manifest.noise(cache), size)


def count_first(n: int | NDArray[np.int64], votes: Sequence[Votes] | Votes, num_classes: int) -> NDArray[np.int64]:
    """Return votes per class among the first n of each input, (m, k)."""
    sizes = np.broadcast_to(n, len(votes))
    return np.stack([count_votes(row[:size], num_classes) for row, size in zip(votes, sizes, strict=True)])


def read_sampled(cache: str | Path, x: Any, y: NDArray[np.int64]) -> SampledInputs:
    """Read inputs with every vote from a cache with selection votes."""
    store = CertificationCache(cache)
    if store.manifest.n0 == 0:
        raise InvalidArgumentError(
            f"{store.path} has no selection votes, so that CERTIFY cannot be evaluated on it: give a cache that "
            "smoothcert certify made"
        )
    inputs = labelled_inputs(x, y)
    keys = list(input_keys(inputs))
    rows = list(cached_rows(store, keys))
    return SampledInputs(
        manifest=store.manifest,
        inputs=inputs,
        keys=keys,
        y=np.asarray(y),
        votes=np.stack([row.votes for row in rows]),
        selection_counts=np.stack([row.selection_counts for row in rows]),
    )


def labelled_inputs(x: Any, y: NDArray[np.int64]) -> Inputs:
    """Return the inputs, checked, when there is a label for each."""
    inputs = check_inputs(x)
    if np.shape(y) != (len(inputs),):
        raise InvalidArgumentError(
            f"y has shape {np.shape(y)}, but x has {len(inputs)} inputs: give one label each"
        )
    return inputs


def cached_rows(cache: CertificationCache, keys: list[bytes]) -> Iterator[CachedInput]:
    """Read the votes of some inputs, once it is known that all are there."""
    cache.require(keys)
    return (cache[key] for key in keys)
