"""Ctrl-C while an exporter or a compiler is at work, which may catch it, go on or raise something else."""

from __future__ import annotations

import contextlib
import logging
import signal
import threading

import pytest

from smoothcert.classifiers.quiet import quiet


@pytest.fixture(autouse=True)
def _as_in_a_terminal() -> object:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def _interrupt() -> None:
    signal.raise_signal(signal.SIGINT)


def test_an_interrupt_that_was_swallowed_or_rewritten_comes_through() -> None:
    with pytest.raises(KeyboardInterrupt), quiet(), contextlib.suppress(BaseException):
        _interrupt()
    with pytest.raises(KeyboardInterrupt), quiet():
        try:
            _interrupt()
        except BaseException as error:
            raise RuntimeError("the export failed") from error
    with pytest.raises(KeyboardInterrupt), quiet():
        _interrupt()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert logging.root.manager.disable == logging.NOTSET


def test_without_an_interrupt_nothing_changes() -> None:
    with pytest.raises(RuntimeError, match="as it is"), quiet():
        raise RuntimeError("as it is")
    own = signal.signal(signal.SIGINT, lambda number, frame: None)
    with quiet():
        _interrupt()  # whoever handles it otherwise keeps doing so
    signal.signal(signal.SIGINT, own)


def test_other_threads_may_be_quiet_too() -> None:
    failed: list[BaseException] = []

    def work() -> None:
        try:
            with quiet():
                pass
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert not failed
