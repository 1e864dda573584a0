"""Tables fit a line of any width, and lose no column and no digit."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from smoothcert.reporting import Column, Table, cells, split_to_width, to_rich, width_of

WIDE = Table(
    "accuracies",
    (Column("classifier"), Column("by"), *(Column(f"certified accuracy {r / 4:g}", 3) for r in range(15))),
    tuple((name, by, *(0.9 - r / 20 for r in range(15))) for name in ("base", "prune-global-0.2") for by in "ab"),
)


def lines_of(table: Table, width: int) -> list[str]:
    out = io.StringIO()
    console = Console(file=out, width=width)
    for part in split_to_width(table, width):
        console.print(to_rich(part, width))
    return out.getvalue().splitlines()


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 240, 400])
def test_every_cell_is_shown_whole(width: int) -> None:
    lines = lines_of(WIDE, width)
    assert all(len(line) <= width for line in lines)
    words = [word for line in lines for word in line.split()]
    assert "…" not in "".join(words)
    for row in cells(WIDE):
        for cell in row[2:]:
            assert words.count(cell) >= 4
    for r in range(15):
        assert f"{r / 4:g}" in words


def test_the_width_is_what_a_table_takes() -> None:
    for width in range(30, 200):
        for part in split_to_width(WIDE, width):
            if len(part.columns) > 3:
                assert width_of(part) <= width
        exact = "\n".join(lines_of(part, width_of(part)))
        assert all(cell in exact for row in cells(part) for cell in row), "nothing is cut or folded"
    assert split_to_width(WIDE, 1000) == [WIDE]
    assert max(map(len, lines_of(WIDE, 1000))) <= sum(len(c.name) for c in WIDE.columns) + 100


def test_what_tells_rows_apart_stands_in_every_part() -> None:
    parts = split_to_width(WIDE, 60)
    assert len(parts) > 1
    for part in parts:
        assert [column.name for column in part.columns[:2]] == ["classifier", "by"]
        assert [tuple(row[:2]) for row in part.rows] == [tuple(row[:2]) for row in WIDE.rows]
    assert [column for part in parts for column in part.columns[2:]] == list(WIDE.columns[2:])
    assert [part.title for part in parts] == ["accuracies"] + [""] * (len(parts) - 1)


def test_headings_fold_only_where_there_is_no_room() -> None:
    table = Table("", (Column("candidate"), Column("samples an input")), (("int8", 1000),))
    assert "samples an input" in "\n".join(lines_of(table, 80))
    assert "samples an input" not in "\n".join(lines_of(table, 24))


def test_a_text_longer_than_the_line_takes_several() -> None:
    lines = lines_of(Table("", (Column("candidate"),), (("x" * 50,),)), 30)
    assert "".join(lines).count("x") == 50
    assert all(len(line) <= 30 for line in lines)
