"""At how many radii a comparison is shown: as many as have room."""

from __future__ import annotations

from collections.abc import Callable

from smoothcert.evaluation import Comparison
from smoothcert.reporting.tables import Table
from smoothcert.reporting.terminal import width_of

__all__ = ["at_fewer_radii"]


def at_fewer_radii(
    comparison: Comparison,
    width: int,
    table_of: Callable[[Comparison], Table],
    side_by_side: Callable[[Table], Table] = lambda table: table,
) -> Table:
    """Show a comparison at every radius, or every second, third, …, so that accuracies have room in a line.

    Parameters
    ----------
    comparison : Comparison
        With its own radii, or with ones that were chosen: then all of these are shown.
    width : int
        Characters in a line.
    table_of : callable
        Makes the table.
    side_by_side : callable
        Returns the part of it that should have room in a line; by default all of it.

    Returns
    -------
    Table
    """
    radii = comparison.radii
    if comparison.chosen is None:
        for step in range(1, len(radii) + 1):
            table = table_of(comparison.at(radii[::step]))
            if width_of(side_by_side(table)) <= width:
                return table
        radii = radii[:1]
    return table_of(comparison.at(radii))
