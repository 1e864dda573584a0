"""Exporters and compilers at work: no noise from them, their errors in one line, and Ctrl-C ends them."""

from __future__ import annotations

import contextlib
import io
import logging
import signal
import threading
import warnings
from collections.abc import Iterator
from types import FrameType

__all__ = ["first_cause", "in_one_line", "quiet"]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence what prints, logs and warns; errors and Ctrl-C still come through."""
    disabled = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with _interruptible(), warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Raise KeyboardInterrupt at the end if there was one, even where an exporter caught it and went on."""
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or before is not signal.default_int_handler:
        yield
        return
    interrupts: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        interrupts.append(number)
        signal.default_int_handler(number, frame)

    signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if interrupts:
            raise KeyboardInterrupt


def first_cause(error: BaseException) -> BaseException:
    """Return what went wrong first: exporters and compilers wrap it in advice about themselves."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def in_one_line(error: BaseException) -> str:
    """Say what went wrong first, in one line."""
    error = first_cause(error)
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
