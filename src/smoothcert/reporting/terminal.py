"""Tables in lines of a width: headings fold, and columns that have no room go into a further table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from smoothcert.printable import printable
from smoothcert.reporting.tables import Table, cells, is_number

if TYPE_CHECKING:
    import rich.table

__all__ = ["split_to_width", "to_rich", "width_of"]

_GAP = 2  # between columns; the frame takes as much


def to_rich(table: Table, width: int | None = None) -> rich.table.Table:
    """Lay out a table for the terminal.

    Parameters
    ----------
    table : Table
        The table; its texts are shown as they are, not as console markup, and control characters as escapes.
    width : int, optional
        Characters in a line: where they do not do, headings of several words take several lines.

    Returns
    -------
    rich.table.Table
        Numbers to the right, text to the left.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table as RichTable
    from rich.text import Text

    # No vertical lines: a comparison at many radii should fit a terminal.
    title = Text(printable(table.title)) if table.title else None
    shown = RichTable(title=title, box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, title_justify="left")
    names = [printable(column.name) for column in table.columns]
    if width is not None and sum(_widths(table, folded=False)) + _frame(table) > width:
        names = [_fold(name, most) for name, most in zip(names, _widths(table, folded=True), strict=True)]
    # Names in the first column are what a reader looks for: on a narrow terminal others give way.
    whole = width is None or 2 * _widths(table, folded=True)[0] <= width
    for index, name in enumerate(names):
        justify: Literal["left", "right"] = "right" if any(is_number(row[index]) for row in table.rows) else "left"
        shown.add_column(Text(name), justify=justify, overflow="fold", no_wrap=whole and index == 0)
    for row in cells(table):
        shown.add_row(*(Text(printable(cell)) for cell in row))
    return shown


def width_of(table: Table) -> int:
    """Return the characters that a table takes in a line, once its headings are folded."""
    return sum(_widths(table, folded=True)) + _frame(table)


def split_to_width(table: Table, width: int) -> list[Table]:
    """Put the columns that have no room in a line into further tables, behind the columns that tell rows apart.

    Parameters
    ----------
    table : Table
        Any table.
    width : int
        Characters in a line.

    Returns
    -------
    list of Table
        One where everything fits. Each has at least one column beside those that tell rows apart.
    """
    if width_of(table) <= width:
        return [table]
    lead = _telling_apart(table)
    tables: list[Table] = []
    rest = list(range(lead, len(table.columns)))
    while rest:
        count = next((k for k in range(len(rest), 1, -1) if width_of(_part(table, lead, rest[:k])) <= width), 1)
        tables.append(_part(table, lead, rest[:count], "" if tables else table.title))
        rest = rest[count:]
    return tables or [table]


def _part(table: Table, lead: int, columns: list[int], title: str = "") -> Table:
    kept = [*range(lead), *columns]
    return Table(title, tuple(table.columns[i] for i in kept), tuple([row[i] for i in kept] for row in table.rows))


def _telling_apart(table: Table) -> int:
    """Return how many columns at the left are needed for no two rows to be the same."""
    for lead in range(1, len(table.columns)):
        if len({tuple(row[:lead]) for row in table.rows}) == len(table.rows):
            return lead
    return 1


def _widths(table: Table, *, folded: bool) -> list[int]:
    rows, names = cells(table), [printable(column.name) for column in table.columns]
    heads = [max(map(len, name.split() or [""])) if folded else len(name) for name in names]
    return [max([head, *(len(printable(row[i])) for row in rows)]) for i, head in enumerate(heads)]


def _frame(table: Table) -> int:
    return _GAP * (len(table.columns) + 1)


def _fold(name: str, width: int) -> str:
    lines = [""]
    for word in name.split():
        longer = f"{lines[-1]} {word}".strip()
        lines = [*lines[:-1], longer] if len(longer) <= width else [*lines, word]
    return "\n".join(lines)
