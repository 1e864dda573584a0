"""Folders of votes: opened, or asked what they hold."""

from __future__ import annotations

from pathlib import Path

from smoothcert._folders import exists
from smoothcert.votes.store.cache import MANIFEST, CertificationCache
from smoothcert.votes.store.journal import ROUNDS_MANIFEST, RoundJournal
from smoothcert.votes.store.manifest import Manifest

__all__ = ["load_cache", "manifest_in", "votes_manifest"]


def load_cache(path: str | Path) -> CertificationCache:
    """Open the votes that `certify` kept, to be read.

    Parameters
    ----------
    path : str or Path
        Folder of the cache.

    Returns
    -------
    CertificationCache
        ``manifest`` says what the votes are votes of, ``cache[key]`` are those of an input.

    Raises
    ------
    CacheError
        When there is no cache, or it is damaged.

    Examples
    --------
    >>> import numpy as np, smoothcert as sc, tempfile
    >>> f = sc.FunctionClassifier(lambda batch: batch, num_classes=2, fingerprint="identity")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     run = sc.certify(f, np.array([[0.9, 0.1]]), sigma=0.25, n=1000, cache=folder)
    ...     cache = sc.load_cache(folder)
    ...     len(cache), cache.manifest.n, int(cache[run.keys[0]].counts.sum())
    (1, 1000, 1000)
    """
    return CertificationCache(path)


def votes_manifest(path: str | Path) -> Manifest:
    """Return the manifest of kept votes, those of a certification cache or of a procedure that samples in rounds.

    Raises
    ------
    CacheMismatchError
        When there are none.
    CacheCorruptError
        When the manifest was changed.
    """
    folder = Path(path)
    return (RoundJournal(folder) if exists(folder, ROUNDS_MANIFEST) else CertificationCache(folder)).manifest


def manifest_in(folder: Path) -> Manifest | None:
    """Return the manifest of the votes in a folder, see `votes_manifest`; None where there are none."""
    kept = exists(folder, ROUNDS_MANIFEST) or exists(folder, MANIFEST)
    return votes_manifest(folder) if kept else None
