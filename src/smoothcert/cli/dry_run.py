"""What a command would cost, said at once: nothing is loaded but what says how much there is to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from smoothcert.cli.printing import print_result

__all__ = ["known_pace", "show_cost"]


def known_pace(*folders: Path | None) -> float | None:
    """Return the seconds of a sample in the first of these caches that knows; None where none is one, or does."""
    from smoothcert.errors import SmoothcertError
    from smoothcert.votes.store import CertificationCache

    for folder in folders:
        if folder is None or not folder.is_dir():
            continue
        try:
            timing = CertificationCache(folder).timing()
        except SmoothcertError:  # of another kind, or damaged: the command itself will say so
            continue
        if timing.samples and timing.seconds:
            return timing.seconds / timing.samples
    return None


def show_cost(
    as_json: bool, samples: int, votes: int = 0, pace: float | None = None, *, most: bool = False, what: str = ""
) -> None:
    """Print what is to come.

    Parameters
    ----------
    as_json : bool
        As one JSON object.
    samples : int
        Forward passes.
    votes : int
        Those of them that are kept.
    pace : float, optional
        Seconds of a forward pass, as they were measured before.
    most : bool
        Whether there may be less to do.
    what : str
        What else there is to say.
    """
    from smoothcert.procedures import BYTES_PER_VOTE

    seconds, size = None if pace is None else samples * pace, votes * BYTES_PER_VOTE
    facts: dict[str, Any] = {"samples": samples, "seconds": seconds, "bytes": size, "at_most": most}
    time = (
        "for a time unknown before any was run"
        if seconds is None
        else f"about {_short(seconds)} s as in the cache"
    )
    kept = f", {_short(size / 1e6)} MB of votes" if votes else ""
    line = f"{'at most ' if most else ''}{samples:,} forward passes, {time}{kept}{what and f'; {what}'}"
    print_result(as_json, facts, line)


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"
