"""Seconds that are not sampling: a decision at a radius as a process of its own, with and without kept graphs.

    python benchmarks/decision_seconds.py runs/base --radius 0.5 --out benchmarks/results/decision_seconds.json

CACHE was made by ``smoothcert certify``. The candidate is decided about in copies of it: where nothing is kept,
where the base's exported graph is, as after ``certify`` on the same machine, and where the candidate's is too.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import machine
import numpy as np


def seconds(arguments: list[str], home: Path) -> float:
    """Time a command of its own, start and end of Python included."""
    began = time.perf_counter()
    environment = {**os.environ, "XDG_CACHE_HOME": str(home)}
    subprocess.run(
        [sys.executable, "-m", "smoothcert", *arguments], check=True, capture_output=True, env=environment
    )
    return time.perf_counter() - began


def decide(cache: Path, candidate: str, radius: float, home: Path) -> float:
    """Decide about a candidate, in a copy of the cache."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(cache, Path(folder) / "base", ignore=shutil.ignore_patterns("candidates"))
        return seconds(["recertify", f"{folder}/base", "--candidate", candidate, "--radius", str(radius)], home)


def measure(cache: Path, candidate: str, radius: float, rounds: int) -> dict[str, list[float]]:
    """Measure with nothing kept, with the base's graph, and with all graphs."""
    names = ("nothing kept", "base kept", "all kept", "--help", "import torch alone")
    found: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            home = Path(folder)
            found["nothing kept"].append(decide(cache, candidate, radius, home))
            found["all kept"].append(decide(cache, candidate, radius, home))
            newest = max(home.rglob("*.graph"), key=lambda path: path.stat().st_ctime_ns)
            base = [path for path in home.rglob("*.graph") if path != newest]
            newest.unlink()
            found["base kept"] += [decide(cache, candidate, radius, home)] if base else []
            found["--help"].append(seconds(["--help"], home))
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", "import torch, os; os._exit(0)"], check=True)
        found["import torch alone"].append(time.perf_counter() - began)
    return found


def main() -> None:
    """Measure and print, and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cache", type=Path)
    parser.add_argument("--candidate", default="int8")
    parser.add_argument("--radius", type=float, default=0.5)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    a = parser.parse_args()
    found = measure(a.cache, a.candidate, a.radius, a.rounds)
    medians = {name: round(float(np.median(times)), 2) for name, times in found.items() if times}
    for name, value in medians.items():
        print(f"{name}: {value} s")
    if a.out is not None:
        facts = {"machine": machine.describe(), "candidate": a.candidate, "radius": a.radius, "rounds": a.rounds}
        a.out.write_text(json.dumps({**facts, "seconds": medians}, indent=2) + "\n")


if __name__ == "__main__":
    main()
