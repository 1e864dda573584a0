"""The command line: one file per command, each of which parses, calls and prints."""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from io import TextIOWrapper
from typing import Annotated, NoReturn

import typer

from smoothcert.cli import audit, cache, certify, compare, demo, plan, predict, recertify, report, surrogate, train
from smoothcert.cli.failures import Command, shows_tracebacks, unexpected
from smoothcert.cli.printing import warn
from smoothcert.errors import SmoothcertError
from smoothcert.printable import printable

__all__ = ["app", "main", "program"]

_INTERRUPTED = 130  # what Typer makes of Ctrl-C
_RESUME = "interrupted: what was finished is kept; run the same command again to continue"


def _show_version(wanted: bool) -> None:
    if wanted:
        import smoothcert

        typer.echo(f"smoothcert {smoothcert.__version__}")
        raise typer.Exit


app = typer.Typer(
    name="smoothcert",
    help="Certify classifiers by randomized smoothing, and recertify changed ones from cached votes.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command(name="demo", cls=Command)(demo.demo)
app.command(name="train", cls=Command)(train.train)
app.command(name="certify", cls=Command)(certify.certify)
app.command(name="recertify", cls=Command)(recertify.recertify)
app.command(name="predict", cls=Command)(predict.predict)
app.command(name="compare", cls=Command)(compare.compare)
app.command(name="report", cls=Command)(report.report)
app.command(name="audit", cls=Command)(audit.audit)
app.command(name="plan", cls=Command)(plan.plan)


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version, and stop.")
    ] = False,
) -> None:
    """Certify classifiers by randomized smoothing, and recertify changed ones from cached votes."""


app.add_typer(cache.app, name="cache")
app.add_typer(surrogate.app, name="surrogate")


def program() -> NoReturn:
    """Run the command line as a process of its own, and end it at once.

    All is written and closed by then; taking down PyTorch and the runtimes in order would take up to a second.
    """
    try:
        main()
        code: object = 0
    except SystemExit as exit_:
        code = exit_.code
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # a pipe whose reader has left
            stream.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


def main() -> None:
    """Run the command line; errors about arguments, files and the system end with status 2 and one line."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # paths and records may hold what a terminal cannot show
    _keep_others_quiet()
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
    except Exception as error:  # a user's function, a device or a library may raise anything
        if shows_tracebacks():
            raise
        _fail(unexpected(error))


def _keep_others_quiet() -> None:
    """Hide what other packages warn of, unless Python was told to show warnings; ours are shown."""
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
        warnings.filterwarnings("default", module="smoothcert")
        warnings.showwarning = lambda message, *_: warn(str(message))
    for name in ("TRANSFORMERS_VERBOSITY", "DIFFUSERS_VERBOSITY"):
        os.environ.setdefault(name, "error")


def _fail(message: str) -> NoReturn:
    typer.echo(f"error: {printable(message)}", err=True)
    sys.exit(2)
