"""The errors of smoothcert, and the import of optional dependencies.

Each message names the argument (or file), the value and what would be right.
"""

from __future__ import annotations

import importlib
from types import ModuleType

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
]


class SmoothcertError(Exception):
    """Base of all errors that smoothcert raises on purpose."""


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


def import_extra(module: str, extra: str) -> ModuleType:
    """Import an optional dependency, or say which extra brings it.

    Parameters
    ----------
    module : str
        Name of the module to import, such as ``"onnxruntime"``.
    extra : str
        The extra of smoothcert that installs it, such as ``"onnx"``.

    Returns
    -------
    module
        The imported module.

    Raises
    ------
    MissingExtraError
        When the module is not installed.

    Examples
    --------
    >>> import_extra("no_such_module", "onnx")
    Traceback (most recent call last):
        ...
    smoothcert.errors.MissingExtraError: this needs 'no_such_module': pip install 'smoothcert[onnx]'
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtraError(f"this needs {module!r}: pip install 'smoothcert[{extra}]'") from error
