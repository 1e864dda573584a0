"""What results have in common: a short repr, and data frames."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from smoothcert.errors import import_extra

__all__ = ["Brief", "Framed"]

_LONGEST = 60


class Brief:
    """A dataclass whose repr names arrays by dtype and shape, and cuts what is long.

    Examples
    --------
    >>> @dataclasses.dataclass(repr=False)
    ... class Counts(Brief):
    ...     n: int
    ...     counts: np.ndarray
    >>> Counts(5, np.zeros((2, 10), np.int64))
    Counts(n=5, counts=int64 (2, 10))
    """

    def __repr__(self) -> str:
        fields = dataclasses.fields(self)  # type: ignore[arg-type]
        return f"{type(self).__name__}({', '.join(f'{f.name}={_short(getattr(self, f.name))}' for f in fields)})"


class Framed:
    """A result that is a table too: `_frame` returns its columns by name."""

    def _frame(self) -> Mapping[str, Any]:
        raise NotImplementedError

    def to_pandas(self) -> Any:
        """Return a pandas DataFrame.

        Raises
        ------
        MissingExtraError
            When pandas is not installed: ``pip install 'smoothcert[report]'``.
        """
        return import_extra("pandas", "report").DataFrame(dict(self._frame()))

    def to_polars(self) -> Any:
        """Return a Polars DataFrame.

        Raises
        ------
        MissingExtraError
            When Polars is not installed: ``pip install 'smoothcert[polars]'``.
        """
        return import_extra("polars", "polars").DataFrame(dict(self._frame()), strict=False)


def _short(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.shape}"
    if isinstance(value, list | tuple | dict) and len(value) > 4:
        return f"{type(value).__name__} of {len(value)}"
    text = " ".join(repr(value).split())
    return text if len(text) <= _LONGEST or isinstance(value, Brief) else f"{text[:_LONGEST]}…"
