"""Samples of a cache that nobody looked at while a candidate was made."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from smoothcert.bounds import smallest_n
from smoothcert.classifiers import Classifier
from smoothcert.errors import InvalidArgumentError
from smoothcert.sampling import identify, probe_batch
from smoothcert.votes import require_classifier, require_count, run_like
from smoothcert.votes.store import CertificationCache, recorded_batch_size, reserve

__all__ = ["HELD_OUT", "PREMISE", "default_n_p", "require_samples", "reserve_holdout"]

PREMISE = "the candidate was fixed without looking at the noise or the votes of the cache"
HELD_OUT = (
    "the candidate was fixed without looking at the noise or the votes of the cache's samples {start} to {stop} "
    "(the last excluded), nor of samples beyond the cache"
)


def reserve_holdout(cache: str | Path, n_p: range, candidates: Sequence[Classifier]) -> None:
    """Hold out a range of a cache's samples for several candidates that are fixed now.

    `recertify` does this by itself for one candidate. After the first of several was recertified on a range, the
    range is spent, unless all were named here before.

    Parameters
    ----------
    cache : str or Path
        Folder of the certification cache.
    n_p : range
        Sample indices.
    candidates : sequence of Classifier
        The changed classifiers.

    Raises
    ------
    InvalidArgumentError
        When the range is not one of the cache, or somebody has looked at it.
    CacheError
        When there is no cache, or it cannot be written.

    Examples
    --------
    >>> import numpy as np, smoothcert as sc, tempfile
    >>> f, g, h = (sc.FunctionClassifier(lambda x: x, num_classes=2, fingerprint=name) for name in "fgh")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     run = sc.certify(f, np.array([[0.2, 0.9]]), sigma=0.25, n=1000, cache=folder)
    ...     reserve_holdout(folder, range(400, 600), [g, h])
    ...     again = sc.recertify(h, np.array([[0.2, 0.9]]), cache=folder, n_p=range(400, 600))
    >>> bool(again.certificates.certified[0])
    True
    """
    manifest = (store := CertificationCache(cache)).manifest
    samples = require_samples(n_p)
    if samples.stop > manifest.n:
        raise InvalidArgumentError(f"n_p is {n_p!r}, but {store.path} holds n = {manifest.n} votes per input")
    shape, noise = manifest.input_shape, manifest.noise(str(store.path))
    asked = [require_classifier("candidates", c) for c in candidates]
    probe = probe_batch(shape, noise)
    size = recorded_batch_size(manifest) or len(probe)
    run = [run_like(c, manifest, lambda count: np.resize(probe, (count, *shape)), size) for c in asked]
    named = [identify(c, shape, noise).name(c.fingerprint) for c in run]
    reserve(store.path, samples.start, samples.stop, named)


def default_n_p(n: int, alpha: float) -> int:
    """Return a candidate's samples if nobody says: a tenth of the cache's n, and enough to certify anything.

    Examples
    --------
    >>> default_n_p(10_000, 0.002), default_n_p(50, 0.002), default_n_p(5, 0.002)
    (1000, 9, 5)
    """
    return min(n, max(n // 10, smallest_n(alpha)))


def require_samples(n_p: int | range | None) -> range:
    """Return the samples that a candidate votes on: the first n_p, or those of a range that is held out."""
    if not isinstance(n_p, range):
        return range(require_count("n_p", n_p))
    if n_p.step != 1 or not 0 <= n_p.start < n_p.stop:
        raise InvalidArgumentError(f"n_p is {n_p!r}: give range(start, stop), such as range(5000, 6000)")
    return n_p
