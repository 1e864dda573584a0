"""Repeating votes that were kept, which catches another model behind the same name."""

from __future__ import annotations

from pathlib import Path

from smoothcert.errors import CacheMismatchError
from smoothcert.noise import Purpose
from smoothcert.sampling import SampleRange, Votes
from smoothcert.votes.smoothed import Smoothed
from smoothcert.votes.store import CertificationCache

__all__ = ["REPEATED", "REPETITION_TOLERANCE", "repeat_cached", "require_repeated"]

REPEATED = 64
"""Votes that are repeated before others are added to them."""

REPETITION_TOLERANCE = 0.1  # near ties may fall differently on another machine


def repeat_cached(g: Smoothed, cache: CertificationCache) -> None:
    """Repeat some cached votes of the first input that is there.

    Raises
    ------
    CacheMismatchError
        When the classifier votes otherwise now: another model, preprocessing or noise.
    """
    row = next((i for i, key in enumerate(g.keys) if key in cache and len(cache[key].votes)), None)
    if row is None:
        return
    kept = cache[g.keys[row]]
    count = min(REPEATED, len(kept.votes))
    purpose = Purpose[cache.manifest.purpose.upper()]
    (votes,) = g.sample([SampleRange(row, g.keys[row], purpose, kept.start, kept.start + count)])
    require_repeated(cache.path, row, votes, kept.votes[:count])


def require_repeated(path: Path, row: int, votes: Votes, cached: Votes) -> None:
    """Refuse votes of one input of which more than rounding explains differ from the cached ones."""
    changed = int((votes != cached).sum())
    if changed > REPETITION_TOLERANCE * len(cached):
        raise CacheMismatchError(
            f"{path} does not repeat: {changed} of {len(cached)} cached votes of x[{row}] are others now; "
            "the model, its preprocessing or the libraries are not those that made the cache"
        )
