"""Tables for the terminal, for CSV and for Parquet; a narrowed number never enlarges a claim."""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from smoothcert._results import Framed
from smoothcert.certificate import Certificates
from smoothcert.certified_result import HasCertificates, certificates_in
from smoothcert.errors import InvalidArgumentError
from smoothcert.reporting.files import replacing
from smoothcert.reporting.rounding import Kind, to_decimals

__all__ = [
    "Column",
    "Table",
    "cells",
    "is_number",
    "json_rows",
    "write_certificates",
    "write_csv",
    "write_parquet",
]

Cell = str | int | float | bool | np.generic | None


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes
    ----------
    name : str
        The heading.
    decimals : int, optional
        Digits after the point where the table is shown; by default all that the number has.
    kind : {"value", "lower", "upper"}
        Which way `decimals` may move a number: to nearest, down (lower bounds and radii) or up (upper bounds).
    """

    name: str
    decimals: int | None = None
    kind: Kind = "value"


@dataclass(frozen=True)
class Table(Framed):
    """A title, columns, and rows with one cell for each column; None is a cell without a value.

    Raises
    ------
    InvalidArgumentError
        When a row has not one cell for each column, or two columns have the same name.

    Examples
    --------
    >>> table = Table(
    ...     title="Candidates",
    ...     columns=(Column("candidate"), Column("ACR", 3, "lower"), Column("zeta", 4, "upper")),
    ...     rows=(("base", 0.48678, None), ("int8", 0.47991, 0.00601)),
    ... )
    >>> cells(table)
    [['base', '0.486', '-'], ['int8', '0.479', '0.0061']]
    """

    title: str
    columns: tuple[Column, ...]
    rows: tuple[Sequence[Cell], ...]

    def __post_init__(self) -> None:
        names = [column.name for column in self.columns]
        if len(set(names)) != len(names):
            raise InvalidArgumentError(f"columns are named {names}: give each its own name")
        for number, row in enumerate(self.rows):
            if len(row) != len(names):
                raise InvalidArgumentError(
                    f"row {number} has {len(row)} cells: give {len(names)}, one for each column"
                )

    def _frame(self) -> dict[str, list[Cell]]:
        return {column.name: [_plain(row[i]) for row in self.rows] for i, column in enumerate(self.columns)}


def cells(table: Table) -> list[list[str]]:
    """Write every cell as it is shown: with the decimals of its column, rounded the way its kind allows.

    Parameters
    ----------
    table : Table
        The table.

    Returns
    -------
    list of list of str
        One list for each row; ``-`` stands for None and NaN.
    """
    return [[_text(cell, column) for cell, column in zip(row, table.columns, strict=True)] for row in table.rows]


def json_rows(table: Table) -> list[dict[str, Any]]:
    """Return a table's rows as objects that JSON can hold: what is no finite number becomes None."""
    names = [column.name for column in table.columns]
    return [dict(zip(names, (_finite(cell) for cell in row), strict=True)) for row in table.rows]


def write_csv(path: str | os.PathLike[str], table: Table) -> Path:
    """Write a table as CSV, numbers with all their digits, so that nothing is narrowed.

    Parameters
    ----------
    path : path-like
        The file to write or replace.
    table : Table
        The table; None becomes an empty field.

    Returns
    -------
    Path
        The file.
    """
    with replacing(path) as file:
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(column.name for column in table.columns)
        writer.writerows([_plain(cell) for cell in row] for row in table.rows)
        file.write(text.getvalue().encode())
    return Path(path)


def write_parquet(path: str | os.PathLike[str], table: Table) -> Path:
    """Write a table as Parquet; the title is in the schema's metadata, the kind in each field's.

    Parameters
    ----------
    path : path-like
        The file to write or replace.
    table : Table
        The table; None becomes a null.

    Returns
    -------
    Path
        The file.
    """
    import pyarrow as pa

    columns = {
        column.name: pa.array([_plain(row[index]) for row in table.rows])
        for index, column in enumerate(table.columns)
    }
    fields = [
        pa.field(column.name, columns[column.name].type, metadata={"kind": column.kind})
        for column in table.columns
    ]
    return _write_parquet(path, pa.table(columns, schema=pa.schema(fields, metadata={"title": table.title})))


def write_certificates(
    path: str | os.PathLike[str], certificates: Certificates | HasCertificates, y: ArrayLike | None = None
) -> Path:
    """Write certificates with everything that their claim depends on, one row for each input.

    Nothing is narrowed: float64 in Parquet, the shortest text that reads back as the same float64 in CSV.
    Guarantee, premise, alpha and how it was split, sigma, method and noise are repeated in every row, so that each
    can stand by itself; in Parquet they are in the schema's metadata too.

    Parameters
    ----------
    path : path-like
        The file to write or replace; its suffix decides: ``.csv`` or ``.parquet``.
    certificates : CertificationRun or another result, or Certificates
        Certificates of m inputs.
    y : array_like of int, shape (m,), optional
        True classes, written as the column ``label``.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    InvalidArgumentError
        When the suffix is another one or `y` does not hold one integer for each input.
    """
    suffix = Path(path).suffix
    if suffix not in (".csv", ".parquet"):
        raise InvalidArgumentError(f"path is {str(path)!r}: give a file name that ends in .csv or .parquet")
    certificates = certificates_in(certificates)
    columns: dict[str, list[Any]] = {name: values.tolist() for name, values in certificates.columns().items()}
    if y is not None:
        labels = np.asarray(y)
        if labels.shape != (len(certificates),) or not np.issubdtype(labels.dtype, np.integer):
            raise InvalidArgumentError(
                f"y has shape {labels.shape} and dtype {labels.dtype}: give {len(certificates)} integer classes"
            )
        columns = {"label": labels.tolist(), **columns}
    scalars = _scalars(certificates)
    columns |= {name: [value] * len(certificates) for name, value in scalars.items()}
    if suffix == ".csv":
        rows = tuple(zip(*columns.values(), strict=True))
        return write_csv(path, Table("", tuple(Column(name) for name in columns), rows))
    import pyarrow as pa

    written = pa.table(columns)
    return _write_parquet(
        path, written.replace_schema_metadata({name: str(value) for name, value in scalars.items()})
    )


def _scalars(certificates: Certificates) -> dict[str, str | float]:
    return {
        "guarantee": certificates.guarantee,
        "alpha": certificates.alpha,
        "alpha_split": json.dumps(dict(certificates.alpha_split), sort_keys=True),
        "sigma": certificates.sigma,
        "method": certificates.method,
        "noise": certificates.noise,
        "premise": certificates.premise,
    }


def _write_parquet(path: str | os.PathLike[str], written: Any) -> Path:
    import pyarrow.parquet as pq

    with replacing(path) as file:
        pq.write_table(written, file)
    return Path(path)


def _text(cell: Cell, column: Column) -> str:
    plain = _plain(cell)
    if plain is None or (isinstance(plain, float) and math.isnan(plain)):
        return "-"
    if isinstance(plain, float) and math.isfinite(plain) and column.decimals is not None:
        return to_decimals(plain, column.decimals, column.kind)
    return str(plain)


def _plain(cell: Any) -> Cell:
    """Turn NumPy's scalars into Python's, whose repr is the number alone."""
    plain: Cell = cell.item() if isinstance(cell, np.generic) else cell
    return plain


def _finite(cell: Cell) -> Cell:
    plain = _plain(cell)
    return None if isinstance(plain, float) and not math.isfinite(plain) else plain


def is_number(cell: Cell) -> bool:
    """Tell whether a cell holds a number."""
    return isinstance(_plain(cell), int | float)
