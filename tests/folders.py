"""What a folder holds, to be compared with what it held before or what another one holds."""

from __future__ import annotations

from pathlib import Path


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below the folder, with every byte."""
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


def votes_of(cache: Path) -> dict[str, bytes]:
    """Every byte of a certification cache proper; seconds, locks and candidates lie beside it."""
    proper = ("manifest.json", "index.jsonl", "parts/")
    return {name: data for name, data in contents(cache).items() if name.startswith(proper)}
