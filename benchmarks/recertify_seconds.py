"""How long recertifying several candidates takes end to end, and how much of it planning and bounds take.

    python benchmarks/recertify_seconds.py runs/base --candidate fp16 --candidate bf16:torch --n-p 1000

CACHE was made by ``smoothcert certify``. Candidates are recertified into copies of it: with the same n_p for every
input, selection samples included, as ``--spread even`` has it, and by the budget, which is the default.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import machine

from smoothcert.cli import app
from smoothcert.procedures.incremental import recertification


def timed(function: Callable[..., Any], spent: list[float]) -> Callable[..., Any]:
    """Add up how long calls take."""

    def call(*arguments: Any, **named: Any) -> Any:
        began = time.perf_counter()
        try:
            return function(*arguments, **named)
        finally:
            spent.append(time.perf_counter() - began)

    return call


def measure(cache: Path, candidates: list[str], n_p: int, spread: str) -> dict[str, float | str]:
    """Recertify into a copy of the cache."""
    chosen = [word for candidate in candidates for word in ("--candidate", candidate)]
    spent: dict[str, list[float]] = {"with_budget": [], "recertificates": []}
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as patches:
        shutil.copytree(cache, Path(folder) / "base")
        for name, times in spent.items():
            function = timed(getattr(recertification, name), times)
            patches.enter_context(mock.patch.object(recertification, name, function))
        began = time.perf_counter()
        app(["recertify", f"{folder}/base", *chosen, "--n-p", str(n_p), "--spread", spread], standalone_mode=False)
        seconds = time.perf_counter() - began
    planning, bounds = (sum(times) for times in spent.values())
    return {
        "spread": spread,
        "seconds": round(seconds, 1),
        "planning": round(planning, 2),
        "bounds": round(bounds, 2),
        "share": round((planning + bounds) / seconds, 4),
    }


def main() -> None:
    """Measure both, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cache", type=Path)
    parser.add_argument("--candidate", action="append", required=True)
    parser.add_argument("--n-p", type=int, default=1000)
    parser.add_argument("--out", type=Path, default=Path("recertify_seconds.json"))
    a = parser.parse_args()
    rows = [measure(a.cache, a.candidate, a.n_p, spread) for spread in ("budget", "even")]
    found = {"machine": machine.describe(), "candidates": a.candidate, "n_p": a.n_p, "rows": rows}
    a.out.write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
