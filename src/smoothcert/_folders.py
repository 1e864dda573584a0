"""Folders below one that the caller names, opened by descriptor, so that no link in them is followed.

Folders that somebody sent may hold links in the places where our files go. Links are followed on the way to a
folder that the caller names, and never below it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from smoothcert.errors import CacheCorruptError, CacheError, SmoothcertError, reading

__all__ = [
    "exists",
    "list_folder",
    "make_folder",
    "open_folder",
    "open_in",
    "reason_text",
    "refuse_links",
    "remove_file",
    "writing",
]

_REMEDY = "what was finished before is kept: make room or choose another folder, then run the same command again"


def exists(folder: Path, name: str = "") -> bool:
    """Tell whether there is anything of that name, be it a link to nothing."""
    try:
        os.lstat(folder / name)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError) as reason:
        raise CacheError(f"{folder / name} cannot be looked at: {reason_text(reason)}") from reason
    return True


def list_folder(folder: Path, name: str) -> list[tuple[str, bool]]:
    """List a folder below another: sorted names, and whether each is a folder; nothing when it is missing."""
    if not exists(folder, name):
        return []
    with (
        reading(folder / name),
        open_folder(folder, f"{name}/.") as (directory, _),
        os.scandir(directory) as found,
    ):
        return sorted((entry.name, entry.is_dir(follow_symlinks=False)) for entry in found)


def make_folder(folder: Path, name: str) -> None:
    """Make a folder below another one, unless it is there."""
    with writing(folder, name, CacheError):
        with open_folder(folder, name) as (directory, last), contextlib.suppress(FileExistsError):
            os.mkdir(last, dir_fd=directory)
        with open_folder(folder, f"{name}/."):
            pass


def refuse_links(folder: Path, name: str) -> Path:
    """Return a path below a folder; CacheCorruptError names an existing part that is a link."""
    path = folder
    for each in name.split("/"):
        path = path / each
        if exists(path) and path.is_symlink():
            raise CacheCorruptError(f"{path} is a link, which is not followed: put what it names in its place")
    return path


def remove_file(folder: Path, name: str) -> None:
    """Remove a file if it is there; of a link the link."""
    with (
        writing(folder, name, CacheError),
        open_folder(folder, name) as (directory, last),
        contextlib.suppress(FileNotFoundError),
    ):
        os.unlink(last, dir_fd=directory)


@contextmanager
def open_folder(folder: Path, name: str) -> Iterator[tuple[int, str]]:
    """Open the folder that a file is in, and return it with the file's own name."""
    *below, last = name.split("/")
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for each in below:
            deeper = open_in(each, os.O_RDONLY | os.O_DIRECTORY, descriptor)
            os.close(descriptor)
            descriptor = deeper
        yield descriptor, last
    finally:
        os.close(descriptor)


def open_in(name: str, flags: int, directory: int) -> int:
    """Open something by its folder; a link is an error that says so, for which systems have several codes."""
    try:
        return os.open(name, flags | os.O_NOFOLLOW, 0o666, dir_fd=directory)
    except OSError as reason:
        with contextlib.suppress(FileNotFoundError):
            if stat.S_ISLNK(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode):
                text = f"{name} is a link, which is not followed there"
                raise OSError(errno.ELOOP, text) from reason
        raise


@contextmanager
def writing(folder: Path, name: str, error: type[SmoothcertError]) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as reason:  # a path with a null byte is a ValueError
        raise error(f"cannot write {folder / name}: {reason_text(reason)}; {_REMEDY}") from reason


def reason_text(reason: Exception) -> str:
    return (reason.strerror if isinstance(reason, OSError) else None) or str(reason)
