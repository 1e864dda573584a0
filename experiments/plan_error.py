"""How far `plan` is from what happened: mean certified radius, planned from the cache alone and measured.

The folders are those of `incremental_speedup`: the base's cache, a copy with many votes of each candidate, and
copies whose candidates were recertified with the defaults and one n_p each.

    python experiments/plan_error.py runs/base --long runs/long --budget runs/b300 runs/b1000 --out runs
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from incremental_speedup import Data, terms
from rows import print_and_write

from smoothcert.bounds import certified_radius, lower_confidence_bound
from smoothcert.procedures import plan, recertificates
from smoothcert.votes import pair, stack_pairs
from smoothcert.votes.store import CachedInput, read_candidates


def measured(data: Data, own: list[CachedInput], long: list[CachedInput], n_p: int) -> dict[str, float]:
    """Certify from scratch, with n_p samples of each input and with those that the budget gave."""
    base, manifest = [data.store[key] for key in data.keys], data.store.manifest
    counts = np.array([int((row.votes[:n_p] == b.top_class).sum()) for row, b in zip(long, base, strict=True)])
    scratch = certified_radius(lower_confidence_bound(counts, n_p, 2 * manifest.alpha), manifest.sigma)
    radius = {"from scratch": float(np.mean(scratch))}
    for name, bound, rows in (("auto, even", "joint", long), ("auto, budget", "auto", own)):
        sizes = [n_p if rows is long else len(row.votes) for row in rows]
        pairs = stack_pairs([pair(b, row, m) for b, row, m in zip(base, rows, sizes, strict=True)])
        radius[name] = float(recertificates(pairs, manifest, terms(data.store, bound))[0].radius.mean())
    return radius


def study(data: Data, cache: Path, long: Path, folder: Path) -> Iterator[dict[str, object]]:
    """Yield a row for each candidate and method."""
    for record in read_candidates(folder):
        found = plan(cache, n_p=record.n_p)
        planned = {method.method: method.reaches * found.reference for method in found.methods}
        own, many = data.votes(folder, record.name), data.votes(long, record.name)
        for method, radius in measured(data, own, many, record.n_p).items():
            yield {
                "candidate": record.name,
                "n_p": record.n_p,
                "method": method,
                "planned": round(planned[method], 4),
                "measured": round(radius, 4),
                "error": f"{planned[method] / radius - 1:+.2%}",
            }


def main() -> None:
    """Compare all candidates of all folders."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cache", type=Path)
    parser.add_argument("--long", type=Path, required=True)
    parser.add_argument("--budget", type=Path, nargs="+", required=True)
    parser.add_argument("--out", type=Path, default=Path("runs/speedup"))
    a = parser.parse_args()
    data = Data.read(a.cache)
    rows = (row for folder in a.budget for row in study(data, a.cache, a.long, folder))
    print_and_write(rows, a.out, "plan_error.csv")


if __name__ == "__main__":
    main()
