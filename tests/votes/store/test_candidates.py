"""A candidate's votes are read where they are what its record and the cache say, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import smoothcert as sc
from closed_form import half_space
from smoothcert.errors import CacheCorruptError, CacheMismatchError
from smoothcert.sampling import Identity
from smoothcert.votes.store import (
    CandidateRecord,
    CertificationCache,
    candidate_folder,
    note_seen,
    open_candidate,
    reserve,
    write_candidate,
)

X = np.linspace(0.6, 0.9, 3, dtype=np.float32)[:, None] * np.ones((1, 2), np.float32)
N = 300


def certified(tmp_path: Path, **changes: object) -> CertificationCache:
    call: dict[str, object] = {"sigma": 0.5, "n": N, "seed": 4, "cache": tmp_path / "c", **changes}
    sc.certify(half_space(), X, **call)  # type: ignore[arg-type]
    return CertificationCache(tmp_path / "c")


def recertified(base: CertificationCache, n_p: int | range, *, shift: float = 0.01) -> CandidateRecord:
    """Recertify as the command line does, votes and record beside the cache."""
    folder = candidate_folder(base.path, "moved")
    sc.recertify(half_space(0.5 + shift), X, cache=base.path, n_p=n_p, spread="even", bound="joint", out=folder)
    samples = n_p if isinstance(n_p, range) else range(n_p)
    record = CandidateRecord(
        spec="moved",
        name="moved",
        description="",
        n_p=len(samples),
        alpha_zeta=0.001,
        gamma=0.99,
        identical=False,
        bound="joint",
        start=samples.start,
        holdout=isinstance(n_p, range),
    )
    write_candidate(base.path, record)
    return record


@pytest.mark.parametrize("n_p", [N, 100, range(100), range(N), range(120, 200), range(120, N)])
def test_honest_votes_are_read(tmp_path: Path, n_p: int | range) -> None:
    base = certified(tmp_path)
    record = recertified(base, n_p)
    own = open_candidate(base, record)
    assert {(own[key].start, len(own[key].votes)) for entry in own.entries for key in entry.keys} == {
        (record.start, record.n_p)
    }


def test_other_ranges_looks_and_candidates_hold_nothing_out(tmp_path: Path) -> None:
    """Only a line of the ledger that names this candidate and this very range does, whatever else is in it."""
    base = certified(tmp_path)
    reserve(base.path, 0, 50, ["another"])
    record = recertified(base, range(120, 200))
    reserve(base.path, 200, 250, ["another"])
    open_candidate(base, record)
    ledger = base.path / "holdouts.jsonl"
    own = open_candidate(base, record).manifest
    name = Identity(**own.identity).name(own.fingerprint)
    spoiled: list[Callable[[], None]] = [
        lambda: reserve(base.path, 120, 200, ["another"]),
        lambda: reserve(base.path, 120, 201, [name]),
        lambda: reserve(base.path, 119, 200, [name]),
        lambda: note_seen(base.path, 120, 200, [name]),
        lambda: None,
    ]
    for spoil in spoiled:
        ledger.unlink(missing_ok=True)
        (candidate_folder(base.path, "moved") / "candidate.json").unlink()
        spoil()
        write_candidate(base.path, record)
        with pytest.raises(CacheCorruptError, match=r"claims samples 120 to 199 .* not there or not held out"):
            open_candidate(base, record)


@pytest.mark.parametrize(
    ("change", "named"),
    [({"n_p": 99}, "n = 100"), ({"alpha_zeta": 0.002}, "alpha = "), ({"start": 250}, "claims samples 250 to 349")],
)
def test_a_record_that_says_otherwise_is_refused(tmp_path: Path, change: dict[str, int], named: str) -> None:
    base = certified(tmp_path)
    record = recertified(base, 100)
    with pytest.raises(CacheCorruptError, match=named):
        open_candidate(base, replace(record, **change))  # type: ignore[arg-type]


@pytest.mark.parametrize("change", [{"sigma": 0.25}, {"seed": 5}, {"n": 200}, {"alpha": 0.01}])
def test_votes_that_are_paired_with_another_cache_are_refused(tmp_path: Path, change: dict[str, float]) -> None:
    record = recertified(certified(tmp_path / "one"), 100)
    other = certified(tmp_path / "other", **change)
    folder = candidate_folder(other.path, "moved")
    folder.parent.mkdir()
    candidate_folder(tmp_path / "one" / "c", "moved").rename(folder)
    with pytest.raises(CacheMismatchError, match="was recertified from another cache"):
        open_candidate(other, record)
