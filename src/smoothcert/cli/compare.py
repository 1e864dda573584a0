"""``smoothcert compare``."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from smoothcert.cli import options
from smoothcert.cli.printing import doing, print_result, terminal_width, warn

if TYPE_CHECKING:
    from smoothcert.evaluation import Comparison, Gate, Verdict


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
    confidence: Annotated[
        float | None,
        typer.Option(
            "--confidence",
            help="Pass a gate only if the true accuracy on these inputs is large enough with this confidence, for "
            "all gates and candidates at once; alpha is accounted for.",
        ),
    ] = None,
    radii: Annotated[
        str | None,
        typer.Option(
            "--radii",
            metavar="RADIUS,…",
            help="Radii at which accuracies are shown, as 0.25,0.5,1; by default multiples of 0.25, as many as "
            "have room.",
        ),
    ] = None,
    data: options.MovedData = None,
    as_json: options.Json = False,
) -> None:
    """Compare the base with its recertified candidates, and gate a CI job.

    Example: smoothcert compare runs/base --min-certified-accuracy 0.60@0.5 --confidence 0.99
    """
    with doing("loading PyTorch"):
        from smoothcert.cli.workspace import compared
        from smoothcert.errors import InvalidArgumentError
        from smoothcert.evaluation import judge, require_confidence
        from smoothcert.reporting import (
            CONFIDENCE,
            comparison_json,
            terminal_baselines,
            terminal_intervals,
            terminal_lines,
            terminal_table,
            verdict_line,
        )

    at = None if radii is None else _radii(radii)
    parsed = [_gate(text) for text in gates or []]
    shown = CONFIDENCE if confidence is None else require_confidence(confidence)
    with doing("comparing"):
        comparison = compared(cache, data)
    comparison = comparison if at is None else comparison.at(at)
    if parsed and not comparison.candidates:
        raise InvalidArgumentError(f"{cache} has no recertified candidate to gate: run smoothcert recertify first")
    verdicts = judge(comparison.recertified, comparison.y, parsed, confidence=confidence)
    failures = [verdict_line(verdict, confidence) for verdict in verdicts if not verdict.passed]
    warnings = _warnings(comparison, verdicts, cache, confidence)
    gated = {"gates": [dataclasses.asdict(verdict) for verdict in verdicts], "failures": failures}
    width = terminal_width()
    print_result(
        as_json,
        {**comparison_json(comparison, shown), **gated, "warnings": warnings},
        terminal_table(comparison, width),
        *([terminal_baselines(comparison)] if comparison.candidates else []),
        terminal_intervals(comparison, width),
        *terminal_lines(comparison, shown),
        *(f"passed {verdict_line(verdict, confidence)}" for verdict in verdicts if verdict.passed),
        *(f"FAILED {failure}" for failure in failures),
    )
    for warning in warnings:
        warn(warning)
    if failures:
        raise typer.Exit(1)


def _warnings(comparison: Comparison, verdicts: list[Verdict], cache: Path, confidence: float | None) -> list[str]:
    """Say what selecting, repeating and changing do to the verdicts, and write the comparison down."""
    from smoothcert.reporting import repetition, selection_warning
    from smoothcert.votes.store import note_comparison

    if not verdicts:
        return []
    gates = sorted({(verdict.gate.least, verdict.gate.radius) for verdict in verdicts})
    votes = {result.record.name: result.votes for result in comparison.candidates}
    found = repetition(comparison, confidence, *note_comparison(cache, confidence, gates, votes))
    selection = selection_warning(comparison) if any(verdict.passed for verdict in verdicts) else None
    return [selection, *found] if selection else found


def _radii(text: str) -> list[float]:
    from smoothcert.errors import InvalidArgumentError

    try:
        radii = [float(part) for part in text.split(",")]
    except ValueError:
        radii = [-1.0]
    if not all(0 <= r < float("inf") for r in radii):
        raise InvalidArgumentError(f"radii is {text!r}: give radii with commas between them, such as 0.25,0.5,1")
    return radii


def _gate(text: str) -> Gate:
    from smoothcert.errors import InvalidArgumentError
    from smoothcert.evaluation import Gate

    try:
        least, radius = (float(part) for part in text.split("@"))
    except ValueError:
        least, radius = -1.0, -1.0
    if not (0 <= least <= 1 and 0 <= radius < float("inf")):
        raise InvalidArgumentError(f"min-certified-accuracy is {text!r}: give ACCURACY@RADIUS, such as 0.60@0.5")
    return Gate(least, radius)
