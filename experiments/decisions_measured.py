"""What decisions at a radius cost on a model's own candidates, replayed from kept votes.

    python experiments/decisions_measured.py runs/base --radius 0.25 0.5 1.0 --out runs/figures

The candidates below the cache were recertified with bound joint and a large n_p. Votes are a function of the
classifier and the sample, so a decision that asks for some of them gets those that were kept. Beside the decision
from the cache stand the candidate from scratch with all its votes, and the sequential test from scratch with at
most as many, all at the same total alpha. All inputs count, abstained and wrong ones too.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smoothcert.bounds import (
    CERTIFIED,
    UNDECIDED,
    RadiusTest,
    lower_confidence_bound,
    upper_confidence_bound,
)
from smoothcert.data import load_dataset
from smoothcert.noise import input_keys
from smoothcert.procedures.incremental import StoppingRule, decide_all
from smoothcert.procedures.threshold import threshold_of
from smoothcert.votes.store import (
    CachedInput,
    CertificationCache,
    candidate_folder,
    read_candidates,
    read_provenance,
)

Bits = NDArray[np.bool_]
Counts = NDArray[np.int64]


def from_cache(
    base: list[CachedInput], own: list[CachedInput], p0: float, n_p: int, alpha: float
) -> tuple[Counts, Counts]:
    """Return the class that the decision certifies for each input, -1 for none, and the samples it took."""
    top = np.array([row.top_class for row in base])
    count = np.array([row.counts[row.top_class] if row.top_class >= 0 else 0 for row in base])
    rule = StoppingRule(p0=p0, n=len(base[0].votes), n_p=n_p, alpha=alpha)

    def cached(i: int) -> Bits:
        return np.asarray(base[i].votes[:n_p] == top[i])

    def ask(wanted: list[tuple[int, Counts]], to_come: int) -> list[Bits]:
        return [np.asarray(own[i].votes[indices] == top[i]) for i, indices in wanted]

    found = decide_all(rule, count, cached, ask)
    return np.where(found.certified, top, -1), found.samples


def sequential(own: list[CachedInput], p0: float, n: int, alpha: float) -> tuple[Counts, Counts]:
    """Return the same for the sequential test from scratch, selection samples included."""
    test = RadiusTest(p0, n, alpha)
    top, used = np.full(len(own), -1), np.zeros(len(own), np.int64)
    for i, row in enumerate(own):
        c_A, t, decision = int(row.selection_counts.argmax()), 0, UNDECIDED
        while decision == UNDECIDED:
            t = test.next_size(t)
            decision = int(test.judge(np.array([(row.votes[:t] == c_A).sum()]), t)[0])
        top[i], used[i] = (c_A if decision == CERTIFIED else -1), t + int(row.selection_counts.sum())
    return top, used


def fixed(own: list[CachedInput], p0: float, n: int, alpha: float) -> tuple[Counts, Counts]:
    """Return the same for certification from scratch with n samples, selection samples included."""
    top = np.array([row.selection_counts.argmax() for row in own])
    count = np.array([(row.votes[:n] == c_A).sum() for row, c_A in zip(own, top, strict=True)])
    shown = np.asarray(lower_confidence_bound(count, n, alpha)) > p0
    return np.where(shown, top, -1), np.array([n + int(row.selection_counts.sum()) for row in own])


def main() -> None:
    """Replay every candidate at every radius, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cache", type=Path)
    parser.add_argument("--radius", type=float, nargs="+", default=[0.25, 0.5, 1.0])
    parser.add_argument("--out", type=Path, default=Path("runs/figures"))
    a = parser.parse_args()
    store, provenance = CertificationCache(a.cache), read_provenance(a.cache)
    if provenance is None:
        raise SystemExit(f"{a.cache} was not made by the command line")
    data = load_dataset(provenance.data, provenance.split).take(provenance.limit, provenance.skip)
    keys = list(input_keys(data.inputs))
    base, noise = [store[key] for key in keys], store.manifest.noise()
    rows = [["candidate", "radius", "method", "certified accuracy", "low", "high", "samples an input"]]
    for record in read_candidates(a.cache):
        votes = CertificationCache(candidate_folder(a.cache, record.name))
        own, n, alpha = [votes[key] for key in keys], votes.manifest.n, votes.manifest.alpha
        for radius in a.radius:
            p0 = threshold_of(radius, noise, data.inputs[0].size)[1]
            for name, (top, used) in {
                f"from scratch, n = {n:,}": fixed(own, p0, n, alpha),
                f"sequential, at most {n:,}": sequential(own, p0, n, alpha),
                f"decision, cache of {store.manifest.n:,}": from_cache(base, own, p0, n, alpha),
            }.items():
                right = int((top == data.labels).sum())
                low, high = (b(right, len(keys), 0.05) for b in (lower_confidence_bound, upper_confidence_bound))
                figures = [f"{v:.3f}" for v in (right / len(keys), low, high)]
                rows.append([record.name, f"{radius:g}", name, *figures, f"{used.mean():.1f}"])
                print(*rows[-1], sep="\t", flush=True)
    a.out.mkdir(parents=True, exist_ok=True)
    with (a.out / "decisions_measured.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)


if __name__ == "__main__":
    main()
