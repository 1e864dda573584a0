"""What certification from scratch is expected to need for the ACR of each candidate, as a table."""

from __future__ import annotations

import math

from smoothcert.evaluation import Comparison, Worth
from smoothcert.reporting.tables import Cell, Column, Table

__all__ = ["BASELINES", "baseline_table", "terminal_baselines"]

BASELINES = (
    "from scratch: how many times as many samples CERTIFY is expected to need for the same ACR, with one n for "
    "all inputs, and guided by what the cache says of them (certify --budget --guide): what is above 1 there is "
    "what pairing itself adds; in brackets 95 % bootstrap intervals over the inputs; estimated"
)


def baseline_table(comparison: Comparison) -> Table:
    """Return one row for each candidate that certified an input: both baselines, with their intervals."""
    rows = []
    for result in comparison.candidates:
        if (found := result.baselines) is not None:
            head: list[Cell] = [result.record.name, result.record.spread, float(result.incremental.n.mean())]
            rows.append([*head, *_cells(found.one_n), *_cells(found.guided)])
    names = (f"{which}{end}" for which in ("one n", "guided") for end in ("", " low", " high"))
    columns = (
        Column("candidate"),
        Column("spread"),
        Column("samples an input", 1),
        *(Column(name, 2) for name in names),
    )
    return Table(title="samples from scratch for the same ACR over those spent", columns=columns, rows=tuple(rows))


def terminal_baselines(comparison: Comparison) -> Table:
    """Return `baseline_table` with the intervals in brackets."""
    rows = []
    for result in comparison.candidates:
        if (found := result.baselines) is not None:
            head = [result.record.name, result.record.spread, f"{result.incremental.n.mean():,.0f}"]
            rows.append([*head, _text(found.one_n), _text(found.guided)])
    names = ("candidate", "spread", "samples an input", "one n", "guided by the cache")
    title = "from scratch, for the same ACR: times the samples spent"
    return Table(title=title, columns=tuple(map(Column, names)), rows=tuple(rows))


def _cells(worth: Worth) -> list[Cell]:
    return [value if math.isfinite(value) else None for value in (worth.ratio, worth.low, worth.high)]


def _text(worth: Worth) -> str:
    return f"{_number(worth.ratio)} ({_number(worth.low)} to {_number(worth.high)})"


def _number(value: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) else "out of reach"
