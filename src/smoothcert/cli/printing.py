"""How commands print: results, lines, warnings and progress."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from smoothcert.printable import printable

if TYPE_CHECKING:
    from rich.console import Console

    from smoothcert.data import Dataset
    from smoothcert.fitting import EpochProgress
    from smoothcert.procedures import CertificationRun
    from smoothcert.reporting import Table


def show(*lines: str) -> None:
    """Print lines for people as they are: no markup, nothing that a terminal would obey."""
    from rich.text import Text

    for line in lines:
        _console().print(Text(printable(line)), soft_wrap=True)


def warn(text: str) -> None:
    """Print a warning, on standard error."""
    typer.echo(f"warning: {printable(text)}", err=True)


def note(text: str) -> None:
    """Say on standard error what was chosen for the user."""
    typer.echo(printable(text), err=True)


def warn_once(texts: Iterable[str], said: set[str] | None = None) -> None:
    """Print warnings, but for those that were said."""
    said = set() if said is None else said
    for text in texts:
        if text not in said:
            warn(text)
        said.add(text)


_bars = 0  # that show by themselves that something is going on


@contextmanager
def doing(what: str, *, in_logs: bool = True) -> Iterator[None]:
    """Say on standard error what takes its time: a status line on a terminal, a plain line (in logs) elsewhere."""
    if _bars or not (in_logs or sys.stderr.isatty()):
        yield
    elif not sys.stderr.isatty():
        typer.echo(f"{printable(what)} …", err=True)
        yield
    else:
        from rich.console import Console
        from rich.text import Text

        with Console(stderr=True).status(Text(printable(what))):
            yield


@contextmanager
def _bar_shown() -> Iterator[None]:
    global _bars
    _bars += 1
    try:
        yield
    finally:
        _bars -= 1


def print_result(as_json: bool, facts: Any, *shown: Table | str) -> None:
    """Print a command's result: one JSON object, or tables and lines for people."""
    from smoothcert.reporting import split_to_width, to_rich

    if as_json:
        print_json(facts)
        return
    for part in shown:
        if isinstance(part, str):
            show(part)
        else:
            width = terminal_width()
            for piece in split_to_width(part, width):
                _console().print(to_rich(piece, width))


def print_run(as_json: bool, run: CertificationRun, dataset: Dataset, cache: Path) -> None:
    """Print what a certification found, and where its votes are."""
    from smoothcert.reporting import certification_json, certification_table

    y = dataset.labels
    line = f"{run.certificates.claim()}; votes in {cache}"
    print_result(as_json, certification_json(run, y), certification_table(run, y), line)
    warn_once(run.certificates.cautions)


def print_json(value: Any) -> None:
    """Print one JSON object."""
    typer.echo(json.dumps(value, indent=2, allow_nan=False))


def terminal_width() -> int:
    """Return how many characters a line of standard output has: 160 where nobody says."""
    return _console().width


def _console() -> Console:
    from rich.console import Console

    known = sys.stdout.isatty() or "COLUMNS" in os.environ
    return Console(highlight=False, width=None if known else 160)


@contextmanager
def progress_bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show samples done, samples/s and the time left, on standard error."""
    from smoothcert.votes import progress_bar as bar

    with _bar_shown(), bar(what) as report:
        yield report


@contextmanager
def training_bar() -> Iterator[Callable[[EpochProgress], None]]:
    """Show epochs, the loss and inputs/s, on standard error."""
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[state]}"),
        TimeRemainingColumn(),
    )
    with _bar_shown(), Bar(*columns, console=Console(stderr=True), refresh_per_second=2) as bar:
        task = bar.add_task("train", total=None, state="")

        def report(p: EpochProgress) -> None:
            done = (p.epoch - 1) * p.steps + p.step
            state = f"epoch {p.epoch}/{p.epochs}, loss {p.loss:.3f}, {p.samples_per_second:,.0f}/s"
            bar.update(task, completed=done, total=p.epochs * p.steps, state=state)

        yield report
