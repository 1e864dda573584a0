"""How commands print: results, lines, warnings and progress."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from smoothcert.printable import printable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from rich.console import Console

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


def print_result(as_json: bool, facts: Any, *shown: Table | str) -> None:
    """Print a command's result: one JSON object, or tables and lines for people."""
    from smoothcert.reporting import to_rich

    if as_json:
        print_json(facts)
        return
    for part in shown:
        if isinstance(part, str):
            show(part)
        else:
            _console().print(to_rich(part))


def print_run(as_json: bool, run: CertificationRun, y: NDArray[np.int64], cache: Path) -> None:
    """Print what a certification found, and where its votes are."""
    from smoothcert.reporting import certification_json, certification_table

    line = f"{run.certificates.summary()}; votes in {cache}"
    print_result(as_json, certification_json(run, y), certification_table(run, y), line)


def print_json(value: Any) -> None:
    """Print one JSON object."""
    typer.echo(json.dumps(value, indent=2, allow_nan=False))


def _console() -> Console:
    from rich.console import Console

    return Console(highlight=False, width=None if sys.stdout.isatty() else 160)


@contextmanager
def progress_bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show samples done, samples/s and the time left, on standard error; refreshed twice a second."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=Console(stderr=True), refresh_per_second=2) as bar:
        task = bar.add_task(printable(what), total=None, rate="")

        def report(done: int, total: int) -> None:
            speed = bar.tasks[task].speed
            bar.update(task, completed=done, total=total, rate=f"{speed:,.0f}/s" if speed else "")

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
    with Bar(*columns, console=Console(stderr=True), refresh_per_second=2) as bar:
        task = bar.add_task("train", total=None, state="")

        def report(p: EpochProgress) -> None:
            done = (p.epoch - 1) * p.steps + p.step
            state = f"epoch {p.epoch}/{p.epochs}, loss {p.loss:.3f}, {p.samples_per_second:,.0f}/s"
            bar.update(task, completed=done, total=p.epochs * p.steps, state=state)

        yield report
