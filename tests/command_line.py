"""The command line, in this process and in one of its own."""

from __future__ import annotations

import sys

from smoothcert.cli import app


def smoothcert(*arguments: object) -> None:
    """Call the command line in this process; errors are raised as they are."""
    app([*map(str, arguments)], standalone_mode=False)


def command(*arguments: object) -> list[str]:
    """Return the command line as a process is started with it."""
    return [sys.executable, "-m", "smoothcert", *map(str, arguments)]
