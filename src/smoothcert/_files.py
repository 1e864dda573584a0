"""Files that are complete or absent, written only where we mean to, and read without trust."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from smoothcert._folders import exists, open_folder, open_in, reason_text, writing
from smoothcert.errors import CacheCorruptError, CacheError, CacheLockedError, SmoothcertError, reading

__all__ = [
    "append_to",
    "locked",
    "read_lines",
    "read_regular",
    "remove_leftovers",
    "write_atomic",
]

_LEFTOVER = re.compile(r"\..+\.[0-9a-f]{32}\.tmp")
_CHUNK = 1 << 16


def write_atomic(folder: Path, name: str, data: bytes, error: type[SmoothcertError] = CacheError) -> None:
    """Write a file below a folder so that after a crash it is absent, the old one or the new one."""
    with writing(folder, name, error), open_folder(folder, name) as (directory, last):
        try:
            _replace(directory, last, data)
        except FileNotFoundError:  # somebody took the folder's lock, and swept our temporary file away
            _replace(directory, last, data)


def _replace(directory: int, name: str, data: bytes) -> None:
    temporary = f".{name}.{secrets.token_hex(16)}.tmp"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666, dir_fd=directory)
    try:
        try:
            _write_all(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary, dir_fd=directory)
        raise
    os.fsync(directory)


def append_to(folder: Path, name: str, line: bytes, is_whole: Callable[[bytes], bool]) -> None:
    """Append a line, given without its end, to a file and make it durable."""
    # `is_whole` says whether a last line that lacks its end is whole all the same. It gets its end; one that is
    # not was torn by a crash and is cut off.
    with writing(folder, name, CacheError), open_folder(folder, name) as (directory, last):
        descriptor = open_in(last, os.O_RDWR | os.O_APPEND | os.O_CREAT, directory)
        try:
            size = _require_own(descriptor)
            tail = _tail(descriptor, size)
            if tail and not is_whole(tail):
                os.ftruncate(descriptor, size - len(tail))
                tail = b""
            _write_all(descriptor, (b"\n" if tail else b"") + line + b"\n")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if size == 0:
            os.fsync(directory)


def _tail(descriptor: int, end: int) -> bytes:
    """Return what follows the last end of a line."""
    tail = b""
    while end and b"\n" not in tail:
        start = max(0, end - _CHUNK)
        tail = os.pread(descriptor, end - start, start) + tail
        end = start
    return tail[tail.rfind(b"\n") + 1 :]


def read_regular(
    folder: Path, name: str, *, at_most: int, error: type[SmoothcertError] = CacheCorruptError
) -> bytes:
    """Read a regular file of at most so many bytes, without following a link."""
    path = folder / name
    with reading(path, error), open_folder(folder, name) as (directory, last):
        descriptor = open_in(last, os.O_RDONLY | os.O_NONBLOCK, directory)
        with os.fdopen(descriptor, "rb") as file:
            size = _require_regular(descriptor, path, error)
            if size > at_most:
                raise error(f"{path} has {size} bytes, more than the {at_most} that it can have: restore it")
            return file.read(size)  # not more: that much memory would be taken first


def read_lines(folder: Path, name: str, *, longest: int) -> Iterator[bytes]:
    """Yield the lines of a regular file, each with its end; the last may lack it. A missing file has none."""
    if not exists(folder, name):
        return
    path = folder / name
    with reading(path), open_folder(folder, name) as (directory, last):
        descriptor = open_in(last, os.O_RDONLY | os.O_NONBLOCK, directory)
        with os.fdopen(descriptor, "rb") as file:
            _require_regular(descriptor, path, CacheCorruptError)
            while line := file.readline(longest + 1):
                if len(line) > longest:
                    raise CacheCorruptError(f"{path} has a line of more than {longest} bytes: restore it")
                yield line


def remove_leftovers(folder: Path, *names: str) -> None:
    """Remove temporary files of ours that a kill left in a folder, and in folders of these names below it."""
    for name in (".", *(f"{name}/." for name in names)):
        with contextlib.suppress(OSError), open_folder(folder, name) as (directory, _):
            for found in filter(_LEFTOVER.fullmatch, os.listdir(directory)):  # noqa: PTH208 - of a descriptor
                if stat.S_ISREG(os.stat(found, dir_fd=directory, follow_symlinks=False).st_mode):
                    os.unlink(found, dir_fd=directory)


@contextmanager
def locked(folder: Path, name: str, *below: str) -> Iterator[None]:
    """Hold the lock of a folder that is written, making the folder; the lock ends with the process."""
    # `below` are folders in it that are written under the lock. What a kill left there is removed.
    try:
        import fcntl
    except ImportError as reason:
        raise CacheError(
            f"{folder} cannot be locked: this system has no POSIX file locks (fcntl), which writing a cache needs"
        ) from reason
    with writing(folder, name, CacheError):
        folder.mkdir(parents=True, exist_ok=True)
        with open_folder(folder, name) as (directory, last):
            descriptor = open_in(last, os.O_RDWR | os.O_CREAT, directory)
    try:
        with writing(folder, name, CacheError):
            _require_own(descriptor)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as reason:
            raise CacheLockedError(f"{folder} is being written by another process: wait, or end it") from reason
        except OSError as reason:
            raise CacheError(
                f"{folder} cannot be locked ({reason_text(reason)}): its file system has no locks, without which "
                "two writers could spoil each other's work; put it on another one"
            ) from reason
        remove_leftovers(folder, *below)
        yield
    finally:
        os.close(descriptor)


def _require_own(descriptor: int) -> int:
    """Refuse to write what is not a file, or one that has another name elsewhere; return its size."""
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
        raise OSError(errno.EINVAL, "it is not a regular file with one name")
    return status.st_size


def _require_regular(descriptor: int, path: Path, error: type[SmoothcertError]) -> int:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise error(f"{path} is not a regular file: restore it")
    return status.st_size


def _write_all(descriptor: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]
