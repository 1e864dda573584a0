"""Results of an experiment, as a CSV file with a heading."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path


def print_and_write(rows: Iterable[Mapping[str, object]], out: Path, name: str) -> None:
    """Print each row as it comes, and write all of them to a file in a folder that is made."""
    found = []
    for row in rows:
        print(*row.values(), sep="\t", flush=True)
        found.append(row)
    out.mkdir(parents=True, exist_ok=True)
    with (out / name).open("w", newline="") as file:
        writer = csv.DictWriter(file, list(found[0]))
        writer.writeheader()
        writer.writerows(found)
