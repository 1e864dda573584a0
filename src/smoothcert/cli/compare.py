"""``smoothcert compare``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from smoothcert.cli.common import JsonOption, console, print_json


def compare(
    cache: Annotated[Path, typer.Argument(help="Folder with the votes of the base and of its candidates.")],
    gates: Annotated[
        list[str] | None,
        typer.Option(
            "--min-certified-accuracy",
            metavar="ACCURACY@RADIUS",
            help="Exit with status 1 when a candidate's certified accuracy at the radius is lower, as 0.60@0.5.",
        ),
    ] = None,
    data: Annotated[str | None, typer.Option("--data", help="Data set, if it has moved.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare the base with its recertified candidates, and gate a CI job.

    Example: smoothcert compare runs/base --min-certified-accuracy 0.60@0.5
    """
    from smoothcert.cli.workspace import open_labels
    from smoothcert.errors import InvalidArgumentError
    from smoothcert.evaluation.comparison import compare_candidates
    from smoothcert.report import to_rich
    from smoothcert.report.comparison import comparison_json, terminal_lines, terminal_table

    parsed = [_gate(text) for text in gates or []]
    dataset = open_labels(cache, data=data)
    comparison = compare_candidates(cache, dataset.inputs, dataset.labels)
    if parsed and not comparison.candidates:
        raise InvalidArgumentError(f"{cache} has no recertified candidate to gate: run smoothcert recertify first")
    failures = [
        f"{name}: certified accuracy at radius {radius:g} is below {least:g}"
        for least, radius in parsed
        for name in comparison.failing(least, radius)
    ]
    if as_json:
        print_json({"rows": comparison_json(comparison), "failures": failures})
    else:
        console().print(to_rich(terminal_table(comparison)))
        for line in terminal_lines(comparison):
            console().print(line, soft_wrap=True)
        for failure in failures:
            console().print(f"FAILED {failure}")
    if failures:
        raise typer.Exit(1)


def _gate(text: str) -> tuple[float, float]:
    from smoothcert.errors import InvalidArgumentError

    try:
        least, radius = (float(part) for part in text.split("@"))
    except ValueError:
        least, radius = -1.0, -1.0
    if not (0 <= least <= 1 and 0 <= radius < float("inf")):
        raise InvalidArgumentError(f"min-certified-accuracy is {text!r}: give ACCURACY@RADIUS, such as 0.60@0.5")
    return least, radius
