"""A candidate's votes, held against its record and the cache that they are paired with."""

from __future__ import annotations

from smoothcert.errors import CacheCorruptError, CacheMismatchError
from smoothcert.sampling import Identity
from smoothcert.votes.store.cache import CertificationCache
from smoothcert.votes.store.holdouts import read_holdouts
from smoothcert.votes.store.records import CandidateRecord, candidate_folder

__all__ = ["open_candidate"]

_SHARED = ("sigma", "noise_law", "noise_digest", "seed", "num_classes", "input_shape")


def open_candidate(base: CertificationCache, record: CandidateRecord) -> CertificationCache:
    """Open the votes of a candidate that was recertified from a cache.

    Parameters
    ----------
    base : CertificationCache
        The votes of f.
    record : CandidateRecord
        One of the cache's candidates.

    Returns
    -------
    CertificationCache
        The votes of f^p. A part of them whose votes start elsewhere than the record says is refused when read.

    Raises
    ------
    CacheMismatchError
        When the candidate belongs to another cache.
    CacheCorruptError
        When votes and record disagree, or the samples were not held out as the record says.
    """
    n, folder = base.manifest.n, candidate_folder(base.path, record.name)
    own = CertificationCache(folder, starts=(record.start, record.start + n))
    if own.manifest.base != base.manifest.digest:
        raise CacheMismatchError(f"{own.path} was recertified from another cache: recertify {record.spec!r} again")
    recorded = {"n": record.n_p, "spread": record.spread, "alpha": base.manifest.alpha + record.alpha_zeta}
    for name, want in {**recorded, **{name: getattr(base.manifest, name) for name in _SHARED}}.items():
        have = getattr(own.manifest, name)
        if have != want:
            raise CacheCorruptError(
                f"{own.path} holds votes with {name} = {have!r}, but its record and the cache say {want!r}: "
                "restore it, or recertify into another folder"
            )
    start, stop = record.start, record.stop
    if stop > n or (record.holdout and not _was_held_out(base, own, start, stop)):
        raise CacheCorruptError(
            f"{own.path} claims samples {start} to {stop - 1} of {base.path}, which are not there or not held "
            "out: restore it, or recertify into another folder"
        )
    return own


def _was_held_out(base: CertificationCache, own: CertificationCache, start: int, stop: int) -> bool:
    """Tell whether a range was held out for this candidate; older versions named it by its fingerprint alone."""
    names = {own.manifest.fingerprint}
    if own.manifest.identity:
        names = {Identity(**own.manifest.identity).name(own.manifest.fingerprint)}
    return any(
        look.held_out and (look.start, look.stop) == (start, stop) and names & set(look.candidates)
        for look in read_holdouts(base.path)
    )
