"""Records are what was written, or an error that names the file."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from forged_cache import World
from smoothcert._records import digest_of
from smoothcert.errors import CacheError, SmoothcertError
from smoothcert.votes.store import (
    CertificationCache,
    Provenance,
    read_candidates,
    read_holdouts,
    read_provenance,
    reserve,
    verify,
    votes_manifest,
    write_provenance,
)

PROVENANCE = Provenance(model="m", data="digits", split="test", limit=None, skip=1)


def everything(cache: Path) -> tuple[Any, ...]:
    store = CertificationCache(cache)
    return (
        store.digest,
        read_candidates(cache),
        read_provenance(cache),
        read_holdouts(cache),
        votes_manifest(cache),
    )


@pytest.mark.parametrize(
    "name", ["candidates/shifted/candidate.json", "recipe.json", "holdouts.jsonl", "manifest.json", "index.jsonl"]
)
def test_a_flipped_bit_changes_nothing_silently(world: World, name: str) -> None:
    write_provenance(world.cache, PROVENANCE)
    reserve(world.cache, 5000, 6000, ["a"])
    reserve(world.cache, 6000, 7000, ["b"])
    before, path = everything(world.cache), world.cache / name
    data, rng = path.read_bytes(), np.random.default_rng(0)
    for bit in rng.choice(8 * len(data), 300, replace=False).tolist():
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        try:
            after = everything(world.cache)
        except SmoothcertError as error:
            assert path.name in str(error) or "holds no certification cache" in str(error)
        else:
            torn = bit // 8 == len(data) - 1 and name.endswith("l")  # the last end of a line, as a crash leaves it
            assert after == before or torn


@pytest.mark.parametrize(
    "line",
    [b"", b"[]", b"[" * 100_000, b"\xff\xfe", b'{"part": 1}', b'{"part": "p", "samples": "1"}',
     b'{"part": "p", "samples": 1, "seconds": NaN}', b'{"part": "p", "samples": -1, "seconds": 1e999}'],
)  # fmt: skip
def test_bad_timings_are_no_timings(world: World, line: bytes) -> None:
    samples = CertificationCache(world.cache).timing().samples
    path = world.cache / "timings.jsonl"
    path.write_bytes(line + b"\n" + path.read_bytes())
    assert CertificationCache(world.cache).timing().samples == samples == 7 * 20_020


def test_timings_of_older_versions_are_read(world: World) -> None:
    store = CertificationCache(world.cache)
    lines = [{"part": entry.name, "samples": 10, "seconds": 0.5} for entry in store.entries]
    (world.cache / "timings.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert dataclasses.astuple(store.timing()) == (30, 1.5)


@pytest.mark.parametrize(
    "change",
    [
        {"n_p": -1}, {"n_p": True}, {"n_p": 1.0}, {"alpha_zeta": 0.0}, {"alpha_zeta": 1.5}, {"alpha_zeta": 1},
        {"alpha_zeta": float("nan")}, {"alpha_zeta": float("inf")}, {"alpha_zeta": 10**400}, {"gamma": 0.5},
        {"gamma": 1.01}, {"gamma": True}, {"gamma": "AUTO"}, {"bound": "other"}, {"bound": []}, {"together": 0},
        {"together": True}, {"start": -1}, {"start": 5}, {"holdout": 1}, {"identical": 0}, {"name": "other"},
        {"bound": "irs", "together": 3}, {"runner_up": True, "together": 3}, {"bound": "irs", "runner_up": True},
        {"extra": 1}, {"spec": None},
    ],
)  # fmt: skip
@pytest.mark.parametrize("bare", [False, True])
def test_an_illegal_record_is_refused(world: World, change: dict[str, Any], bare: bool) -> None:
    """With a digest that fits, and as older versions wrote them, without one."""
    path = world.cache / "candidates" / "shifted" / "candidate.json"
    fields = json.loads(path.read_text())
    header = {name: fields.pop(name) for name in ("format", "format_version", "digest")}
    fields |= change
    path.write_text(json.dumps(fields if bare else {**header, **fields, "digest": digest_of(fields)}))
    with pytest.raises(CacheError, match=r"candidate\.json"):
        read_candidates(world.cache)
    assert verify(world.cache)[0].damage


def test_records_without_a_digest_are_read(world: World) -> None:
    """Those of older versions; the first ones lacked what came later."""
    path = world.cache / "candidates" / "shifted" / "candidate.json"
    before = read_candidates(world.cache)
    fields = json.loads(path.read_text())
    for name in ("format", "format_version", "digest", "together", "start", "holdout", "runner_up"):
        del fields[name]
    path.write_text(json.dumps(fields))
    assert read_candidates(world.cache) == before
    (world.cache / "recipe.json").write_text(json.dumps(dataclasses.asdict(PROVENANCE)))
    assert read_provenance(world.cache) == PROVENANCE


@pytest.mark.parametrize(
    "name", ["manifest.json", "index.jsonl", "recipe.json", "candidates/shifted/candidate.json"]
)
@pytest.mark.parametrize(
    "data", [b"[]", b"null", b"[" * 100_000, b'{"a": ' * 100_000, b"\xff\xff", b"{}", None, b"1" * 5000]
)
def test_whatever_a_file_holds_is_an_error_that_names_it(world: World, name: str, data: bytes | None) -> None:
    write_provenance(world.cache, PROVENANCE)
    path = world.cache / name
    path.unlink()
    if data is None:
        path.mkdir()
    else:
        path.write_bytes(data + b"\n")
    with pytest.raises(CacheError, match=path.name):
        everything(world.cache)


def test_a_path_that_leads_through_a_file_is_an_error(world: World) -> None:
    through = World(world.cache / "manifest.json" / "cache")
    with pytest.raises(CacheError, match="holds no certification cache"):
        CertificationCache(through.cache)
    with pytest.raises(CacheError, match="cannot write"):
        through.certify()
    with pytest.raises(CacheError, match="cannot be looked at"):
        CertificationCache("x" * 300)
