"""Peak memory of a certification against the number of samples and of inputs; each a process of its own.

python benchmarks/memory.py MODEL --data digits --sigma 0.25 --sizes 1x1000 1x1000000 500x2000 --out FILE
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import machine
from main_job import run


def main() -> None:
    """Run each size, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--data", required=True)
    parser.add_argument("--sigma", required=True)
    parser.add_argument("--sizes", nargs="+", required=True, help="INPUTSxN")
    parser.add_argument("--out", type=Path, required=True)
    a = parser.parse_args()
    results = []
    for size in a.sizes:
        inputs, n = size.split("x")
        with tempfile.TemporaryDirectory() as cache:
            call = (a.model, "--data", a.data, "--sigma", a.sigma, "--limit", inputs, "--n", n, "--cache", cache)
            results.append({"inputs": int(inputs), "n": int(n), **run("certify", *call)})
    a.out.parent.mkdir(parents=True, exist_ok=True)
    a.out.write_text(json.dumps({"machine": machine.describe(), "runs": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
