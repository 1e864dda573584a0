"""``smoothcert report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from smoothcert.cli import options
from smoothcert.cli.printing import show


def report(
    cache: Annotated[Path, typer.Argument(help="Folder with the votes of the base and of its candidates.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the files.")],
    data: options.MovedData = None,
) -> None:
    """Write the comparison as CSV and Parquet, certificates, logs, and plots as PNG and SVG.

    Example: smoothcert report runs/base --out runs/report
    """
    from smoothcert.cli.workspace import open_labels
    from smoothcert.evaluation import compare_candidates
    from smoothcert.reporting import write_report

    dataset = open_labels(cache, data=data)
    written = write_report(compare_candidates(cache, dataset.inputs, dataset.labels), out)
    show(f"{len(written)} files in {out}")
