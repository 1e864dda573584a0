"""Telling the caller how far sampling is."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Progress", "reporter"]

Progress = Callable[[int, int], None]
"""Called with (samples done, samples in total) after each batch."""


def reporter(progress: Progress | None, total: int, done: int = 0) -> Callable[[int], None]:
    """Return what a batch of so many samples is reported to."""

    def report(count: int) -> None:
        nonlocal done
        done += count
        if progress is not None:
            progress(done, total)

    return report
