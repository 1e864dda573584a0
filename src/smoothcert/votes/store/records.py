"""Small JSON records of the candidates that were recertified from a cache."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from pathlib import Path

from smoothcert._folders import exists, list_folder, refuse_links
from smoothcert._records import RecordFormat, is_bool, is_int, is_number, is_share, is_text
from smoothcert.errors import CacheCorruptError, CacheMismatchError
from smoothcert.votes.store.manifest import BUDGET, EVEN

__all__ = [
    "CandidateRecord",
    "candidate_folder",
    "read_candidates",
    "write_candidate",
]

_CANDIDATE, _CANDIDATES = "candidate.json", "candidates"
_SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_is_index = is_int(0, 1 << 40)


@dataclass(frozen=True, kw_only=True)
class CandidateRecord:
    """A candidate that was recertified from a cache.

    Attributes
    ----------
    spec : str
        What was asked for, such as ``"prune:0.10"``.
    name : str
        Name of its folder.
    description : str
        What it computes.
    n_p : int
        Samples per input; with spread ``"budget"``, on average.
    alpha_zeta : float
        Failure probability of the disparity's bound.
    gamma : float or "auto"
        The threshold asked for.
    identical : bool
        Whether its outputs are bit-identical to the base's.
    bound : str
        The bound asked for, the paper's where none is named. "one-sided", which was removed, is still read.
    runner_up : bool
        Whether the runner-up class is bounded too.
    start : int
        First sample of the cache that its votes are paired with.
    holdout : bool
        Whether its samples were held out while it was made.
    together : int
        Candidates that its certificates hold together with, itself included.
    spread : {"even", "budget"}
        How its samples are spread over the inputs.
    looked_at : int
        With spread ``"budget"``, how many samples of the cache any input's votes are paired with at most.
    """

    spec: str
    name: str
    description: str
    n_p: int
    alpha_zeta: float
    gamma: float | str
    identical: bool
    bound: str = "irs"
    runner_up: bool = False
    start: int = 0
    holdout: bool = False
    together: int = 1
    spread: str = EVEN
    looked_at: int = 0

    @property
    def stop(self) -> int:
        """Behind the last sample of the cache that its votes are paired with."""
        return self.start + (self.n_p if self.spread == EVEN else self.looked_at)


_CANDIDATE_FORMAT = RecordFormat(
    name="smoothcert-candidate",
    version=2,
    bare=True,
    legal={
        "spec": is_text,
        "name": is_text,
        "description": is_text,
        "n_p": is_int(1, 1 << 40),
        "alpha_zeta": is_share,
        "gamma": lambda v: v == "auto" or is_number(0.5, 1)(v),
        "identical": is_bool,
        "bound": lambda v: v in ("auto", "joint", "one-sided", "irs"),
        "runner_up": is_bool,
        "start": _is_index,
        "holdout": is_bool,
        "together": is_int(1, 1 << 20),
        "spread": lambda v: v in (EVEN, BUDGET),
        "looked_at": _is_index,
    },
    optional={f.name: f.default for f in dataclasses.fields(CandidateRecord) if f.default != dataclasses.MISSING},
)


def candidate_folder(cache: Path, name: str) -> Path:
    """Return the folder of a candidate's votes.

    Raises
    ------
    CacheMismatchError
        When the name is not one that a folder may have.
    CacheCorruptError
        When it is a link.
    """
    if _SLUG.fullmatch(name) is None:
        raise CacheMismatchError(f"candidate name {name!r} is not legal: use letters, digits, '.', '_' and '-'")
    return refuse_links(cache, f"{_CANDIDATES}/{name}")


def write_candidate(cache: Path, record: CandidateRecord) -> None:
    """Write the record of a candidate into its folder."""
    folder = candidate_folder(cache, record.name)
    _CANDIDATE_FORMAT.write(folder, _CANDIDATE, dataclasses.asdict(record))


def read_candidates(cache: Path) -> list[CandidateRecord]:
    """Read the records of all recertified candidates, by name.

    Raises
    ------
    CacheCorruptError
        When a record was changed, or could not have been written.
    """
    found = [name for name, _ in list_folder(cache, _CANDIDATES) if exists(cache / _CANDIDATES / name, _CANDIDATE)]
    return [_read_candidate(cache, name) for name in found]


def _read_candidate(cache: Path, name: str) -> CandidateRecord:
    folder = candidate_folder(cache, name)
    record = CandidateRecord(**_CANDIDATE_FORMAT.read(folder, _CANDIDATE))
    odd = None
    if record.name != name:
        odd = f"names {record.name!r}: it belongs to another folder"
    elif (record.bound == "irs") + record.runner_up + (record.together > 1) > 1:
        odd = "names two of bound 'irs', runner_up and together, which no certificate has"
    elif record.start and not record.holdout:
        odd = f"has start {record.start}, but no held-out samples"
    elif record.spread == BUDGET and (record.bound == "irs" or record.runner_up or record.holdout):
        odd = "has spread 'budget' with bound 'irs', runner_up or holdout, which need the same n_p for every input"
    if odd:
        raise CacheCorruptError(f"{folder / _CANDIDATE} {odd}; restore it, or recertify into another folder")
    return record
