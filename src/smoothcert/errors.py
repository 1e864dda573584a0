"""The errors of smoothcert, the boundary where files are read, and the import of optional dependencies.

Each message names the argument (or file), the value and what would be right.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from smoothcert.printable import printable

__all__ = [
    "CacheCorruptError",
    "CacheError",
    "CacheLockedError",
    "CacheMismatchError",
    "CheckpointError",
    "DataError",
    "InvalidArgumentError",
    "MissingExtraError",
    "SmoothcertError",
    "import_extra",
    "reading",
    "require_extra",
]


class SmoothcertError(Exception):
    """Base of all errors that smoothcert raises on purpose; their messages hold nothing that a terminal obeys."""

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


class InvalidArgumentError(SmoothcertError, ValueError):
    """An argument is outside its legal range; raised before any long work starts."""


class DataError(SmoothcertError):
    """A data set cannot be read, or its contents are not what they should be."""


class CheckpointError(SmoothcertError):
    """A checkpoint cannot be read safely or does not fit the architecture."""


class CacheError(SmoothcertError):
    """Base of the errors about a certification cache."""


class CacheMismatchError(CacheError, ValueError):
    """A cache is intact but does not fit the call; the message names the field."""


class CacheCorruptError(CacheError):
    """A cache's files were changed, truncated or removed."""


class CacheLockedError(CacheError):
    """Another process is writing the cache."""


class MissingExtraError(SmoothcertError, ImportError):
    """An optional dependency is not installed; the message names the extra."""


@contextmanager
def reading(
    path: str | os.PathLike[str], error: type[SmoothcertError] = CacheCorruptError, remedy: str = "restore it"
) -> Iterator[None]:
    """Turn whatever a damaged or hostile file makes a parser raise into one error that names the file."""
    # Nothing but the reading and parsing of the file belongs inside: a mistake of ours would be called damage. Our
    # own errors pass as they are.
    try:
        yield
    except SmoothcertError:
        raise
    except OSError as reason:
        raise error(f"{path} cannot be read: {reason.strerror or reason}; {remedy}") from reason
    except Exception as reason:  # parsers of hostile bytes raise anything
        text = f"{type(reason).__name__}: {reason}"[:300]
        raise error(f"{path} is damaged ({text}): {remedy}") from reason


def require_extra(module: str, extra: str) -> None:
    """Raise MissingExtraError where an optional dependency is not installed, without importing it."""
    if importlib.util.find_spec(module) is None:
        raise MissingExtraError(f"this needs {module!r}: pip install 'smoothcert[{extra}]'")


def import_extra(module: str, extra: str) -> ModuleType:
    """Import an optional dependency; MissingExtraError says which extra of smoothcert installs it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtraError(f"this needs {module!r}: pip install 'smoothcert[{extra}]'") from error
