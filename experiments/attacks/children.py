"""Work in children of this process, each with its own memory, time and fate; a child does several tasks."""

from __future__ import annotations

import json
import os
import resource
import selectors
import signal
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

__all__ = ["Ended", "memory_growth", "reset_peak", "run_children", "still_alive"]

_MEMORY = 3 << 30
"""Address space that a child may take beyond what it starts with, so that an attack cannot take the machine."""

Task = Callable[[], Any]


@dataclass(frozen=True)
class Ended:
    """How a task ended.

    Attributes
    ----------
    value : object
        What it returned; None when it did not come to that.
    error : str
        How it failed, else empty: a traceback, the end of its child, or ``"hung"``.
    seconds : float
        How long it took.
    """

    value: Any
    error: str
    seconds: float


@dataclass
class _Child:
    pid: int
    tasks: deque[tuple[int, Task]]
    began: float
    heard: float
    data: bytes = field(default=b"")


def run_children(
    tasks: Iterable[Task], *, at_once: int = 2, limit: float = 10.0, batch: int = 10
) -> Iterator[tuple[int, Ended]]:
    """Run functions in forked children; yield (which, how it ended) as they end.

    Parameters
    ----------
    tasks : iterable of callable
        What to do; each returns something that JSON can hold.
    at_once : int
        Children at a time.
    limit : float
        Seconds of silence, see `still_alive`, after which a child is killed.
    batch : int
        Tasks of a child. Those that a child leaves when it dies go to another one.
    """
    waiting = deque(enumerate(tasks))
    selector = selectors.DefaultSelector()
    running: dict[int, _Child] = {}
    while waiting or running:
        while waiting and len(running) < at_once:
            descriptor, child = _start([waiting.popleft() for _ in range(min(batch, len(waiting)))])
            running[descriptor] = child
            selector.register(descriptor, selectors.EVENT_READ)
        ready = {key.fd for key, _ in selector.select(timeout=0.2)}
        for descriptor, child in list(running.items()):
            more = os.read(descriptor, 1 << 20) if descriptor in ready else None
            if more:
                yield from _ended(child, more)
            hung = time.monotonic() - child.heard > limit
            if more == b"" or hung:
                selector.unregister(descriptor)
                os.close(descriptor)
                del running[descriptor]
                how = _end(child, hung and more != b"")
                if child.tasks:
                    number, _ = child.tasks.popleft()
                    yield number, Ended(None, how, time.monotonic() - child.began)
                    waiting.extendleft(reversed(child.tasks))


def still_alive() -> None:
    """Tell the parent, from a child, that the time it has begins anew."""
    os.write(_parent[0], b"\n")


def reset_peak() -> None:
    """Forget the largest memory so far."""
    Path("/proc/self/clear_refs").write_text("5")


def memory_growth() -> tuple[int, int]:
    """Return the resident memory now, and the largest since `reset_peak`, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    found = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines if line.startswith("Vm")}
    return found["VmRSS"], found["VmHWM"]


_parent: list[int] = []


def _start(tasks: list[tuple[int, Task]]) -> tuple[int, _Child]:
    reading, writing = os.pipe()
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        _work(tasks, writing)
    os.close(writing)
    now = time.monotonic()
    return reading, _Child(pid, deque(tasks), now, now)


def _work(tasks: list[tuple[int, Task]], writing: int) -> NoReturn:
    """Do the tasks and end, whatever happens, without a trace in the parent's output."""
    try:
        _parent[:] = [writing]
        os.setsid()
        nowhere = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(nowhere, descriptor)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() + _MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (size, size))
        for _, task in tasks:
            try:
                line = json.dumps([task(), ""])
            except BaseException:
                line = json.dumps([None, traceback.format_exc()[-2000:]])
            _write(writing, line.encode() + b"\n")
    finally:
        os._exit(0)


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _ended(child: _Child, more: bytes) -> Iterator[tuple[int, Ended]]:
    """Take in what a child wrote; yield the tasks that are done with it."""
    child.heard = time.monotonic()
    *lines, child.data = (child.data + more).split(b"\n")
    for line in filter(None, lines):
        value, error = json.loads(line)
        number, _ = child.tasks.popleft()
        yield number, Ended(value, error, child.heard - child.began)
        child.began = child.heard


def _end(child: _Child, hung: bool) -> str:
    """Wait for a child's end, and say how it ended."""
    if hung:
        os.killpg(child.pid, signal.SIGKILL)
    _, status = os.waitpid(child.pid, 0)
    return "hung" if hung else f"its process ended with status {os.waitstatus_to_exitcode(status)}"
