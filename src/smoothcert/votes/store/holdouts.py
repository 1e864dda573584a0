"""Which sample ranges of a cache were looked at for which candidates: a range is held out once."""

from __future__ import annotations

import errno
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from smoothcert._files import locked
from smoothcert._records import is_bool, is_int, is_list, is_text
from smoothcert.errors import CacheError, CacheLockedError, InvalidArgumentError
from smoothcert.votes.store.lines import append_line, checked_records
from smoothcert.votes.store.records import read_candidates

__all__ = ["Holdout", "note_seen", "read_holdouts", "reserve"]

_FILE, _LOCK = "holdouts.jsonl", ".holdouts.lock"
_TRIES, _PAUSE = 100, 0.1
_READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)
_is_index, _is_names = is_int(0, 1 << 40), is_list(is_text)


@dataclass(frozen=True)
class Holdout:
    """Samples start .. stop - 1, looked at by these candidates.

    Attributes
    ----------
    start, stop : int
        Sample indices.
    candidates : list of str
        Names of the candidates that were fixed together before, see `smoothcert.sampling.Identity.name`.
    held_out : bool
        Whether nobody had looked at them before; older records say so of all.
    """

    start: int
    stop: int
    candidates: list[str]
    held_out: bool = True


def read_holdouts(cache: Path) -> list[Holdout]:
    """Read what was held out so far; CacheCorruptError when a line was changed."""
    records, _ = checked_records(cache, _FILE, _is_holdout)
    return [Holdout(r["start"], r["stop"], r["candidates"], r.get("held_out", True)) for r in records]


def reserve(cache: Path, start: int, stop: int, candidates: list[str]) -> None:
    """Spend a range of a cache's samples on some candidates; again for the same ones it changes nothing.

    Parameters
    ----------
    cache : Path
        Folder of the certification cache.
    start, stop : int
        Sample indices start .. stop - 1.
    candidates : list of str
        Names of all candidates that were fixed before anything in the range was looked at.

    Raises
    ------
    InvalidArgumentError
        When somebody has looked at the range, with the first range that is free.
    """
    with _ledger(cache):
        known = read_holdouts(cache)
        ranges = {(h.start, h.stop) for h in known if h.held_out}
        seen = [
            (r.start, r.stop, f"used to evaluate {r.name!r}")
            for r in read_candidates(cache)
            if not r.holdout or (r.start, r.stop) not in ranges  # whose line was lost
        ]
        seen += [(h.start, h.stop, "looked at before") for h in known if not set(candidates) <= set(h.candidates)]
        for first, last, why in seen:
            if first < stop and start < last:
                free = max(last for _, last, _ in seen)
                raise InvalidArgumentError(
                    f"samples {start} to {stop - 1} cannot be held out: samples {first} to {last - 1} of {cache} "
                    f"were {why}, and a candidate made since may have been fitted to them: take a range from "
                    f"{free} on, or audit on fresh noise"
                )
        if not any(h.held_out and (h.start, h.stop) == (start, stop) for h in known):
            _append(cache, len(known), Holdout(start, stop, sorted(candidates)))


def note_seen(cache: Path, start: int, stop: int, candidates: list[str]) -> None:
    """Remember that votes of these candidates in a range are looked at, so that nobody holds it out afterwards.

    A read-only cache is looked at all the same, with a warning: nobody can hold a range of it out either, but of a
    copy somebody could.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(_ledger(cache))
        except CacheError as error:
            if getattr(error.__cause__, "errno", None) not in _READ_ONLY:
                raise
            warnings.warn(
                f"samples {start} to {stop - 1} of {cache} are looked at, which could not be written down "
                f"({error}): do not hold them out of a copy",
                stacklevel=3,
            )
            return
        known = read_holdouts(cache)
        if not any(h.start <= start and stop <= h.stop and set(candidates) <= set(h.candidates) for h in known):
            _append(cache, len(known), Holdout(start, stop, sorted(candidates), held_out=False))


@contextmanager
def _ledger(cache: Path) -> Iterator[None]:
    """Hold the lock, which nobody holds for long: candidates of one cache may be recertified side by side."""
    with ExitStack() as stack:
        for attempt in range(_TRIES):
            try:
                stack.enter_context(locked(cache, _LOCK))
                break
            except CacheLockedError:
                if attempt == _TRIES - 1:
                    raise
                time.sleep(_PAUSE)
        yield


def _append(cache: Path, number: int, look: Holdout) -> None:
    append_line(cache, _FILE, {"number": number, **asdict(look)})


def _is_holdout(record: dict[str, Any]) -> bool:
    indices, names = [record.get(name) for name in ("start", "stop")], record.get("candidates")
    is_range = all(map(_is_index, indices)) and record["start"] < record["stop"]
    return is_range and _is_names(names) and is_bool(record.get("held_out", True))
