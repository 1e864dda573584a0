"""How many samples from scratch each incremental bound is worth, measured on a model's own candidates.

CACHE holds the base's votes (``smoothcert certify``), and below it each candidate recertified with bound auto and
the largest n_p asked for here. A copy of the cache, given by --long, holds the candidates under the same names
with bound joint and a large n_p: the votes that certification from scratch needs to catch up. ACR is averaged over
all disjoint windows of n_p samples that the long votes have.

    python experiments/incremental_speedup.py runs/base --long runs/long --n-p 300 1000 --out runs/speedup

The row "limit" is what no valid bound exceeds (`information_limit`), for each input's probabilities as the long
votes estimate them. The speedup of a bound is N / n_p, where N samples from scratch, at the same total alpha, give
the same ACR. Intervals are percentiles of a bootstrap over the inputs: they say how far the figure would move on
other inputs.
"""

from __future__ import annotations

import argparse
import csv
import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from information_limit import limit_radius
from numpy.typing import NDArray

from smoothcert.bounds import certified_radius, lower_confidence_bound
from smoothcert.data import load_dataset
from smoothcert.noise import input_keys
from smoothcert.procedures import Terms, named_bound, recertificates
from smoothcert.votes import PairedCounts, pair, stack_pairs
from smoothcert.votes.store import (
    CachedInput,
    CertificationCache,
    candidate_folder,
    read_candidates,
    read_provenance,
)

BOUNDS = ("irs", "joint", "auto")
RESAMPLES = 2000

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Votes:
    """Votes of one candidate on the inputs of a cache.

    Attributes
    ----------
    base, paired, auto : list of CachedInput
        Of the base; of the candidate on the cache's noise; of the candidate as bound auto placed them.
    """

    base: list[CachedInput]
    paired: list[CachedInput]
    auto: list[CachedInput]

    def windows(self, m: int, rows: list[CachedInput]) -> list[PairedCounts]:
        """Pair all disjoint windows of m samples."""
        found = []
        for k in range(len(rows[0].votes) // m):
            cut = [replace(row, votes=row.votes[k * m : k * m + m], start=row.start + k * m) for row in rows]
            found.append(stack_pairs([pair(b, c, m) for b, c in zip(self.base, cut, strict=True)]))
        return found


def mixed(paired: PairedCounts, auto: PairedCounts) -> PairedCounts:
    """Take the fresh rows of `auto`, and all others from `paired`."""
    fresh = auto.fresh

    def take(a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.where(fresh.reshape(-1, *[1] * (a.ndim - 1)), b, a)

    return replace(
        paired,
        own=take(paired.own, auto.own),
        paired=take(paired.paired, auto.paired),
        lost=take(paired.lost, auto.lost),
        n_disagree=take(paired.n_disagree, auto.n_disagree),
        fresh=fresh,
    )


def radii(votes: Votes, m: int, bound: str, store: CertificationCache, right: NDArray[np.bool_]) -> Array:
    """Mean radius over the windows for each input, 0 where the cached class is not the label."""
    tables = votes.windows(m, votes.paired)
    if bound == "auto":
        fresh = votes.windows(m, votes.auto)
        tables = [mixed(table, fresh[k % len(fresh)]) for k, table in enumerate(tables)]
    terms = Terms(bound=named_bound(bound), alpha_zeta=store.manifest.alpha)  # type: ignore[arg-type]
    found = [recertificates(table, store.manifest, terms)[0].radius for table in tables]
    return np.where(right, np.mean(found, axis=0), 0.0)


def scratch_radii(votes: Votes, sizes: list[int], alpha: float, sigma: float, right: NDArray[np.bool_]) -> Array:
    """Mean radius from scratch with each number of samples, over disjoint windows, shape (sizes, inputs)."""
    result = []
    for size in sizes:
        per_input = []
        for base, row in zip(votes.base, votes.paired, strict=True):
            whole = len(row.votes) // size
            counts = (row.votes[: whole * size].reshape(whole, size) == base.top_class).sum(axis=1)
            per_input.append(float(np.mean(certified_radius(lower_confidence_bound(counts, size, alpha), sigma))))
        result.append(np.where(right, per_input, 0.0))
    return np.array(result)


def limits(whole: PairedCounts, m: int, alpha: float, sigma: float, right: NDArray[np.bool_]) -> Array:
    """Bound the mean radius of every valid bound for each input, at its estimated probabilities."""
    p = (whole.count + 0.5) / (whole.n + 1)
    a = (whole.n10 + 0.5) / (whole.k1 + 1)
    b = (whole.n01 + 0.5) / (whole.m - whole.k1 + 1)
    return np.where(right, limit_radius(p, a, b, whole.n, m, alpha, sigma), 0.0)


def equal_acr(target: Array, curve: Array, sizes: list[int]) -> Array:
    """Find the samples from scratch at which the ACR is the target's; the largest size where it is not reached.

    target has shape (resamples,), curve (sizes, resamples). Between sizes, ACR is linear in log N.
    """
    monotone = np.maximum.accumulate(curve, axis=0)
    logs = np.log(sizes)
    return np.exp([np.interp(t, monotone[:, r], logs) for r, t in enumerate(target)])


def labels_and_votes(cache: Path, long: Path, name: str) -> tuple[CertificationCache, NDArray[np.int64], Votes]:
    """Load what belongs to one candidate."""
    store = CertificationCache(cache)
    provenance = read_provenance(cache)
    if provenance is None:
        raise SystemExit(f"{cache} was not made by the command line")
    data = load_dataset(provenance.data, provenance.split).take(provenance.limit, provenance.skip)
    keys = list(input_keys(data.inputs))
    auto, paired = (CertificationCache(candidate_folder(folder, name)) for folder in (cache, long))
    return (
        store,
        data.labels,
        Votes([store[k] for k in keys], [paired[k] for k in keys], [auto[k] for k in keys]),
    )


def study(cache: Path, long: Path, name: str, sizes_of_m: list[int]) -> list[dict[str, object]]:
    """Return a row for each bound and n_p."""
    store, y, votes = labels_and_votes(cache, long, name)
    alpha = 2 * store.manifest.alpha
    right = np.array([row.top_class for row in votes.base]) == y
    longest = len(votes.paired[0].votes)
    sizes = np.unique(np.geomspace(100, longest, 40).astype(int)).tolist()
    scratch = scratch_radii(votes, sizes, alpha, store.manifest.sigma, right)
    whole = stack_pairs([pair(b, c, longest) for b, c in zip(votes.base, votes.paired, strict=True)])
    rng = np.random.default_rng(0)
    picks = np.vstack([np.arange(len(y))[None], rng.integers(0, len(y), (RESAMPLES, len(y)))])
    curve = np.array([row[picks].mean(axis=1) for row in scratch])
    rows: list[dict[str, object]] = []
    for m in sizes_of_m:
        worth = {}
        per_input = {bound: radii(votes, m, bound, store, right) for bound in BOUNDS}
        per_input["limit"] = limits(whole, m, alpha, store.manifest.sigma, right)
        for bound, radius in per_input.items():
            acr = radius[picks].mean(axis=1)
            worth[bound] = equal_acr(acr, curve, sizes) / m
            over_paper = worth[bound] / worth["irs"]
            low, high = np.percentile(worth[bound][1:], [2.5, 97.5])
            low_p, high_p = np.percentile(over_paper[1:], [2.5, 97.5])
            rows.append(
                {
                    "candidate": name,
                    "n_p": m,
                    "bound": bound,
                    "disagreement": round(float(whole.n_disagree.mean() / longest), 5),
                    "lost": round(float(whole.n10.mean() / longest), 5),
                    "won": round(float(whole.n01.mean() / longest), 5),
                    "ACR": round(float(acr[0]), 4),
                    "ACR scratch": round(float(np.interp(math.log(m), np.log(sizes), curve[:, 0])), 4),
                    "speedup": round(float(worth[bound][0]), 3),
                    "low": round(float(low), 3),
                    "high": round(float(high), 3),
                    "over irs": round(float(over_paper[0]), 3),
                    "over irs low": round(float(low_p), 3),
                    "over irs high": round(float(high_p), 3),
                    "capped": bool(worth[bound][0] * m >= longest * 0.999),
                }
            )
            print(*rows[-1].values(), sep="\t", flush=True)
    return rows


def main() -> None:
    """Study all candidates that are in both folders."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cache", type=Path)
    parser.add_argument("--long", type=Path, required=True, help="folder with candidates/NAME of many votes each")
    parser.add_argument("--n-p", type=int, nargs="+", default=[300, 1000])
    parser.add_argument("--out", type=Path, default=Path("runs/speedup"))
    a = parser.parse_args()
    rows = [row for record in read_candidates(a.cache) for row in study(a.cache, a.long, record.name, a.n_p)]
    a.out.mkdir(parents=True, exist_ok=True)
    with (a.out / "incremental_speedup.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
