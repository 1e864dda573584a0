"""Files that are complete or absent, and reading that trusts nothing."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from smoothcert.errors import CacheCorruptError, CacheError, CacheLockedError

__all__ = ["append_line", "locked", "read_regular", "write_atomic"]


def write_atomic(path: Path, data: bytes) -> None:
    """Write a file so that after a crash it is either absent, the old one or whole.

    Raises
    ------
    CacheError
        When the file cannot be written, such as on a full or read-only disk.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_directory(path.parent)
    except OSError as error:
        raise _cannot_write(path, error) from error


def append_line(path: Path, line: str) -> None:
    """Append one line and make it durable; a torn line left by a crash is cut off first.

    Raises
    ------
    CacheError
        When the file cannot be written.
    """
    try:
        with path.open("ab+") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(0)
            whole = file.read().rfind(b"\n") + 1
            if whole != end:
                file.truncate(whole)
            file.write(line.encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise _cannot_write(path, error) from error


def read_regular(path: Path, *, at_most: int) -> bytes:
    """Read a regular file without following a link.

    Raises
    ------
    CacheCorruptError
        When it is missing, not a regular file, or larger than `at_most` bytes.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise CacheCorruptError(f"{path} cannot be read: {error.strerror}") from error
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise CacheCorruptError(f"{path} is not a regular file")
        if status.st_size > at_most:
            raise CacheCorruptError(f"{path} has {status.st_size} bytes, more than the {at_most} that it can have")
        return file.read()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of a cache that is written; the lock ends with the process.

    Raises
    ------
    CacheLockedError
        When another process holds it.
    CacheError
        When the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("ab")
    except OSError as error:
        raise _cannot_write(path, error) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CacheLockedError(
                f"{path.parent} is being written by another process: wait, or end it"
            ) from error
        yield


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _cannot_write(path: Path, error: OSError) -> CacheError:
    return CacheError(
        f"cannot write {path}: {error.strerror}; what was finished before is kept: make room or choose another "
        "folder, then run the same command again"
    )
