"""Telling the caller how far sampling is."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

from smoothcert.printable import printable

__all__ = ["Progress", "ShowProgress", "progress_bar", "reporter", "showing"]

Progress = Callable[[int, int], None]
"""Called with (samples done, samples in total) after each batch."""

ShowProgress = Progress | Literal[False] | None
"""What a caller may ask for: a function of its own, nothing, or by default a bar where somebody can see it."""


def reporter(progress: Progress | None, total: int, done: int = 0) -> Callable[[int], None]:
    """Return what a batch of so many samples is reported to."""

    def report(count: int) -> None:
        nonlocal done
        done += count
        if progress is not None:
            progress(done, total)

    return report


@contextmanager
def showing(progress: ShowProgress, what: str) -> Iterator[Progress | None]:
    """Yield what to report to: the caller's own function, or a bar in a terminal or a notebook."""
    if progress is None and (sys.stderr.isatty() or "ipykernel" in sys.modules):
        with progress_bar(what) as bar:
            yield bar
    else:
        yield progress or None


@contextmanager
def progress_bar(what: str) -> Iterator[Progress]:
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
