"""How the command line words what went wrong: one line, arguments by their options, no traceback."""

from __future__ import annotations

import re
import sys
import traceback
from pathlib import Path
from typing import Any

from typer.core import TyperCommand

from smoothcert.errors import InvalidArgumentError

__all__ = ["Command", "shows_tracebacks", "unexpected", "with_flags"]

_BEFORE = r"(?:^|(?<=; )|(?<=, )|(?<=\band )|(?<=\bbut )|(?<=\buse )|(?<=\bgive ))"
_AFTER = r"(?=(?: (?:is|are|has|have|contains|[<>]=?) | '|=))"
_OURS = str(Path(__file__).parents[1])
_INSTALLED = re.compile(r"site-packages|dist-packages|<frozen|lib/python")


class Command(TyperCommand):
    """A command whose errors name its options."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except InvalidArgumentError as error:
            flags: dict[str, str] = {}
            for parameter in self.params:
                if flag := next((each for each in parameter.opts if each.startswith("--")), ""):
                    flags |= dict.fromkeys((parameter.name or "", flag[2:], flag[2:].replace("-", "_")), flag)
            error.args = (with_flags(str(error), flags),)
            raise


def with_flags(message: str, flags: dict[str, str]) -> str:
    """Name arguments by the options that set them.

    Parameters
    ----------
    message : str
        Of an error, which names Python's arguments.
    flags : dict of str to str
        For the name of each argument, its option.

    Returns
    -------
    str
        Names that are words too are replaced only where something is said of the argument: at the start of the
        message or of a clause, before a verb or a comparison.

    Examples
    --------
    >>> with_flags("n_p is 0: use n_p >= 10", {"n_p": "--n-p"})
    '--n-p is 0: use --n-p >= 10'
    >>> with_flags("radius is 1 and budget is 9: give one of them", {"radius": "--radius", "budget": "--budget"})
    '--radius is 1 and --budget is 9: give one of them'
    >>> with_flags("f.npz has 3 classes, but the data has 2", {"data": "--data"})
    'f.npz has 3 classes, but the data has 2'
    """
    for name in sorted(flags, key=len, reverse=True):
        # No sentence has a word with an underscore or a digit by chance; paths have both.
        anywhere = re.search(r"[_0-9]", name) is not None
        around = (r"(?<![\w/.'-])", r"(?![\w/.'-])") if anywhere else (_BEFORE, _AFTER)
        message = re.sub(f"{around[0]}{re.escape(name)}{around[1]}", flags[name], message)
    return message


def unexpected(error: Exception) -> str:
    """Say in one line what was raised and where, by a function of the user's if there was one."""
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [f for f in frames if not f.filename.startswith(_OURS) and not _INSTALLED.search(f.filename)]
    at = f"{theirs[-1].filename}, line {theirs[-1].lineno}: " if theirs else ""
    text = (str(error).strip().splitlines() or ["no message"])[0]
    return f"{at}{type(error).__name__}: {text}; 'python -X dev -m smoothcert' shows where it comes from"


def shows_tracebacks() -> bool:
    """Tell whether Python was started to develop with, by ``-X dev``."""
    return sys.flags.dev_mode
