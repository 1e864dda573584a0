"""Samples of a cache that nobody looked at while a candidate was made."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from smoothcert.cache import CertificationCache, reserve
from smoothcert.classifiers import Classifier
from smoothcert.errors import InvalidArgumentError
from smoothcert.procedures.arguments import require_classifier, require_count
from smoothcert.sampling import identify

__all__ = ["HELD_OUT", "require_holdout", "reserve_holdout"]

HELD_OUT = (
    "the candidate was fixed without looking at the noise or the votes of the cache's samples {start} to {stop} "
    "(the last excluded), nor of samples beyond the cache"
)


def reserve_holdout(cache: str | Path, holdout: tuple[int, int], candidates: Sequence[Classifier]) -> None:
    """Hold out a range of a cache's samples for several candidates that are fixed now.

    `recertify` does this by itself for one candidate. After the first of several was recertified on a range, the
    range is spent, unless all were named here before.

    Parameters
    ----------
    cache : str or Path
        Folder of the certification cache.
    holdout : (int, int)
        Sample indices [start, stop).
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
    ...     reserve_holdout(folder, (400, 600), [g, h])
    ...     again = sc.recertify(h, np.array([[0.2, 0.9]]), cache=folder, holdout=(400, 600))
    >>> bool(again.certificates.certified[0])
    True
    """
    manifest = (store := CertificationCache(cache)).manifest
    start, n_p = require_holdout(holdout, None)
    if start + n_p > manifest.n:
        raise InvalidArgumentError(
            f"holdout is {start}:{start + n_p}, but {store.path} holds n = {manifest.n} votes per input"
        )
    for candidate in candidates:
        require_classifier("candidates", candidate)
    shape, noise = manifest.input_shape, manifest.noise(str(store.path))
    named = [identify(c, shape, noise).name(c.fingerprint) for c in candidates]
    reserve(store.path, start, start + n_p, named)


def require_holdout(holdout: tuple[int, int] | None, n_p: int | None) -> tuple[int, int]:
    """Return the first sample and the number of samples."""
    if holdout is None:
        if n_p is None:
            raise InvalidArgumentError("n_p is None: give the samples of the candidate per input, such as 1000")
        return 0, require_count("n_p", n_p)
    try:
        start, stop = (require_count("holdout", i, at_least=0) for i in holdout)
    except (TypeError, ValueError) as error:
        raise InvalidArgumentError(f"holdout is {holdout!r}: give (start, stop), such as (5000, 6000)") from error
    if start >= stop or n_p not in (None, stop - start):
        raise InvalidArgumentError(
            f"holdout is {start}:{stop} and n_p is {n_p}: stop must exceed start, and n_p is their difference"
        )
    return start, stop - start
