"""Files appear whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from smoothcert._files import write_atomic
from smoothcert.errors import InvalidArgumentError

__all__ = ["replacing"]


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BytesIO]:
    """Collect what a file is to hold, and write it when the block succeeds; else what stood there stays.

    Parameters
    ----------
    path : path-like
        Where the file goes; missing folders are made.

    Yields
    ------
    BytesIO
        What to write to.

    Raises
    ------
    InvalidArgumentError
        When the file cannot be written.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     with replacing(Path(folder) / "a.txt") as file:
    ...         _ = file.write(b"whole")
    ...     print(*(file.name for file in Path(folder).iterdir()))
    a.txt
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidArgumentError(f"{path} cannot be written: {error.strerror}; name another file") from error
    collected = BytesIO()
    yield collected
    write_atomic(path.parent, path.name, collected.getvalue(), InvalidArgumentError)
