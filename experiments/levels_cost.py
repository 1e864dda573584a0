"""What it costs that the joint bound knows neither how many samples are paired nor how much a candidate differs.

Its levels are compared with those that knew both: a half-plane with capped corners for the true ratio of the
standard errors. They are no valid alternative, since n_p may follow from the cached counts. Bound "auto", whose
gate looks at unanimous votes alone, is compared with starting from scratch.

    python experiments/levels_cost.py

prints both tables of docs/guarantees.md. p_A is spread evenly over radii up to 3.2 sigma, and the candidates lose
as many votes as they win; the total failure probability is 0.002.
"""

from __future__ import annotations

import math
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from smoothcert.bounds import (
    certified_radius,
    expected_disagreement,
    joint,
    joint_lower_bound,
    lower_confidence_bound,
    prefers_direct,
)
from smoothcert.bounds._joint_levels import P_BINS, JointLevels, joint_levels

ALPHA = 0.002
RADII, REPEATS = np.linspace(0.0, 3.2, 33), 10
TAUS = 1.2 ** np.arange(-40, 41)
DIFFER = {0.01: "0.3 %", 0.044: "1.2 %", 0.2: "5.6 %"}
SIZES = {1000: (50, 100, 300), 10_000: (100, 300, 1000, 3000, 5000), 100_000: (1000, 3000, 10_000, 30_000)}
CANDIDATES = {0.044: "1.2 %", 0.2: "5.6 %", 0.4: "11 %", 0.8: "22 %", 2.5: "unrelated"}

Array = NDArray[np.float64]
Ints = NDArray[np.int64]
Counts = tuple[Ints, Ints, Ints, Ints, Ints, Ints]


def draw(n: int, m: int, c: float, rng: np.random.Generator) -> tuple[Array, Counts]:
    """Draw p_A and the counts of the joint bound for many inputs."""
    p = ndtr(np.repeat(RADII, REPEATS))
    q = expected_disagreement(p, c)
    K = rng.binomial(n, p)
    k1 = rng.hypergeometric(K, n - K, m)
    lost, won = (rng.binomial(k, np.minimum(1, q / 2 / share)) for k, share in ((k1, p), (m - k1, 1 - p)))
    return p, (K, np.full_like(K, n), k1, lost, won, np.full_like(K, m))


def mean_radius(bound: Array) -> float:
    """Return the mean radius in units of sigma."""
    return float(np.mean(certified_radius(bound, 1.0)))


def knowing_levels(alpha: float, candidates: int) -> JointLevels:
    """Calibrate, for each ratio tau by itself, the half-plane tau z1 + z2 >= c with corners capped."""
    u = joint_levels(alpha, candidates).u
    z = -ndtri(u)
    middle, width = np.append(z + 0.04, z[-1]), np.diff(np.concatenate([[0.0], u, [1.0]]))
    tau = TAUS[:, None]
    kappa = 0.02 + 0.18 * np.exp(-((np.log10(tau) / 0.45) ** 2) / 2)
    excluded = middle >= -ndtri(kappa * alpha)
    excluded[:, 0] = True

    def levels(c: Array) -> Array:
        return np.where(excluded, 1.0, np.maximum(kappa * alpha / candidates, ndtr(tau * middle - c)))

    low, high = np.full_like(tau, -50.0), 50.0 * np.sqrt(1 + tau**2)
    for _ in range(70):
        c = (low + high) / 2
        fits = (np.minimum(1.0, candidates * levels(c)) * width).sum(axis=1)[:, None] <= alpha
        low, high = np.where(fits, low, c), np.where(fits, c, high)
    return JointLevels(u=u, level=levels(high))


def knowing_bound(counts: Counts, n: int, m: int, c: float) -> Array:
    """Return the bound by levels for this m and c."""
    p = np.clip(ndtr(np.arange(-80.5, 81) / 10), 1e-15, 1 - 1e-15)
    x = m * expected_disagreement(p, c) / 2 + 1
    upper = x * (1 - 1 / (9 * x) + 1.645 / (3 * np.sqrt(x))) ** 3  # a Poisson mean's, by Wilson and Hilferty
    tau = np.sqrt(p * (1 - p) / n) / (np.sqrt(2 * upper) / m)
    index = np.clip(np.rint(np.log(tau / TAUS[0]) / np.log(1.2)), 0, len(TAUS) - 1).astype(np.int64)
    index = index[: len(P_BINS) + 1]
    with (
        patch.object(joint, "joint_levels", knowing_levels),
        patch.object(joint, "tau_index", lambda sizes: np.tile(index, (len(sizes), 1))),
    ):
        return joint_lower_bound(*counts, alpha=ALPHA)


def loss(n: int, m: int, c: float) -> tuple[float, float]:
    """Return the shares of samples, and of the mean radius, that levels which know m and c would save."""
    radius = {}
    for size in sorted({m, max(1, round(m / 1.3)), min(n, round(1.3 * m))}):
        _, counts = draw(n, size, c, np.random.default_rng(0))
        radius[size] = mean_radius(knowing_bound(counts, n, size, c))
    _, counts = draw(n, m, c, np.random.default_rng(0))
    ours = mean_radius(joint_lower_bound(*counts, alpha=ALPHA))
    sizes = np.array(sorted(radius))
    values = np.array([radius[size] for size in sizes])
    slope = (values[-1] - values[0]) / (math.log(sizes[-1]) - math.log(sizes[0]))
    return 1 - math.exp(-(radius[m] - ours) / slope), 1 - ours / radius[m]


def against_scratch(n: int, m: int, c: float) -> tuple[float, float]:
    """Return auto's mean radius over that from scratch, and the samples from scratch that give as much, over m."""
    rng = np.random.default_rng(0)
    p, counts = draw(n, m, c, rng)
    scratch = np.asarray(lower_confidence_bound(rng.binomial(m, p), m, ALPHA))
    auto = mean_radius(np.where(prefers_direct(counts[0], n), scratch, joint_lower_bound(*counts, alpha=ALPHA)))
    sizes = np.unique(np.geomspace(max(50, m // 4), 8 * m, 60).astype(int))
    many = np.tile(p, 10)
    curve = [
        mean_radius(np.asarray(lower_confidence_bound(np.random.default_rng(5).binomial(s, many), s, ALPHA)))
        for s in sizes
    ]
    return auto / mean_radius(scratch), math.exp(np.interp(auto, curve, np.log(sizes))) / m


def main() -> None:
    """Print both tables."""
    print("| n | m |", " | ".join(DIFFER.values()), "|")
    for n, sizes in SIZES.items():
        for m in sizes:
            cells = [loss(n, m, c) for c in DIFFER]
            print(f"| {n:,} | {m:,} |", " | ".join(f"{s:.0%} ({r:.1%})" for s, r in cells), "|", flush=True)
    columns = (300, 1000, 3000, 5000, 9000)
    print("\n| votes that differ at p = 0.8 |", " | ".join(f"m = {m:,}" for m in columns), "|")
    for c, name in CANDIDATES.items():
        cells = [against_scratch(10_000, m, c) for m in columns]
        print(f"| {name} |", " | ".join(f"{r:.3f} ({s:.2f})" for r, s in cells), "|", flush=True)


if __name__ == "__main__":
    main()
