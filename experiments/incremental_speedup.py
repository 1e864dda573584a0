"""How many samples from scratch each way of recertifying is worth, measured on a model's own candidates.

CACHE holds the base's votes (``smoothcert certify``). --long is a copy of it in which every candidate was
recertified with ``--bound joint --spread even`` and a large n_p: the votes that certification from scratch needs
to catch up. Each
--budget is another copy in which they were recertified with the defaults and another n_p.

    smoothcert certify CHECKPOINT --data cifar10 --limit 100 --skip 50 --sigma 0.5 --n 10000 --cache runs/base
    for copy in long b300 b1000; do cp -r runs/base runs/$copy; done
    smoothcert recertify runs/long --candidate int8:onnx --n-p 10000 --bound joint --spread even
    smoothcert recertify runs/b300 --candidate int8:onnx --n-p 300
    smoothcert recertify runs/b1000 --candidate int8:onnx --n-p 1000
    python experiments/incremental_speedup.py runs/base --long runs/long --budget runs/b300 runs/b1000 --out runs

The rows are the paper's bound and the joint bound with the same n_p for every input, and "budget", the default.
Radii are averages over all disjoint windows that the long votes have, of n_p samples or of as many as the budget
gave the input; inputs that started from scratch have their one run. The row "limit" is what no valid bound exceeds
with one n_p for all (`information_limit`), for each input's probabilities as the long votes estimate them.

The speedup is N over the samples spent on average, where N samples from scratch, at the same total alpha, give the
same ACR: one N for all inputs, and "guided", divided among them by what the cache says. Intervals are percentiles
of a bootstrap over the inputs: they say how far the figure would move on other inputs.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from information_limit import limit_radius
from numpy.typing import NDArray
from rows import print_and_write

from smoothcert.bounds import (
    allocate_samples,
    certified_radius,
    expected_bounds_from_scratch,
    lower_confidence_bound,
)
from smoothcert.data import load_dataset
from smoothcert.noise import input_keys
from smoothcert.procedures import CacheGuide, Terms, named_bound, predicted_from_cache, recertificates
from smoothcert.votes import PairedCounts, pair, stack_pairs
from smoothcert.votes.store import (
    CachedInput,
    CertificationCache,
    candidate_folder,
    read_candidates,
    read_provenance,
)

BOUNDS = ("irs", "joint")
RESAMPLES = 2000
MEANS = np.unique(np.geomspace(100, 40_000, 24).astype(int)).tolist()

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Votes:
    """Votes on the inputs of a cache: of the base, and many of a candidate on the same noise."""

    base: list[CachedInput]
    long: list[CachedInput]

    @property
    def longest(self) -> int:
        """Votes of the candidate on each input."""
        return len(self.long[0].votes)

    def window(self, i: int, m: int, k: int) -> PairedCounts:
        """Pair the k-th window of m samples of one input."""
        row = self.long[i]
        cut = replace(row, votes=row.votes[k * m : k * m + m], start=row.start + k * m)
        return pair(self.base[i], cut, m)


def even_radii(votes: Votes, m: int, bound: str, store: CertificationCache) -> Array:
    """Return the mean radius over the windows for each input, with m samples of each."""
    found = []
    for k in range(votes.longest // m):
        table = stack_pairs([votes.window(i, m, k) for i in range(len(votes.base))])
        found.append(recertificates(table, store.manifest, terms(store, bound))[0].radius)
    return np.asarray(np.mean(found, axis=0))


def budget_radii(votes: Votes, run: list[CachedInput], store: CertificationCache) -> Array:
    """Return the mean radius over the windows for each input, with as many samples as it got in a run."""
    found = []
    for i, row in enumerate(run):
        m = len(row.votes)
        fresh = row.start >= store.manifest.n
        whole = 1 if fresh or m == 0 else votes.longest // m
        tables = [pair(votes.base[i], row, m) if fresh or m == 0 else votes.window(i, m, k) for k in range(whole)]
        radius = recertificates(stack_pairs(tables), store.manifest, terms(store, "auto"))[0].radius
        found.append(float(radius.mean()))
    return np.array(found)


def terms(store: CertificationCache, bound: str) -> Terms:
    """Return the terms of a bound at twice the cache's alpha."""
    return Terms(bound=named_bound(bound), alpha_zeta=store.manifest.alpha)  # type: ignore[arg-type]


def scratch_radii(votes: Votes, sizes: list[int], alpha: float, sigma: float) -> Array:
    """Return the mean radius from scratch with each number of samples, over disjoint windows, (sizes, inputs)."""
    result = []
    for size in sizes:
        per_input = []
        for base, row in zip(votes.base, votes.long, strict=True):
            whole = len(row.votes) // size
            counts = (row.votes[: whole * size].reshape(whole, size) == base.top_class).sum(axis=1)
            per_input.append(float(np.mean(certified_radius(lower_confidence_bound(counts, size, alpha), sigma))))
        result.append(per_input)
    return np.array(result)


def guided_radii(votes: Votes, store: CertificationCache, alpha: float) -> Array:
    """Expect the radius from scratch when the cache divides each mean number of samples, (MEANS, inputs)."""
    n, sigma = store.manifest.n, store.manifest.sigma
    predicted = predicted_from_cache(np.array([row.count for row in votes.base]), n, CacheGuide.spread)
    hits = [int((row.votes == base.top_class).sum()) for base, row in zip(votes.base, votes.long, strict=True)]
    p = np.clip(np.array(hits) / votes.longest, 0.0, 1 - 0.5 / votes.longest)
    sizes = (allocate_samples(predicted, mean, alpha) for mean in MEANS)
    bounds = (expected_bounds_from_scratch(p, each, alpha) for each in sizes)
    return np.stack([np.asarray(certified_radius(each, sigma)).mean(axis=0) for each in bounds])


def limits(whole: PairedCounts, m: int, alpha: float, sigma: float) -> Array:
    """Bound the mean radius of every valid bound for each input, at its estimated probabilities."""
    p = (whole.count + 0.5) / (whole.n + 1)
    a = (whole.n10 + 0.5) / (whole.k1 + 1)
    b = (whole.n01 + 0.5) / (whole.m - whole.k1 + 1)
    return limit_radius(p, a, b, whole.n, m, alpha, sigma)


def equal_acr(target: Array, curve: Array, sizes: list[int]) -> Array:
    """Find the samples from scratch at which the ACR is the target's; the largest size where it is not reached.

    target has shape (resamples,), curve (sizes, resamples). Between sizes, ACR is linear in log N.
    """
    monotone = np.maximum.accumulate(curve, axis=0)
    logs = np.log(sizes)
    return np.exp([np.interp(t, monotone[:, r], logs) for r, t in enumerate(target)])


@dataclass(frozen=True)
class Data:
    """What belongs to one base."""

    store: CertificationCache
    keys: list[bytes]
    labels: NDArray[np.int64]

    @classmethod
    def read(cls, cache: Path) -> Data:
        """Find the inputs of a cache again."""
        provenance = read_provenance(cache)
        if provenance is None:
            raise SystemExit(f"{cache} was not made by the command line")
        data = load_dataset(provenance.data, provenance.split).take(provenance.limit, provenance.skip)
        return cls(CertificationCache(cache), list(input_keys(data.inputs)), data.labels)

    def votes(self, folder: Path, name: str) -> list[CachedInput]:
        """Read the votes of a candidate in a copy of the cache."""
        own = CertificationCache(candidate_folder(folder, name))
        return [own[key] for key in self.keys]


def study(data: Data, long: Path, budgets: list[Path], name: str) -> Iterator[dict[str, object]]:
    """Yield a row for each way and n_p."""
    store, sigma = data.store, data.store.manifest.sigma
    votes = Votes([store[key] for key in data.keys], data.votes(long, name))
    alpha = 2 * store.manifest.alpha
    right = np.array([row.top_class for row in votes.base]) == data.labels
    sizes = np.unique(np.geomspace(100, votes.longest, 40).astype(int)).tolist()
    whole = stack_pairs([votes.window(i, votes.longest, 0) for i in range(len(votes.base))])
    rng = np.random.default_rng(0)
    picks = np.vstack([np.arange(len(right))[None], rng.integers(0, len(right), (RESAMPLES, len(right)))])

    def resampled(radius: Array) -> Array:
        return np.asarray(np.where(right, radius, 0.0)[picks].mean(axis=1))

    curve = np.array([resampled(row) for row in scratch_radii(votes, sizes, alpha, sigma)])
    guided = np.array([resampled(row) for row in guided_radii(votes, store, alpha)])
    for folder in budgets:
        record = next(r for r in read_candidates(folder) if r.name == name)
        run, m = data.votes(folder, name), record.n_p
        mean = float(np.mean([len(row.votes) for row in run]))
        ways = {bound: (even_radii(votes, m, bound, store), float(m)) for bound in BOUNDS}
        ways["budget"] = budget_radii(votes, run, store), mean
        ways["limit"] = limits(whole, m, alpha, sigma), float(m)
        for way, (radius, spent) in ways.items():
            acr = resampled(radius)
            worth, against = equal_acr(acr, curve, sizes) / spent, equal_acr(acr, guided, MEANS) / spent
            yield {
                "candidate": name,
                "n_p": m,
                "way": way,
                "samples": round(spent, 1),
                "disagreement": round(float(whole.n_disagree.mean() / votes.longest), 5),
                "lost": round(float(whole.n10.mean() / votes.longest), 5),
                "won": round(float(whole.n01.mean() / votes.longest), 5),
                "ACR": round(float(acr[0]), 4),
                "ACR scratch": round(float(np.interp(math.log(m), np.log(sizes), curve[:, 0])), 4),
                **interval("speedup", worth),
                **interval("guided", against),
                "capped": bool(worth[0] * spent >= votes.longest * 0.999),
            }


def interval(name: str, values: Array) -> dict[str, float]:
    """Return the sample's own value, which is the first, and the interval of the others."""
    low, high = np.percentile(values[1:], [2.5, 97.5])
    return {name: round(float(values[0]), 3), f"{name} low": round(low, 3), f"{name} high": round(high, 3)}


def main() -> None:
    """Study all candidates that are in all folders."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cache", type=Path)
    parser.add_argument("--long", type=Path, required=True, help="copy with many votes of each candidate")
    parser.add_argument("--budget", type=Path, nargs="+", required=True, help="copies with the defaults")
    parser.add_argument("--out", type=Path, default=Path("runs/speedup"))
    a = parser.parse_args()
    data = Data.read(a.cache)
    rows = (row for record in read_candidates(a.long) for row in study(data, a.long, a.budget, record.name))
    print_and_write(rows, a.out, "incremental_speedup.csv")


if __name__ == "__main__":
    main()
