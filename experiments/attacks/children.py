"""Work in children of this process, a few at a time, each with its own memory, time and fate."""

from __future__ import annotations

import json
import os
import resource
import selectors
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

__all__ = ["Ended", "run_children", "still_alive"]

MEMORY = 3 << 30
"""Address space that a child may take beyond what it starts with, so that an attack cannot take the machine."""


@dataclass(frozen=True)
class Ended:
    """How a child ended.

    Attributes
    ----------
    value : object
        What its function returned; None when it did not come to that.
    status : int
        Exit status; negative for a signal.
    seconds : float
        How long it took.
    peak : int
        Largest resident memory, in bytes.
    hung : bool
        Whether it was ended because it took too long.
    """

    value: Any
    status: int
    seconds: float
    peak: int
    hung: bool


_parent: list[int] = []


def still_alive() -> None:
    """Tell the parent, from a child, that the time it has begins anew."""
    os.write(_parent[0], b" ")


@dataclass
class _Child:
    number: int
    pid: int
    began: float
    heard: float
    data: bytes = b""


def run_children(
    tasks: Iterable[Callable[[], Any]], *, at_once: int = 2, limit: float = 10.0
) -> Iterator[tuple[int, Ended]]:
    """Run functions in forked children; yield (which, how it ended) as they end.

    Parameters
    ----------
    tasks : iterable of callable
        What each child does; it returns something that JSON can hold.
    at_once : int
        Children at a time.
    limit : float
        Seconds of silence, see `still_alive`, after which a child is killed.
    """
    waiting = enumerate(tasks)
    selector = selectors.DefaultSelector()
    running: dict[int, _Child] = {}
    while True:
        while len(running) < at_once and (task := next(waiting, None)) is not None:
            descriptor, child = _start(*task)
            running[descriptor] = child
            selector.register(descriptor, selectors.EVENT_READ)
        if not running:
            return
        ready = {key.fd for key, _ in selector.select(timeout=0.2)}
        for descriptor, child in list(running.items()):
            more = os.read(descriptor, 1 << 20) if descriptor in ready else None
            if more:
                child.data, child.heard = child.data + more, time.monotonic()
            hung = time.monotonic() - child.heard > limit
            if more == b"" or hung:
                selector.unregister(descriptor)
                os.close(descriptor)
                del running[descriptor]
                yield child.number, _end(child, hung and more != b"")


def _start(number: int, task: Callable[[], Any]) -> tuple[int, _Child]:
    reading, writing = os.pipe()
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        _work(task, writing)
    os.close(writing)
    return reading, _Child(number, pid, time.monotonic(), time.monotonic())


def _work(task: Callable[[], Any], writing: int) -> None:
    """Do the task and end, whatever happens, without a trace in the parent's output."""
    status = 1
    _parent[:] = [writing]
    try:
        os.setsid()
        nowhere = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(nowhere, descriptor)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with open("/proc/self/statm") as file:  # noqa: PTH123
            size = int(file.read().split()[0]) * resource.getpagesize() + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (size, size))
        data = json.dumps(task()).encode()
        status = 0
    except BaseException:
        data = json.dumps({"crashed": traceback.format_exc()[-2000:]}).encode()
    try:
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(data)
    finally:
        os._exit(status)


def _end(child: _Child, hung: bool) -> Ended:
    if hung:
        os.killpg(child.pid, signal.SIGKILL)
    _, status, usage = os.wait4(child.pid, 0)
    try:
        value = json.loads(child.data)
    except ValueError:
        value = None
    seconds = time.monotonic() - child.began
    return Ended(value, os.waitstatus_to_exitcode(status), seconds, usage.ru_maxrss * 1024, hung)
