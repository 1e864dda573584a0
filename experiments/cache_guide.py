"""What it buys to let the cache of another model guide a certification from scratch, on real votes.

    smoothcert certify CHECKPOINT --data cifar10 --limit 30 --sigma 0.5 --n 5000 --cache runs/base
    python experiments/cache_guide.py runs/base int8 --votes runs/int8 --out cache_guide_int8.csv
    python experiments/cache_guide.py runs/base prune:0.20 --votes runs/prune20 --out cache_guide_prune20.csv

The new model is a candidate of the cache's base, certified under the next seed with as many samples: half a minute
for int8 on two cores. What is kept in the folder of its votes is not sampled again.

Both procedures are replayed on the first votes of each input of the new model's cache, which has the same inputs
under the next seed: one n for all, and the numbers of `CacheGuide` for the same mean. Mean certified radii are
given, and the samples that one n for all needs for the guided radius over those that were spent, selection
included. No input gets more votes than the new cache has.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import smoothcert as sc
from smoothcert.bounds import smallest_n
from smoothcert.cli.workspace import open_workspace
from smoothcert.procedures import cohen_certificates
from smoothcert.votes import Smoothed, tally_of
from smoothcert.votes.store import CachedInput

MEANS = (100, 300, 1000, 3000)


def mean_radius(rows: list[CachedInput], n: int | NDArray[np.int64], store: sc.CertificationCache) -> float:
    """Certify from the first n votes of each input."""
    manifest = store.manifest
    found = cohen_certificates(tally_of(rows, n), manifest.alpha, manifest.noise(), manifest.size)
    return float(found.radius.mean())


def samples_from_scratch(rows: list[CachedInput], radius: float, store: sc.CertificationCache) -> float:
    """Return the smallest n for all with this mean radius, between grid points; infinite beyond the cache."""
    sizes = np.unique(np.geomspace(smallest_n(store.manifest.alpha), store.manifest.n, 60).astype(int))
    reached = np.maximum.accumulate([mean_radius(rows, int(n), store) for n in sizes])
    if radius > reached[-1]:
        return float("inf")
    return float(np.exp(np.interp(radius, reached, np.log(sizes))))


def main() -> None:
    """Replay both procedures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("guide", type=Path)
    parser.add_argument("candidate")
    parser.add_argument("--votes", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    a = parser.parse_args()
    workspace = open_workspace(a.guide, model=None, data=None, device=None)
    new = workspace.make(a.candidate)
    made = sc.CertificationCache(a.guide).manifest
    x = workspace.dataset.inputs
    sc.certify(
        new.classifier,
        x,
        sigma=made.sigma,
        n=made.n,
        alpha=made.alpha,
        seed=made.seed + 1,
        cache=a.votes,
    )
    store = sc.CertificationCache(a.votes)
    rows = [row for entry in store.entries for row in store.read(entry)]
    manifest = store.manifest
    keys = [row.key for row in rows]
    g = Smoothed(classifier=new.classifier, inputs=x, keys=keys, noise=manifest.noise())
    lines: list[tuple[object, ...]] = [
        (
            "n on average",
            "one n for all",
            "guided",
            "samples at equal radius over spent",
            "share of inputs at the least n",
        )
    ]
    for mean in MEANS:
        n = np.minimum(sc.CacheGuide(a.guide).guidance(g, mean, manifest.alpha).n, manifest.n)
        guided = mean_radius(rows, n, store)
        spent = manifest.n0 + float(n.mean())
        ratio = (manifest.n0 + samples_from_scratch(rows, guided, store)) / spent
        least = float((n == n.min()).mean())
        lines.append(
            (mean, round(mean_radius(rows, mean, store), 4), round(guided, 4), round(ratio, 2), round(least, 2))
        )
    for line in lines:
        print(*line, sep="  ")
    if a.out is not None:
        with a.out.open("w", newline="") as file:
            csv.writer(file).writerows(lines)


if __name__ == "__main__":
    main()
