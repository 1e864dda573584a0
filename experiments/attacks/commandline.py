"""The command line, inside this process: arguments in, exit status and output out."""

from __future__ import annotations

import contextlib
import functools
import io
import sys
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import torch
import typer.main

from smoothcert.cli import main

__all__ = ["Finished", "prepare_process", "run_command"]

PART_VOTES = 512
"""Votes of a part or a piece here, so that a few inputs make several of them."""


@dataclass(frozen=True)
class Finished:
    """What a command left: its exit status, standard output and standard error."""

    status: int
    out: str
    err: str


def prepare_process() -> None:
    """Make this process deterministic and fit to be forked, and its caches small enough for many parts."""
    torch.set_num_threads(1)
    for module in ("groups", "rounds"):
        mock.patch(f"smoothcert.votes.{module}.PART_VOTES", PART_VOTES).start()
    mock.patch("smoothcert.evaluation.comparison.CURVE_POINTS", 1).start()  # curves repeat the same, ten times


_command = functools.cache(typer.main.get_command)  # to make it takes longer than most attacks


def run_command(*arguments: str | Path) -> Finished:
    """Run ``smoothcert ARGUMENTS``; what it does not catch passes through, as it would to a user."""
    out, err, status = io.StringIO(), io.StringIO(), 0
    with (
        mock.patch.object(sys, "argv", ["smoothcert", *map(str, arguments)]),
        mock.patch("typer.main.get_command", _command),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as exit_:
            status = exit_.code if isinstance(exit_.code, int) else int(exit_.code is not None)
    return Finished(status, out.getvalue(), err.getvalue())
