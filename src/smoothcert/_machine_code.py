"""Functions compiled by Numba, and kept on disk where there is a folder to keep them in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

__all__ = ["compiled", "inlined"]

_Function = TypeVar("_Function", bound=Callable[..., Any])


def compiled(function: _Function) -> _Function:
    """Compile a function for one thread without the interpreter's lock."""
    # It can run beside a classifier, which has threads of its own. Numba's may not be entered from two at once.
    try:
        return cast("_Function", numba.njit(nogil=True, cache=True)(function))
    except RuntimeError:  # Numba found no folder to keep machine code in: every process compiles for itself.
        return cast("_Function", numba.njit(nogil=True)(function))


def inlined(function: _Function) -> _Function:
    """Compile a function into those that call it."""
    return cast("_Function", numba.njit(inline="always")(function))
