"""Which gates were put to which candidates of a cache: what a later comparison must know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from smoothcert._files import locked
from smoothcert._records import is_hex, is_list, is_number, is_share, is_text
from smoothcert.errors import CacheCorruptError, CacheError, CacheLockedError
from smoothcert.votes.store.lines import append_line, checked_records

__all__ = ["GatedComparison", "note_comparison", "read_comparisons"]

_FILE, _LOCK = "comparisons.jsonl", ".comparisons.lock"


@dataclass(frozen=True, kw_only=True)
class GatedComparison:
    """A comparison that put gates to candidates, and hence showed somebody how they do.

    Attributes
    ----------
    confidence : float or None
        Of all its verdicts together; None where alpha was not accounted for.
    gates : list of [float, float]
        Least certified accuracy and radius of each gate.
    candidates : dict of str to str
        For each candidate by name, the digest of its votes' manifest.
    """

    confidence: float | None
    gates: list[list[float]]
    candidates: dict[str, str]


def read_comparisons(cache: Path) -> list[GatedComparison]:
    """Read the comparisons so far, in order; CacheCorruptError when a line was changed."""
    records, _ = checked_records(cache, _FILE, _is_comparison)
    return [GatedComparison(**{name: r[name] for name in ("confidence", "gates", "candidates")}) for r in records]


def note_comparison(
    cache: Path, confidence: float | None, gates: Sequence[tuple[float, float]], candidates: Mapping[str, str]
) -> tuple[list[GatedComparison], list[GatedComparison]]:
    """Write a comparison down, unless it was made before; a cache that cannot be written is only read.

    Parameters
    ----------
    cache : Path
        Folder of the certification cache.
    confidence, gates, candidates
        See `GatedComparison`.

    Returns
    -------
    before, after : list of GatedComparison
        The other comparisons: those made before this one was first made, and those made since.

    Raises
    ------
    CacheError
        When the file of comparisons was changed, or another process writes it.
    """
    made = GatedComparison(
        confidence=confidence, gates=[list(gate) for gate in gates], candidates=dict(candidates)
    )
    known = read_comparisons(cache)
    try:
        with locked(cache, _LOCK):
            known = read_comparisons(cache)
            if made not in known:
                append_line(cache, _FILE, {"number": len(known), **asdict(made)})
    except (CacheLockedError, CacheCorruptError):
        raise
    except CacheError:
        pass
    place = known.index(made) if made in known else len(known)
    return known[:place], known[place + 1 :]


def _is_comparison(record: dict[str, Any]) -> bool:
    confidence, candidates = record.get("confidence"), record.get("candidates")
    is_gate = is_list(is_number(-1, float("inf")))
    return (
        (confidence is None or is_share(confidence))
        and is_list(lambda gate: is_gate(gate) and len(gate) == 2)(record.get("gates"))
        and isinstance(candidates, dict)
        and all(is_text(name) and is_hex(digest) for name, digest in candidates.items())
    )
