"""Exporters and compilers at work: no noise from them, and their errors in one line."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator

__all__ = ["first_cause", "in_one_line", "quiet"]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence what prints, logs and warns; errors still come through."""
    disabled = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)


def first_cause(error: BaseException) -> BaseException:
    """Return what went wrong first: exporters and compilers wrap it in advice about themselves."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def in_one_line(error: BaseException) -> str:
    """Say what went wrong first, in one line."""
    error = first_cause(error)
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
