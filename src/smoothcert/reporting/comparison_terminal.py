"""The comparison of a base and its candidates on a terminal."""

from __future__ import annotations

from dataclasses import replace

from smoothcert.evaluation import Comparison
from smoothcert.reporting.baselines import BASELINES
from smoothcert.reporting.comparison import CONFIDENCE, comparison_table, note_of
from smoothcert.reporting.intervals import INTERVALS
from smoothcert.reporting.radii import at_fewer_radii
from smoothcert.reporting.statements import premises, statements
from smoothcert.reporting.tables import Table

__all__ = ["terminal_lines", "terminal_table"]

_HEAD = ("classifier", "by", "n", "ACR")
_WIDE = ("pointwise", "note", "alpha", "premise")


def terminal_table(comparison: Comparison, width: int) -> Table:
    """Return `comparison_table` as a terminal shows it: what says most first, what says least left out."""
    return at_fewer_radii(comparison, width, _for_terminal, _accuracies)


def _for_terminal(comparison: Comparison) -> Table:
    table = comparison_table(comparison)
    names = [column.name for column in table.columns]
    first = [i for i, name in enumerate(names) if name in _HEAD or name.startswith("CA@")]
    order = [*first, *(i for i, name in enumerate(names) if i not in first and name not in _WIDE)]
    # A heading of two words takes two lines and leaves room for more columns.
    columns = tuple(replace(table.columns[i], name=names[i].replace("@", " ")) for i in order)
    return Table(title=table.title, columns=columns, rows=tuple([row[i] for i in order] for row in table.rows))


def _accuracies(table: Table) -> Table:
    size = len(_HEAD) + sum(column.name.startswith("CA ") for column in table.columns)
    return Table("", table.columns[:size], tuple(row[:size] for row in table.rows))


def terminal_lines(comparison: Comparison, confidence: float = CONFIDENCE) -> list[str]:
    """Return what to say below the tables: what their columns mean, what holds under which premise, and notes."""
    notes = [f"{r.record.name}: {note}" for r in comparison.candidates if (note := note_of(r))]
    legend = (
        "paired, direct, abstain: share of the inputs certified from votes on the base's noise, from the "
        "candidate's votes alone, and not at all; n: of an input, on average; CA r: certified accuracy at radius "
        "r; speedup: area under the time of scratch, expected where it has no row, over the incremental time at "
        "equal ACR"
    )
    return [legend, BASELINES, INTERVALS, *statements(comparison, confidence), *premises(comparison), *notes]
