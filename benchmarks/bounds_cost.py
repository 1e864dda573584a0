"""What bounds cost: seconds for 10,000 inputs, on one thread, with compiled code loaded beforehand.

Inputs have p_A uniform in [0.5, 1) and candidates that lose and gain votes alike; "auto" is the gate and both of
its bounds. Run it on a machine that does nothing else.

    python benchmarks/bounds_cost.py --out benchmarks/results/bounds_cost.json
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import machine
import numpy as np
from numpy.typing import NDArray

from smoothcert.bounds import (
    irs_bound,
    joint_lower_bound,
    lower_confidence_bound,
    prefers_direct,
)

ALPHA = 0.002
SETTINGS = ((10_000, 1_000, 0.01), (100_000, 10_000, 0.01), (100_000, 10_000, 0.05))


@dataclass(frozen=True)
class Counts:
    """Votes of many inputs."""

    n: int
    m: int
    count: NDArray[np.int64]
    k1: NDArray[np.int64]
    n10: NDArray[np.int64]
    n01: NDArray[np.int64]
    fresh: NDArray[np.int64]


def draw(n: int, m: int, disagreement: float, inputs: int) -> Counts:
    """Draw votes; the share of changed votes is at most what p_A leaves."""
    rng = np.random.default_rng(0)
    p = rng.uniform(0.5, 1, inputs)
    lost = np.minimum(disagreement / 2, 1 - p)
    k1 = rng.binomial(m, p)
    return Counts(
        n=n,
        m=m,
        count=k1 + rng.binomial(n - m, p),
        k1=k1,
        n10=rng.binomial(k1, lost / p),
        n01=rng.binomial(m - k1, lost / (1 - p)),
        fresh=rng.binomial(m, p),
    )


def bounds(v: Counts) -> dict[str, Callable[[], object]]:
    """Return what is timed."""

    def joint() -> NDArray[np.float64]:
        return joint_lower_bound(v.count, v.n, v.k1, v.n10, v.n01, v.m, ALPHA)

    def auto() -> NDArray[np.float64]:
        direct = prefers_direct(v.count, v.n)
        paired = ~direct
        bound = np.asarray(lower_confidence_bound(v.fresh, v.m, ALPHA))
        bound[paired] = joint_lower_bound(
            v.count[paired], v.n, v.k1[paired], v.n10[paired], v.n01[paired], v.m, ALPHA
        )
        return bound

    return {
        "from scratch": lambda: lower_confidence_bound(v.fresh, v.m, ALPHA),
        "irs": lambda: irs_bound(
            v.count, v.n, v.n10 + v.n01, v.k1 - v.n10 + v.n01, v.m, ALPHA / 2, ALPHA / 2, 0.99
        ),
        "joint": joint,
        "auto": auto,
    }


def seconds(run: Callable[[], object], turns: int) -> float:
    """Return the median over the turns, after one that compiles and warms up."""
    measured = []
    for _ in range(turns + 1):
        began = time.perf_counter()
        run()
        measured.append(time.perf_counter() - began)
    return statistics.median(measured[1:])


def main() -> None:
    """Measure, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--out", type=Path)
    a = parser.parse_args()
    described = machine.describe()
    print(f"{described['processor']}; {a.inputs:,} inputs, alpha = {ALPHA}")
    rows = []
    for n, m, disagreement in SETTINGS:
        votes = draw(n, m, disagreement, a.inputs)
        for name, run in bounds(votes).items():
            took = seconds(run, a.turns)
            rows.append({"n": n, "m": m, "disagreement": disagreement, "bound": name, "seconds": round(took, 4)})
            print(
                f"n = {n:7,}  m = {m:6,}  disagreement {disagreement:.0%}  {name:13}{took:8.3f} s"
                f"{1e3 * took / a.inputs:9.4f} ms an input"
            )
    if a.out:
        a.out.parent.mkdir(parents=True, exist_ok=True)
        result = {"machine": described, "inputs": a.inputs, "alpha": ALPHA, "results": rows}
        a.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
