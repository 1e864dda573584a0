"""Inputs with labels and every vote that a cache holds, and what CERTIFY makes of the first votes of each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smoothcert.certificate import Certificates
from smoothcert.data import load_dataset
from smoothcert.errors import CacheMismatchError, InvalidArgumentError
from smoothcert.noise import input_keys
from smoothcert.procedures import cohen_certificates
from smoothcert.sampling import Inputs, Votes, as_inputs
from smoothcert.surrogate import Rows
from smoothcert.votes import tally_of
from smoothcert.votes.store import (
    CachedInput,
    CertificationCache,
    Manifest,
    open_candidate,
    read_candidates,
    read_labels,
    read_provenance,
)

__all__ = ["SampledInputs", "cached_rows", "certify_first", "known_labels", "labelled_inputs", "read_sampled"]


@dataclass(frozen=True, kw_only=True, eq=False)
class SampledInputs:
    """Labelled inputs with every vote, from a cache that `certify` made."""

    manifest: Manifest
    inputs: Inputs  # clean, (m, *shape)
    y: NDArray[np.int64]  # labels, used for accuracies alone
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
        kept = [self.rows[i] for i in rows]
        return replace(self, inputs=Rows(self.inputs, rows), y=self.y[rows], rows=kept)

    def certificates(
        self, n: int | NDArray[np.int64], alpha: float, top_class: NDArray[np.int64] | None = None
    ) -> Certificates:
        """Certify from the first n votes, the class of the selection votes or one chosen without them."""
        return certify_first(n, alpha, self.rows, self.manifest, top_class)


def certify_first(
    n: int | NDArray[np.int64],
    alpha: float,
    rows: Iterable[CachedInput],
    manifest: Manifest,
    top_class: NDArray[np.int64] | None = None,
) -> Certificates:
    """Certify from the first n votes of each input and nothing else, as CERTIFY with n samples does."""
    tally = tally_of(rows, n)
    if top_class is not None:
        chosen = np.zeros_like(tally.selection)
        chosen[np.arange(len(chosen)), top_class] = 1
        tally = replace(tally, selection=chosen)
    return cohen_certificates(tally, alpha, manifest.noise(), manifest.size)


def read_sampled(cache: str | Path, x: Any, y: NDArray[np.int64]) -> SampledInputs:
    """Read inputs with every vote from a cache with selection votes."""
    store = CertificationCache(cache)
    if store.manifest.n0 == 0:
        raise InvalidArgumentError(
            f"{store.path} has no selection votes, so that CERTIFY cannot be evaluated on it: give a cache that "
            "smoothcert certify made"
        )
    inputs, y = labelled_inputs(x, y)
    rows = list(cached_rows(store, list(input_keys(inputs))))
    return SampledInputs(manifest=store.manifest, inputs=inputs, y=np.asarray(y), rows=rows)


def labelled_inputs(x: Any, y: NDArray[np.int64] | None) -> tuple[Inputs, NDArray[np.int64]]:
    """Return the inputs, checked, and a label for each."""
    given = as_inputs(x)
    if y is None:
        y = given.labels
    if y is None:
        raise InvalidArgumentError("y is missing: x has no labels of its own, so give them")
    if np.shape(y) != (len(given.inputs),):
        raise InvalidArgumentError(
            f"y has shape {np.shape(y)}, but x has {len(given.inputs)} inputs: give one label each"
        )
    if given.labels is not None and (wrong := np.flatnonzero(given.labels != y)).size:
        i = int(wrong[0])
        raise InvalidArgumentError(
            f"y[{i}] is {y[i]}, but x[{i}] came with the label {given.labels[i]}: give both in one order"
        )
    return given.inputs, np.asarray(y)


def known_labels(store: CertificationCache) -> tuple[list[bytes], NDArray[np.int64]]:
    """Return all inputs of a cache, and the labels that were kept with it; refuse candidates that lack some."""
    keys = [key for entry in store.entries for key in entry.keys]
    for record in read_candidates(store.path):
        own = open_candidate(store, record)
        # On the inputs that are left, accuracies would be of others than the cache's, and gates would not say so.
        if lacking := sum(key not in own for key in keys):
            raise CacheMismatchError(
                f"{own.path} lacks {lacking} of the {len(keys)} inputs of {store.path}: recertify {record.spec!r} "
                "on all of them, or name the inputs to compare (x, or --data)"
            )
    labels = read_labels(store.path) or _recorded_labels(store.path)
    if unknown := sum(key not in labels for key in keys):
        raise InvalidArgumentError(
            f"{store.path} does not know the labels of {unknown} of its {len(keys)} inputs: give x and y, or name "
            "their data set with --data"
        )
    return keys, np.array([labels[key] for key in keys], np.int64)


def _recorded_labels(cache: Path) -> dict[bytes, int]:
    """Read the labels from the data set that a cache says its inputs are from, as older caches keep none."""
    found = read_provenance(cache)
    if found is None:
        return {}
    dataset = load_dataset(found.data, found.split, found.limit, found.skip)
    return dict(zip(input_keys(dataset.inputs), dataset.labels.tolist(), strict=True))


def cached_rows(cache: CertificationCache, keys: list[bytes]) -> Iterator[CachedInput]:
    """Read the votes of some inputs, once it is known that all are there."""
    cache.require(keys)
    return (cache[key] for key in keys)
