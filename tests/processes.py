"""Functions of a test in a process of its own, which can be killed."""

from __future__ import annotations

import multiprocessing
import runpy
from multiprocessing.context import ForkServerProcess

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(  # once for all
    ["pytest", "pyarrow.parquet", "smoothcert.procedures.cohen", "smoothcert.votes.rounds"]
)


def start(file: str, function: str, *arguments: object) -> ForkServerProcess:
    """Start calling a function that a test file defines."""
    process = _CONTEXT.Process(target=_call, args=(file, function, *arguments))
    process.start()
    return process


def _call(file: str, function: str, *arguments: object) -> None:
    runpy.run_path(file)[function](*arguments)
