"""How many samples from scratch a budget over the inputs is worth, on the p_A of published certification logs.

    python experiments/budget_gain.py 0.50=LOG 1.00=LOG --out runs/figures

p_A of each input is recovered from its radius in a log. Votes of a base are drawn, and those of a candidate that
loses as many as it wins, a share c phi(Phi^-1(p_A)) of all in sum. For each cache and c it compares, at the same
samples of the candidate on average and the same total alpha, the same n_p for every input and the budget, both
with bound auto. Each is said in samples from scratch that give the same average certified radius: with one n for
all, and with the same cache as the guide of a division. All inputs count, abstained and wrong ones too.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from adaptive_sampling import Inputs, read
from numpy.typing import NDArray
from rows import print_and_write

from smoothcert.bounds import (
    allocate_paired,
    allocate_samples,
    certified_radius,
    expected_bounds_from_scratch,
    expected_disagreement,
    joint_lower_bound,
    lower_confidence_bound,
    prefers_direct,
)
from smoothcert.procedures import CacheGuide, predicted_from_cache

ALPHA = 0.002
RUNS = 3
SETTINGS = {
    0.5: [(10_000, 0.01, (300, 1000)), (10_000, 0.044, (300, 1000, 3000)), (10_000, 0.2, (300, 1000))],
    1.0: [
        *((10_000, c, (300, 1000)) for c in (0.01, 0.044)),
        *((100_000, c, (300, 1000, 3000)) for c in (0.01, 0.044, 0.2)),
    ],
}

Array = NDArray[np.float64]
Counts = NDArray[np.int64]


def acr(inputs: Inputs, bounds: Array) -> float:
    """Average the radii of the inputs whose class was right; bounds have shape (..., m)."""
    return float((np.asarray(certified_radius(bounds, inputs.sigma)) * inputs.right).mean())


def draw(inputs: Inputs, count: Counts, n: int, m: Counts, c: float, rng: np.random.Generator) -> Array:
    """Bound the candidate's probability by bound auto, from drawn votes on m samples of each input."""
    p, bound, fresh = inputs.p, np.zeros(len(m)), prefers_direct(count, n)
    changed = expected_disagreement(p, c) / 2
    direct, paired = np.flatnonzero(fresh & (m > 0)), np.flatnonzero(~fresh & (m > 0))
    bound[direct] = lower_confidence_bound(rng.binomial(m[direct], p[direct]), m[direct], ALPHA)
    K, size, p = count[paired], m[paired], p[paired]
    k1 = rng.hypergeometric(K, n - K, size)
    n10, n01 = rng.binomial(k1, changed[paired] / p), rng.binomial(size - k1, changed[paired] / (1 - p))
    bound[paired] = joint_lower_bound(K, n, k1, n10, n01, size, ALPHA)
    return bound


def study(inputs: Inputs, n: int, c: float, means: tuple[int, ...]) -> Iterator[dict[str, object]]:
    """Yield a row for each mean number of samples and each way to spread them."""
    rng = np.random.default_rng(0)
    count = rng.binomial(n, inputs.p)
    predicted = predicted_from_cache(count, n, CacheGuide.spread)
    sizes = np.unique(np.geomspace(30, 40 * max(means), 40).astype(int))
    one_n = [acr(inputs, expected_bounds_from_scratch(inputs.p, int(size), ALPHA)) for size in sizes]
    divided = [allocate_samples(predicted, int(size), ALPHA) for size in sizes]
    guided = [acr(inputs, expected_bounds_from_scratch(inputs.p, each, ALPHA)) for each in divided]
    for mean in means:
        spreads = {
            "even": np.full(len(count), mean),
            "budget": allocate_paired(count, n, mean, ALPHA),
        }
        for spread, m in spreads.items():
            reached = float(np.mean([acr(inputs, draw(inputs, count, n, m, c, rng)) for _ in range(RUNS)]))
            against = {
                name: round(
                    float(np.exp(np.interp(reached, np.maximum.accumulate(curve), np.log(sizes)))) / m.mean(), 2
                )
                for name, curve in (("one n", one_n), ("guided", guided))
            }
            yield {
                "sigma": inputs.sigma,
                "cached n": n,
                "c": c,
                "samples": round(float(m.mean()), 1),
                "spread": spread,
                "ACR": round(reached, 4),
                **against,
                "without samples": round(float((m == 0).mean()), 2),
                "most samples": int(m.max()),
            }


def main() -> None:
    """Study every setting of every log, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("logs", nargs="+", metavar="SIGMA=LOG")
    parser.add_argument("--out", type=Path, default=Path("runs/figures"))
    a = parser.parse_args()
    rows = (
        row
        for inputs in map(read, a.logs)
        for setting in SETTINGS[inputs.sigma]
        for row in study(inputs, *setting)
    )
    print_and_write(rows, a.out, "budget_gain.csv")


if __name__ == "__main__":
    main()
