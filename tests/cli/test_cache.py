"""`smoothcert cache` and the way errors end."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from command_line import command
from forged_cache import World
from smoothcert import cli


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path / "cache")
    made.certify()
    return made


def test_verify_says_what_is_whole(run: Any, world: World) -> None:
    status, out, err = run("cache", "verify", world.cache)
    assert (status, err) == (0, "")
    assert out.startswith(f"{world.cache}: 7 inputs in 3 parts; digest ")
    assert out.endswith(": whole\n")


def test_verify_and_repair(run: Any, world: World) -> None:
    part = sorted((world.cache / "parts").iterdir())[0]
    before = world.contents()
    part.write_bytes(part.read_bytes()[:-1])
    status, out, err = run("cache", "verify", world.cache)
    assert status == 2
    assert "whole" not in out
    assert part.name in err
    assert (
        err.splitlines()[-1] == f"error: {world.cache} has 1 damaged files, see above: restore them, or repair it"
    )
    assert run("cache", "repair", world.cache)[0] == 0
    status, out, _ = run("cache", "verify", world.cache)
    assert status == 0
    assert "whole" not in out
    assert "note: 1 parts with" in out
    world.certify()
    assert world.contents() == before


@pytest.mark.parametrize("lost", ["index", "newline and more"])
def test_verify_calls_nothing_whole_that_is_not(run: Any, world: World, lost: str) -> None:
    index = world.cache / "index.jsonl"
    if lost == "index":
        index.unlink()
    else:
        index.write_bytes(index.read_bytes()[:-2])
    status, out, err = run("cache", "verify", world.cache)
    assert status == (2 if lost == "index" else 0)
    assert "whole" not in out
    assert ("index.jsonl is missing" in err) == (lost == "index")


@pytest.mark.parametrize("command", ["info", "verify", "repair"])
@pytest.mark.parametrize("text", ["[]", "[" * 100_000, "\udcff"])
def test_damage_ends_with_one_line(run: Any, world: World, command: str, text: str) -> None:
    (world.cache / "manifest.json").write_bytes(text.encode(errors="surrogateescape"))
    status, _, err = run("cache", command, world.cache)
    assert status == 2
    assert err.startswith(f"error: {world.cache}/manifest.json ")
    assert len(err.splitlines()) == 1


def test_a_path_through_a_file_and_an_odd_name_end_with_one_line(run: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "cache", tmp_path / "two\nlines\udcff", tmp_path / ("x" * 300)):
        status, _, err = run("cache", "verify", path)
        assert status == 2
        assert len(err.splitlines()) == 1
        assert err.startswith("error: ")


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        (PermissionError(13, "Permission denied", "log.tsv"), "error: log.tsv: Permission denied\n"),
        (OSError("no reason"), "error: no reason\n"),
        (MemoryError(), "error: the memory is full: give fewer inputs, or a smaller batch\n"),
    ],
)
def test_what_the_system_refuses_ends_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], reason: Exception, said: str
) -> None:
    def fails() -> None:
        raise reason

    monkeypatch.setattr(cli, "app", fails)
    with pytest.raises(SystemExit) as exit_:
        cli.main()
    assert exit_.value.code == 2
    assert capsys.readouterr().err == said


def test_a_closed_output_ends_without_a_traceback(world: World) -> None:
    with subprocess.Popen(
        command("cache", "info", world.cache), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        child.stdout.close()
        assert child.stderr is not None
        assert b"Traceback" not in child.stderr.read()
