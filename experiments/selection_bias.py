"""How sure the best-looking of many candidates is, on the votes that made it look best and on others.

    python experiments/selection_bias.py

Candidates of one base, all equally good, are recertified from its cache at one input, at alpha = 0.05. The one
with the largest bound is picked, and its bound is held against the truth: as it is, at alpha / C for all C
candidates together, and recertified on samples of the cache that were held out.
"""

from __future__ import annotations

import argparse

import numpy as np
from numpy.typing import NDArray

from smoothcert.bounds import joint_lower_bound

ALPHA, N, M = 0.05, 10_000, 1000
P, LOST, WON = 0.85, 0.012, 0.012 * 0.85 / 0.15  # as many votes lost as won

Counts = NDArray[np.int64]


def failures(candidates: int, trials: int, seed: int) -> dict[str, float]:
    """Return how often the bound of the candidate that is picked exceeds the truth, for each way to report it."""
    rng = np.random.default_rng(seed)
    truth = P * (1 - LOST) + (1 - P) * WON
    k1, again, rest = (rng.binomial(size, P, (trials, 1)) for size in (M, M, N - 2 * M))
    count = k1 + again + rest

    def bounds(kept: Counts, columns: int, together: int = 1) -> NDArray[np.float64]:
        n10 = rng.binomial(kept, LOST, (trials, columns))
        n01 = rng.binomial(M - kept, WON, (trials, columns))
        return joint_lower_bound(count, N, kept, n10, n01, M, ALPHA, candidates=together)

    return {
        "picked on these votes": float((bounds(k1, candidates).max(axis=1) > truth).mean()),
        "at alpha / C together": float((bounds(k1, candidates, candidates).max(axis=1) > truth).mean()),
        "recertified on held-out samples": float((bounds(again, 1)[:, 0] > truth).mean()),
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    a = parser.parse_args()
    print(f"share of {a.trials} winners whose bound is false, at alpha = {ALPHA:g}")
    for candidates in (1, 10, 50):
        shares = failures(candidates, a.trials, a.seed)
        print(f"C = {candidates:2}  " + "  ".join(f"{name}: {share:.4f}" for name, share in shares.items()))


if __name__ == "__main__":
    main()
