"""Pieces of a journal are the votes that were written, of the right request, or an error."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from forged_cache import manifest_of
from smoothcert._records import digest_of
from smoothcert.errors import CacheCorruptError, CacheMismatchError
from smoothcert.sampling.votes import vote_dtype
from smoothcert.votes.store import RoundJournal
from smoothcert.votes.store.lines import checked_line

MANIFEST = manifest_of()
REQUESTS = [hashlib.sha256(bytes([i])).hexdigest() for i in range(3)]


def written(folder: Path, num_classes: int) -> list[Any]:
    """Three pieces of all that a vote can be."""
    rng = np.random.default_rng(0)
    dtype = vote_dtype(num_classes)
    pieces = []
    manifest = replace(MANIFEST, num_classes=num_classes)
    with RoundJournal.writing(folder, manifest, {"name": "test"}, [bytes(32)]) as journal:
        for request, size in zip(REQUESTS, (1, 50, 400), strict=True):
            votes: Any = rng.integers(0, num_classes, size).astype(dtype)
            votes[: size // 10] = np.iinfo(dtype).max
            votes[-1] = num_classes - 1
            pieces.append(votes)
            journal.append(request, votes)
    return pieces


@pytest.mark.parametrize("num_classes", [2, 254, 255, 1000, 65534])
def test_votes_are_read_as_they_were_written(tmp_path: Path, num_classes: int) -> None:
    pieces = written(tmp_path / "j", num_classes)
    journal = RoundJournal(tmp_path / "j")
    assert len(journal) == 3
    assert journal.damaged() == []
    for number, (request, votes) in enumerate(zip(REQUESTS, pieces, strict=True)):
        np.testing.assert_array_equal(journal.read(number, request, len(votes)), votes)


def test_other_requests_are_refused(tmp_path: Path) -> None:
    written(tmp_path / "j", 2)
    journal = RoundJournal(tmp_path / "j")
    for request, votes in ((REQUESTS[0], 50), (REQUESTS[1], 49), (REQUESTS[1], 51)):
        with pytest.raises(CacheMismatchError, match="other samples than this call asks for, from piece 1 on"):
            journal.read(1, request, votes)


@pytest.mark.parametrize(
    "change",
    [
        lambda votes: np.where(np.arange(50) == 7, 3, votes),  # no class, and not the invalid vote
        lambda votes: np.where(np.arange(50) == 7, 254, votes),
        lambda votes: votes[:-1],
        lambda votes: np.append(votes, votes[:1]),
    ],
)
def test_a_forged_piece_is_refused_and_the_remedy_named(tmp_path: Path, change: Any) -> None:
    """With checksums that fit."""
    pieces, folder = written(tmp_path / "j", 3), tmp_path / "j"
    data = pa.compress(change(pieces[1]).astype(np.uint8).tobytes(), codec="zstd", asbytes=True)
    (folder / "rounds" / "000001.votes").write_bytes(data)
    lines = [json.loads(line.partition(" ")[2]) for line in (folder / "rounds.jsonl").read_text().splitlines()]
    lines[1] |= {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    (folder / "rounds.jsonl").write_text("".join(checked_line(line) + "\n" for line in lines))
    journal = RoundJournal(folder)
    with pytest.raises(CacheCorruptError, match=f"restore it, or remove {folder} and begin again"):
        journal.read(1, REQUESTS[1], 50)
    assert len(journal.damaged()) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"procedure": ["name"]}, {"procedure": {"name": ["test"]}}, {"procedure": {"name": True}},
        {"procedure": None}, {"votes": []}, {"inputs": "0"},
    ],
)  # fmt: skip
def test_an_illegal_record_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    written(tmp_path / "j", 2)
    path = tmp_path / "j" / "rounds.json"
    content = json.loads(path.read_text())
    header = {name: content.pop(name) for name in ("format", "format_version", "digest")}
    content |= change
    path.write_text(json.dumps({**header, **content, "digest": digest_of(content)}))
    with pytest.raises(CacheCorruptError, match=r"rounds\.json"):
        RoundJournal(tmp_path / "j")
