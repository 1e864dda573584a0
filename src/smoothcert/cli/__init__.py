"""The command line: one file per command, each of which parses, calls and prints."""

from __future__ import annotations

import sys
from io import TextIOWrapper
from typing import NoReturn

import typer

from smoothcert.cli import audit, cache, certify, compare, demo, plan, predict, recertify, report, surrogate, train
from smoothcert.errors import SmoothcertError
from smoothcert.printable import printable

__all__ = ["app", "main"]

_INTERRUPTED = 130  # what Typer makes of Ctrl-C
_RESUME = "interrupted: what was finished is kept; run the same command again to continue"

app = typer.Typer(
    name="smoothcert",
    help="Certify classifiers by randomized smoothing, and recertify changed ones from cached votes.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command(name="demo")(demo.demo)
app.command(name="train")(train.train)
app.command(name="certify")(certify.certify)
app.command(name="recertify")(recertify.recertify)
app.command(name="predict")(predict.predict)
app.command(name="compare")(compare.compare)
app.command(name="report")(report.report)
app.command(name="audit")(audit.audit)
app.command(name="plan")(plan.plan)
app.add_typer(cache.app, name="cache")
app.add_typer(surrogate.app, name="surrogate")


def main() -> None:
    """Run the command line; errors about arguments, files and the system end with status 2 and one line."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # paths and records may hold what a terminal cannot show
    try:
        app()
    except SmoothcertError as error:
        _fail(str(error))
    except OSError as error:
        name = "" if error.filename is None else f"{error.filename}: "
        _fail(f"{name}{error.strerror or error}")
    except KeyboardInterrupt:  # before Typer, which makes an exit of it, has begun
        typer.echo(_RESUME, err=True)
        sys.exit(_INTERRUPTED)
    except MemoryError:
        _fail("the memory is full: give fewer inputs, or a smaller batch")
    except SystemExit as exit_:
        if exit_.code == _INTERRUPTED:
            typer.echo(_RESUME, err=True)
        raise


def _fail(message: str) -> NoReturn:
    typer.echo(f"error: {printable(message)}", err=True)
    sys.exit(2)
