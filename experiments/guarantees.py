"""Count the failures of every bound, rule and stopping time against its failure probability.

    python experiments/guarantees.py --out runs/guarantees

writes every count to a CSV file, and the table in docs/guarantees.md anew with --docs. An exact binomial test says
whether there are more failures than the failure probability explains.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import chosen_failures
import closed_form_failures
import guided_failures
import simulated_failures
import stopping_failures
from counts import Count

BEGIN, END = "<!-- counts: begin -->", "<!-- counts: end -->"
SOURCES = {
    "linear classifiers under noise": closed_form_failures.count_all,
    "simulated votes": simulated_failures.count_all,
    "simulated votes, n_p chosen from them": chosen_failures.count_all,
    "simulated votes, stopped early": stopping_failures.count_all,
    "linear classifiers and a surrogate": guided_failures.count_all,
}


def show(count: Count) -> None:
    """Print one count."""
    print(
        f"{count.world:40} {count.kind:36} {count.failures:6} false of {count.inputs:6}  "
        f"alpha {count.alpha:.2f}  p {count.p_value:.3g}",
        flush=True,
    )


def table(counts: Mapping[str, Sequence[Count]]) -> str:
    """Return the table of docs/guarantees.md: a line for each kind, over its worlds."""
    lines = [
        "| votes from | claim | worlds | certificates | alpha | largest share that failed | smallest p-value |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for source, found in counts.items():
        for kind in dict.fromkeys(c.kind for c in found):
            same = [c for c in found if c.kind == kind]
            worst = max(c.failures / c.inputs for c in same)
            lines.append(
                f"| {source} | {kind} | {len(same)} | {sum(c.inputs for c in same):,} | {same[0].alpha:g} | "
                f"{worst:.4f} | {min(c.p_value for c in same):.2g} |"
            )
    every = [c for found in counts.values() for c in found if "branch" not in c.kind]  # those are counted already
    return "\n".join([*lines, "", f"{sum(c.inputs for c in every):,} certificates in all."])


def main() -> None:
    """Count, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/guarantees"))
    parser.add_argument("--certificates", type=int, default=10_000, help="inputs per world")
    parser.add_argument("--docs", type=Path, help="Markdown file whose table to renew")
    a = parser.parse_args()
    began = time.perf_counter()
    counts = {source: count_all(a.certificates, show) for source, count_all in SOURCES.items()}
    a.out.mkdir(parents=True, exist_ok=True)
    with (a.out / "failure_counts.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["votes", "world", "kind", "inputs", "certificates", "failures", "total alpha", "p-value"])
        for source, found in counts.items():
            for c in found:
                row = (c.world, c.kind, c.inputs, c.certificates, c.failures, c.alpha, c.p_value)
                writer.writerow((source, *row))
    if a.docs is not None:
        before, _, rest = a.docs.read_text().partition(BEGIN)
        a.docs.write_text(f"{before}{BEGIN}\n{table(counts)}\n{END}{rest.partition(END)[2]}")
    print(f"{table(counts)}\n{time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
