"""What sampling cost, kept beside a cache: seconds are never reproducible, so they are no part of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from smoothcert._records import is_int, is_number
from smoothcert.votes.store.lines import append_line, intact_records

__all__ = ["Timing", "note_timing", "total_timing"]

_FILE = "timings.jsonl"
_is_samples, _is_seconds = is_int(0, 1 << 62), is_number(-1.0, 1e12)


@dataclass(frozen=True)
class Timing:
    """What sampling cost.

    Attributes
    ----------
    samples : int
        Forward passes.
    seconds : float
        Wall-clock time.
    """

    samples: int
    seconds: float

    @property
    def words(self) -> str:
        """Samples and seconds, in words."""
        return f"{self.samples:,} samples in {self.seconds:,.1f} s"

    def __add__(self, other: Timing) -> Timing:
        """Return what both cost together."""
        return Timing(self.samples + other.samples, self.seconds + other.seconds)


def note_timing(folder: Path, part: str, timing: Timing) -> None:
    """Remember what a part cost."""
    record = {"part": part, "samples": timing.samples, "seconds": round(timing.seconds, 4)}
    append_line(folder, _FILE, record)


def total_timing(folder: Path, parts: Iterable[str]) -> Timing:
    """Return what these parts cost in total, as far as it is known; a part sampled twice counts once."""
    spent = {
        record["part"]: Timing(record["samples"], max(0.0, float(record["seconds"])))
        for record in intact_records(folder, _FILE)
        if isinstance(record.get("part"), str)
        and _is_samples(record.get("samples"))
        and _is_seconds(record.get("seconds"))
    }
    return sum((spent[part] for part in parts if part in spent), Timing(0, 0.0))
