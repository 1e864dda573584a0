"""``smoothcert report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from smoothcert.cli import options
from smoothcert.cli.printing import doing, print_result


def report(
    cache: Annotated[Path, typer.Argument(help="Folder with the votes of the base and of its candidates.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the files.")],
    data: options.MovedData = None,
    as_json: options.Json = False,
) -> None:
    """Write the comparison as CSV and Parquet, certificates, logs, and plots as PNG and SVG.

    Example: smoothcert report runs/base --out runs/report
    """
    with doing("loading PyTorch"):
        from smoothcert.cli.workspace import compared
        from smoothcert.reporting import comparison_json, write_report

    with doing("comparing"):
        comparison = compared(cache, data)
    with doing("writing tables and plots"):
        written = write_report(comparison, out)
    facts = {"files": [str(path) for path in written]}
    print_result(
        as_json, {**facts, **comparison_json(comparison)} if as_json else facts, f"{len(written)} files in {out}"
    )
