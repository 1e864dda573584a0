"""A disk that fails: the i-th call that writes below a folder raises, or the process dies there, for every i."""

from __future__ import annotations

import builtins
import errno
import fcntl
import io
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from attacks.children import still_alive
from attacks.formats import lines_of
from attacks.kills import Outcome, undisturbed
from attacks.scenarios import SCENARIOS, Scenario, finish, start, state_of, wait_for

__all__ = ["fail_everywhere"]

_ERRORS, _DEATH = ("EIO", "ENOSPC", "EDQUOT"), "death"
_DIED = 77
_CALLS = ("open", "write", "fsync", "replace", "rename", "mkdir", "unlink", "truncate", "ftruncate", "link")


class _Failing:
    """Counts the calls that concern files below a folder, and lets one of them fail."""

    def __init__(self, root: Path, at: int, fault: str, counted: Path) -> None:
        self.root, self.at, self.counted = str(root), at, counted
        self.fault = getattr(errno, fault, 0)
        self.calls = 0

    def concerns(self, target: Any, dir_fd: int | None = None) -> bool:
        """Tell whether a path or a descriptor lies below the folder."""
        with suppress(OSError, TypeError, ValueError):
            if isinstance(target, int):
                return _path_of(target).startswith(self.root)
            base = str(Path.cwd()) if dir_fd is None else _path_of(dir_fd)
            return os.path.join(base, os.fspath(target)).startswith(self.root)  # noqa: PTH118
        return False

    def count(self) -> None:
        """Count a call, and fail when it is the one."""
        self.calls += 1
        if self.at < 0:
            self.written.write_bytes(self.calls.to_bytes(4, "little"))
        elif self.calls - 1 == self.at:
            if self.fault == 0:
                os._exit(_DIED)
            raise OSError(self.fault, os.strerror(self.fault))

    def patch(self) -> None:
        """Put the counting between the program and the system."""
        counted_open, counted_flock = io.open, fcntl.flock
        self.written = _Quiet(self.counted)

        def wrap(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
            def failing(target: Any, *rest: Any, **named: Any) -> Any:
                dir_fd = named.get("dir_fd", named.get("src_dir_fd"))
                if self.concerns(target, dir_fd):
                    self.count()
                return call(target, *rest, **named)

            return failing

        for name in _CALLS:
            setattr(os, name, wrap(name, getattr(os, name)))

        def open_file(file: Any, mode: str = "r", *rest: Any, **named: Any) -> Any:
            if not set(mode) & set("wax+") or not self.concerns(file):
                return counted_open(file, mode, *rest, **named)
            self.count()
            return _FailingFile(counted_open(file, mode, *rest, **named), self)

        def flock(descriptor: Any, operation: int) -> None:
            if self.concerns(descriptor if isinstance(descriptor, int) else descriptor.fileno()):
                self.count()
            counted_flock(descriptor, operation)

        io.open = builtins.open = open_file
        fcntl.flock = flock


def _path_of(descriptor: int) -> str:
    return str(Path(f"/proc/self/fd/{descriptor}").readlink())


class _Quiet:
    """A file that is written beside what is counted."""

    def __init__(self, path: Path) -> None:
        self.descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)

    def write_bytes(self, data: bytes) -> None:
        """Overwrite the content."""
        os.pwrite(self.descriptor, data, 0)


class _FailingFile:
    """A file whose writing is counted."""

    def __init__(self, file: Any, failing: _Failing) -> None:
        self._file, self._failing = file, failing

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> _FailingFile:
        self._file.__enter__()
        return self

    def __exit__(self, *why: Any) -> None:
        self._file.__exit__(*why)

    def write(self, data: Any) -> Any:
        """Write, or fail."""
        self._failing.count()
        return self._file.write(data)

    def flush(self) -> None:
        """Flush, or fail."""
        self._failing.count()
        self._file.flush()

    def truncate(self, size: int | None = None) -> Any:
        """Truncate, or fail."""
        self._failing.count()
        return self._file.truncate(size)


def fail_everywhere(world: Path, folder: Path, name: str, fatal: bool, every: int) -> list[Outcome]:
    """Let every call of a scenario fail in turn, by an error or by death; return a verdict for each.

    Afterwards the same command has to end as an undisturbed run, without sampling a finished part again.
    """
    scenario, counted = SCENARIOS[name], folder.parent / "counted"
    whole, _ = undisturbed(scenario, world, folder)
    scenario.prepare(world, folder)
    wait_for(start(scenario, folder.parent / "errors", _Failing(folder, -1, "", counted).patch))
    calls = int.from_bytes(counted.read_bytes(), "little")
    found: list[Outcome] = []
    for at in range(0, calls, every):
        fault = _DEATH if fatal else _ERRORS[at % len(_ERRORS)]
        found.append((name, *_fail(scenario, world, folder, whole, at, fault)))
        still_alive()
    return found


def _fail(
    scenario: Scenario, world: Path, folder: Path, whole: dict[str, bytes], at: int, fault: str
) -> tuple[str, str]:
    errors, what = folder.parent / "errors", f"{fault} at call {at}"
    scenario.prepare(world, folder)
    failing = _Failing(folder, at, fault, folder.parent / "counted")
    status = wait_for(start(scenario, errors, failing.patch))
    lines = [line for line in errors.read_text().splitlines() if line.strip()]
    if fault == _DEATH:
        right = status in (0, _DIED)
    else:
        right = status == 0 or (
            status == 2 and lines[-1].startswith("error: ") and "Traceback" not in "".join(lines)
        )
    if not right:
        return "traceback", f"{what}: status {status}: {' / '.join(lines[-3:])}"
    finished = _finished(folder, whole)
    if status := finish(scenario, errors):
        return "traceback", f"after {what}: status {status}: {errors.read_text()[-300:]}"
    now = state_of(folder)
    if lost := [path for path, when in finished.items() if _written(path) != when]:
        return "lost", f"{what}: {lost[:3]} was finished, and written again"
    if left := sorted(set(now) - set(whole)):
        return "left behind", f"{what}: {left[:3]}"
    changed = sorted(path for path in whole if now.get(path) != whole[path])
    return ("changed", f"{what}: {changed[:3]}") if changed else ("same", "")


def _written(path: Path) -> tuple[int, int] | None:
    with suppress(OSError):
        return path.stat().st_ino, path.stat().st_mtime_ns
    return None


def _finished(folder: Path, whole: dict[str, bytes]) -> dict[Path, tuple[int, int] | None]:
    """Return the parts and pieces that an index names and that are right, and when they were written."""
    found = []
    for index, parts in (("index.jsonl", "parts"), ("rounds.jsonl", "rounds")):
        for path in folder.rglob(index):
            text = path.read_bytes()
            if not text.endswith(b"\n"):
                continue
            found += [
                path.parent / parts / r.get("part", f"{r['number']:06d}.votes")
                for r in lines_of(path)
                if r["bytes"]
            ]
    return {
        path: _written(path)
        for path in found
        if path.exists() and path.read_bytes() == whole.get(str(path.relative_to(folder)))
    }
