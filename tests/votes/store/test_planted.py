"""A received cache cannot make us write, or read, outside of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from forged_cache import World
from smoothcert.errors import CacheCorruptError, CacheError
from smoothcert.votes.store import (
    CandidateRecord,
    CertificationCache,
    Provenance,
    read_candidates,
    read_provenance,
    reserve,
    write_candidate,
    write_provenance,
)

RECORD = CandidateRecord(
    spec="s", name="shifted", description="d", n_p=1, alpha_zeta=0.1, gamma=0.9, identical=False
)
PROVENANCE = Provenance(model="m", data="digits", split="test", limit=None, skip=1)


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    path = tmp_path / "victim"
    path.write_text("precious")
    return path


def test_a_temporary_name_cannot_be_planted(world: World, victim: Path) -> None:
    for name in (".recipe.json.tmp", ".index.jsonl.tmp", ".manifest.json.tmp"):
        (world.cache / name).symlink_to(victim)
    sorted((world.cache / "parts").iterdir())[0].write_bytes(b"damaged")
    write_provenance(world.cache, PROVENANCE)
    CertificationCache.repair(world.cache)
    world.certify()
    assert victim.read_text() == "precious"
    assert read_provenance(world.cache) == PROVENANCE


@pytest.mark.parametrize("name", ["index.jsonl", "timings.jsonl", ".lock", "holdouts.jsonl", ".holdouts.lock"])
@pytest.mark.parametrize("kind", ["link", "dangling", "second name", "pipe"])
def test_what_is_added_to_is_a_file_of_its_own(world: World, victim: Path, name: str, kind: str) -> None:
    victim.with_name("other").write_text("")
    path = world.cache / name
    path.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "second name":
        path.hardlink_to(victim.with_name("other"))
    else:
        path.symlink_to(victim if kind == "link" else victim.with_name("nothing"))
    with pytest.raises(CacheError, match=name):
        if "holdouts" in name:
            reserve(world.cache, 5000, 6000, ["a"])
        else:
            for part in (world.cache / "parts").iterdir():
                part.unlink()
            CertificationCache.repair(world.cache)
            world.certify()
    assert victim.read_text() == "precious"
    assert victim.with_name("other").read_text() == ""
    assert not victim.with_name("nothing").exists()


@pytest.mark.parametrize("name", ["parts", "candidates", "candidates/shifted"])
def test_a_folder_that_is_a_link_is_refused(world: World, tmp_path: Path, name: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    (world.cache / name).rename(elsewhere)
    (world.cache / name).symlink_to(elsewhere)
    before = sorted(elsewhere.rglob("*"))
    with pytest.raises(CacheCorruptError, match="is a link, which is not followed"):
        if name == "parts":
            world.certify()
        else:
            read_candidates(world.cache)
    with pytest.raises(CacheError, match="is a link, which is not followed"):
        if name == "parts":
            (world.cache / "index.jsonl").unlink()
            world.certify()
        else:
            write_candidate(world.cache, RECORD)
    assert sorted(elsewhere.rglob("*")) == before


def test_the_user_may_name_a_cache_by_a_link(world: World, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(world.cache)
    assert World(link).certify().timing.samples == 0
    write_provenance(link, PROVENANCE)
    assert read_provenance(world.cache) == PROVENANCE


def test_what_kills_left_is_removed_and_nothing_else(world: World, victim: Path) -> None:
    name = f".x.{'0123456789abcdef' * 2}.tmp"
    left = [world.cache / name, world.cache / "parts" / name]
    for path in left:
        path.write_text("half")
    kept = [world.cache / ".x.tmp", world.cache / f".y.{'0' * 32}.tmp", world.cache / f"x.{'0' * 32}.tmp"]
    kept[0].write_text("")
    kept[1].symlink_to(victim)
    kept[2].write_text("")
    world.certify()
    assert not any(path.exists() for path in left)
    assert all(path.exists() for path in kept)
    assert victim.read_text() == "precious"


def test_a_part_is_not_read_through_a_link(world: World) -> None:
    part = sorted((world.cache / "parts").iterdir())[0]
    part.rename(world.cache / "elsewhere")
    part.symlink_to(world.cache / "elsewhere")
    with pytest.raises(CacheCorruptError, match="cannot be read"):
        world.certify()
