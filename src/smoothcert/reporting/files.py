"""Files appear whole or not at all, in folders that are made where they are missing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from smoothcert._files import write_atomic
from smoothcert.errors import InvalidArgumentError

__all__ = ["make_folder", "replacing"]


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BytesIO]:
    """Collect what a file is to hold, and write it when the block succeeds; else what stood there stays."""
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidArgumentError(f"{path} cannot be written: {error.strerror}; name another file") from error
    collected = BytesIO()
    yield collected
    write_atomic(path.parent, path.name, collected.getvalue(), InvalidArgumentError)


def make_folder(out: Path) -> Path:
    """Make a report's folder before anything is computed for it."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidArgumentError(f"out is {str(out)!r}, which cannot be made: {error.strerror}") from error
    return out
