"""What cached margins would buy: more of the candidate's samples where the base's two best classes are close.

CACHE holds the base's votes, --long is a copy of it with candidates recertified with ``--bound joint --spread
even`` on all cached samples, see `incremental_speedup`. The base is run once more for its margins, which are kept
in
--out.

    python experiments/margin_gain.py runs/base --long runs/long --out runs/margins

Each input gets as many samples as the budget gives it (`allocate_paired`), uniformly or in strata of the margin: a
share of them among the smallest margins of the input, the others among the rest. Both are judged by the same
approximation, so that the strata are all that differs: the candidate's count K' among all n cached samples is a
finite population of lost and won votes, whose profile likelihood is the product of hypergeometric ones, and the
bound on p' is the least over K' of Clopper and Pearson's bound at what is left of the score after the likelihood
ratio of K'. It is no valid bound: with no losses a likelihood ratio takes 1.5 times as few samples as an exact
test. "worth" is how many times as many uniform samples give the ACR of the strata.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from incremental_speedup import Data
from numpy.typing import NDArray
from rows import print_and_write
from scipy.special import gammaln, ndtr, ndtri

from smoothcert.bounds import allocate_paired, certified_radius, lower_confidence_bound
from smoothcert.cli.workspace import open_workspace
from smoothcert.noise import Purpose
from smoothcert.sampling import SampleRange
from smoothcert.votes.store import read_candidates

MEANS = (300, 400, 550, 700, 850, 1000, 1200, 1400, 2000, 3000)
REPORTED = (550, 850, 1000, 1200)
# The share of the smallest margins, and of the samples that are taken among them.
STRATA = ((0.02, 0.08), (0.05, 0.1), (0.05, 0.15), (0.1, 0.2), (0.1, 0.4), (0.2, 0.35))
MULTIPLIERS = np.concatenate([[0.0], np.geomspace(1e-3, 6, 240)])
UNLIKELY = 20.0
BATCH = 500

Array = NDArray[np.float64]
Bits = NDArray[np.bool_]


@dataclass(frozen=True)
class Stratum:
    """x events among m of N cached votes that were drawn at random."""

    N: int
    m: int
    x: int

    def follow(self, sign: int) -> tuple[Array, Array]:
        """Return for each multiplier the total that fits best with it, and its log likelihood ratio."""
        total = np.arange(self.N + 1)
        total = total[(total >= self.x) & (self.N - total >= self.m - self.x)]
        fit = _choose(total, self.x) + _choose(self.N - total, self.m - self.x)
        fit -= fit.max()
        total, fit = total[fit > -UNLIKELY], fit[fit > -UNLIKELY]
        best = (fit + sign * MULTIPLIERS[:, None] * total).argmax(axis=1)
        return total[best].astype(np.float64), fit[best]


def _choose(n: NDArray[np.int64], k: int) -> Array:
    return np.asarray(gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1))


def bound(count: int, n: int, lost: list[Stratum], won: list[Stratum], alpha: float) -> float:
    """Bound p' from the cached count and the strata of votes that f' loses and wins, approximately."""
    z = -float(ndtri(alpha))
    total, fit = np.full(len(MULTIPLIERS), float(count)), np.zeros(len(MULTIPLIERS))
    for sign, strata in ((1, lost), (-1, won)):
        for stratum in strata:
            if stratum.m:
                changed, likelihood = stratum.follow(sign)
            else:  # all lost, or none won
                changed, likelihood = (
                    np.full(len(total), float(stratum.N if sign > 0 else 0)),
                    np.zeros(len(total)),
                )
            total, fit = total - sign * changed, fit + likelihood
    score = np.linspace(0, z, 40)
    order = np.argsort(-fit)
    left = np.clip(np.interp(score**2 / 2, -fit[order], total[order]), 0, n)
    level = np.clip(ndtr(-np.sqrt(z * z - score * score)), 1e-9, 0.4999)
    return float(np.min(lower_confidence_bound(np.floor(left + 1e-9), n, level)))


def stratified(X: Bits, Y: Bits, near: Bits, sizes: tuple[int, int], alpha: float) -> float:
    """Bound p' from the first samples of each of two strata."""
    lost, won = [], []
    for members, size in ((near, sizes[0]), (~near, sizes[1])):
        taken = np.flatnonzero(members)[:size]
        x, y = X[taken], Y[taken]
        lost.append(Stratum(int((members & X).sum()), int(x.sum()), int((x & ~y).sum())))
        won.append(Stratum(int((members & ~X).sum()), int((~x).sum()), int((~x & y).sum())))
    return bound(int(X.sum()), len(X), lost, won, alpha)


def margins_of(cache: Path, data: Data, out: Path) -> NDArray[np.float32]:
    """Return the difference of the base's two largest logits on every cached sample, (inputs, n)."""
    if (out / "margins.npy").exists():
        return np.asarray(np.load(out / "margins.npy"))
    workspace = open_workspace(cache, model=None, data=None, device=None)
    inputs, noise, n = workspace.dataset.inputs, data.store.manifest.noise(), data.store.manifest.n
    margins = np.empty((len(inputs), n), np.float32)
    for i, key in enumerate(data.keys):
        for start in range(0, n, BATCH):
            stop = min(n, start + BATCH)
            batch = np.empty((stop - start + noise.block(inputs[0].size), *inputs.shape[1:]), np.float32)
            SampleRange(i, key, Purpose.ESTIMATION, start, stop).perturb(noise, np.asarray(inputs[i]), batch)
            top = np.partition(workspace.base.logits(batch[: stop - start]), -2, axis=1)
            margins[i, start:stop] = top[:, -1] - top[:, -2]
        print(f"margins of {i + 1} of {len(inputs)} inputs", flush=True)
    out.mkdir(parents=True, exist_ok=True)
    np.save(out / "margins.npy", margins)
    return margins


def study(data: Data, long: Path, name: str, margins: NDArray[np.float32]) -> Iterator[dict[str, object]]:
    """Yield how many uniform samples each way of placing them is worth."""
    n, alpha, sigma = data.store.manifest.n, 2 * data.store.manifest.alpha, data.store.manifest.sigma
    base, own = [data.store[key] for key in data.keys], data.votes(long, name)
    count = np.array([row.count for row in base])
    right = np.flatnonzero(np.array([row.top_class for row in base]) == data.labels)
    rank = margins.argsort(axis=1).argsort(axis=1)
    acr: dict[tuple[float, float], list[float]] = {way: [] for way in ((0.0, 0.0), *STRATA)}
    for mean in MEANS:
        sizes = np.minimum(allocate_paired(count, n, mean, alpha, afresh=False), n)
        for (smallest, share), found in acr.items():
            radius = 0.0
            for i in right[sizes[right] > 0]:
                X, Y = base[i].votes == base[i].top_class, own[i].votes == base[i].top_class
                near = rank[i] < smallest * n
                first = min(round(share * sizes[i]), int(near.sum()))
                p_lower = stratified(X, Y, near, (first, int(sizes[i]) - first), alpha)
                radius += float(certified_radius(np.array([p_lower]), sigma)[0])
            found.append(radius / len(base))
    uniform = np.maximum.accumulate(acr[0.0, 0.0])
    for (smallest, share), found in acr.items():
        for mean in REPORTED:
            worth = np.exp(np.interp(found[MEANS.index(mean)], uniform, np.log(MEANS))) / mean
            yield {
                "candidate": name,
                "samples": mean,
                "smallest margins": smallest,
                "samples among them": share,
                "ACR": round(found[MEANS.index(mean)], 4),
                "worth": round(float(worth), 3),
            }


def main() -> None:
    """Study all candidates of --long."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cache", type=Path)
    parser.add_argument("--long", type=Path, required=True, help="copy with all cached samples of each candidate")
    parser.add_argument("--out", type=Path, default=Path("runs/margins"))
    a = parser.parse_args()
    data = Data.read(a.cache)
    margins = margins_of(a.cache, data, a.out)
    rows = (row for record in read_candidates(a.long) for row in study(data, a.long, record.name, margins))
    print_and_write(rows, a.out, "margin_gain.csv")


if __name__ == "__main__":
    main()
