"""What is damaged is said and repaired; what is finished is never lost, and comes back to the same bytes."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from forged_cache import World
from smoothcert._files import locked
from smoothcert.errors import CacheCorruptError, CacheError, CacheLockedError
from smoothcert.votes.store import CertificationCache, RoundJournal, verify


def parts(world: World) -> list[Path]:
    return [world.cache / "parts" / entry.name for entry in CertificationCache(world.cache).entries]


def spoil(*paths: Path) -> None:
    for path in paths:
        path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize("which", [[0], [1], [2], [0, 2], [0, 1, 2]])
def test_repaired_parts_come_back_to_their_place(world: World, which: list[int]) -> None:
    before, digest = world.contents(), CertificationCache(world.cache).digest
    spoil(*(parts(world)[i] for i in which))
    assert len(verify(world.cache)[0].damage) == len(which)
    assert len(CertificationCache.repair(world.cache)) == len(which)
    half = verify(world.cache)[0]
    assert "were dropped by repair" in half.notes[0]
    assert CertificationCache(world.cache).digest != digest
    world.certify()
    assert world.contents() == before
    assert CertificationCache(world.cache).digest == digest


def test_parts_of_several_calls_come_back_to_their_places(world: World, tmp_path: Path) -> None:
    """The second call's groups straddle the parts of the first."""
    grown = World(tmp_path / "grown")
    for count in (2, 5, 7):
        grown.certify(count)
    before = grown.contents()
    spoil(*parts(grown))
    CertificationCache.repair(grown.cache)
    grown.certify()
    assert grown.contents() == before


def test_fewer_inputs_than_were_dropped_find_another_place(world: World) -> None:
    spoil(parts(world)[0])
    CertificationCache.repair(world.cache)
    assert world.certify(1).timing.samples == 20_020
    assert world.certify().timing.samples == 2 * 20_020
    assert world.certify().timing.samples == 0
    assert [found.damage + found.notes for found in verify(world.cache)] == [[], []]


def test_an_interrupted_repair_is_repeated(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    before = world.contents()
    spoil(*parts(world)[:2])

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("smoothcert.votes.store.cache.remove_file", interrupted)
        CertificationCache.repair(world.cache)
    assert any("not in the index" in note for note in verify(world.cache)[0].notes)
    assert CertificationCache.repair(world.cache) == []
    world.certify()
    assert world.contents() == before


HOLD = """
import sys
from pathlib import Path
from smoothcert._files import locked
with locked(Path(sys.argv[1]), ".lock"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_repair_waits_for_nobody(world: World) -> None:
    spoil(parts(world)[0])
    before = world.contents()
    command = [sys.executable, "-c", HOLD, str(world.cache)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(CacheLockedError, match="another process"):
            CertificationCache.repair(world.cache)
        assert world.contents() == before
        other.communicate()
    assert len(CertificationCache.repair(world.cache)) == 1


def test_repair_keeps_what_was_finished_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between looking at the folder and getting its lock another process finishes."""
    world = World(tmp_path / "cache")
    world.certify(3)
    real = locked

    def later(folder: Path, *names: str) -> Any:
        with monkeypatch.context() as patch:
            patch.setattr("smoothcert.votes.store.cache.locked", real)
            world.certify()
        spoil(parts(world)[0])
        return real(folder, *names)

    with monkeypatch.context() as patch:
        patch.setattr("smoothcert.votes.store.cache.locked", later)
        assert len(CertificationCache.repair(world.cache)) == 1
    assert len(CertificationCache(world.cache)) == 4


def test_what_cannot_be_read_for_now_is_not_dropped(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    before, real = world.contents(), os.open

    def refused(path: Any, flags: int, *arguments: Any, **names: Any) -> int:
        if str(path).startswith("part-"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return real(path, flags, *arguments, **names)

    monkeypatch.setattr(os, "open", refused)
    assert CertificationCache.repair(world.cache) == []
    assert len(verify(world.cache)[0].damage) == 3
    monkeypatch.setattr(os, "open", real)
    assert world.contents() == before


def test_a_lost_last_newline_loses_nothing(world: World) -> None:
    before, index = world.contents(), world.cache / "index.jsonl"
    index.write_bytes(index.read_bytes()[:-1])
    assert verify(world.cache)[0].holds.startswith("7 inputs in 3 parts")
    assert world.certify().timing.samples == 0
    spoil(parts(world)[0])
    CertificationCache.repair(world.cache)
    world.certify()
    assert world.contents() == before


def test_a_line_after_a_lost_newline_begins_anew(tmp_path: Path) -> None:
    whole, cut = World(tmp_path / "whole"), World(tmp_path / "cut")
    for world in (whole, cut):
        world.certify(3)
    index = cut.cache / "index.jsonl"
    index.write_bytes(index.read_bytes()[:-1])
    for world in (whole, cut):
        world.certify()
    assert cut.contents() == whole.contents()


def test_a_torn_line_and_what_lies_beside_are_said(world: World) -> None:
    before, index = world.contents(), world.cache / "index.jsonl"
    index.write_bytes(index.read_bytes()[:-2])
    found = verify(world.cache)[0]
    assert found.holds.startswith("6 inputs in 2 parts")
    assert not found.damage
    assert "1 parts are not in the index" in found.notes[0]
    assert "is torn" in found.notes[1]
    assert world.certify().timing.samples == 20_020
    assert world.contents() == before


def test_parts_without_an_index_are_damage(world: World) -> None:
    (world.cache / "index.jsonl").unlink()
    assert "index.jsonl is missing, but 3 parts are there" in verify(world.cache)[0].damage[0]


def test_an_index_cannot_name_a_part_twice_or_by_another_name(world: World) -> None:
    from smoothcert.votes.store.index import index_line

    first, second = CertificationCache(world.cache).entries[:2]
    index = world.cache / "index.jsonl"
    index.write_text(index_line(0, first) + "\n" + index_line(1, first) + "\n")
    with pytest.raises(CacheCorruptError, match="line 2 repeats inputs"):
        CertificationCache(world.cache)
    index.write_text(index_line(0, type(first)(second.name, first.sha256, first.size, first.keys)) + "\n")
    with pytest.raises(CacheCorruptError, match="in line 1: its part has another name"):
        CertificationCache(world.cache)


def test_journals_are_verified(world: World, tmp_path: Path) -> None:
    import smoothcert as sc
    from forged_cache import X, classifier

    below = world.cache / "candidates" / "shifted-at-0.1"
    sc.recertify_at_radius(classifier(0.01), X, 0.1, cache=world.cache, out=below)
    found = verify(world.cache)
    assert [each.path for each in found] == [world.cache, world.cache / "candidates" / "shifted", below]
    assert found[2].holds.startswith(f"{sum(e.votes for e in RoundJournal(below).entries)} votes in")
    spoil(below / "rounds" / "000000.votes")
    assert "000000.votes is damaged" in verify(world.cache)[2].damage[0]
    assert "000000.votes is damaged" in verify(below)[0].damage[0]


def test_a_full_disk_in_the_middle_of_a_line_loses_nothing(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, real, written = World(tmp_path / "full"), os.write, 0

    def full(descriptor: int, data: Any) -> int:
        nonlocal written
        written += 1
        if written == 9:
            return real(descriptor, data[: len(data) // 2])
        if written == 10:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(descriptor, data)

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(CacheError, match="No space left"):
        other.certify()
    monkeypatch.setattr(os, "write", real)
    assert not list(other.cache.rglob("*.tmp"))
    other.certify()
    assert other.contents() == world.contents()


def test_a_file_system_without_locks_is_named(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    import fcntl

    def none(*_: Any) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", none)
    with pytest.raises(CacheError, match="its file system has no locks"):
        world.certify()


def test_a_system_without_posix_locks_is_named_when_a_lock_is_taken(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "fcntl", None)
    with pytest.raises(CacheError, match="no POSIX file locks"):
        world.certify()
    assert len(CertificationCache(world.cache)) == 7


def test_the_library_is_imported_without_posix_locks() -> None:
    code = "import sys; sys.modules['fcntl'] = None; import smoothcert; smoothcert.CertificationCache"
    subprocess.run([sys.executable, "-c", code], check=True)
