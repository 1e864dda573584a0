"""What no valid incremental bound can exceed, and how close the bounds come, in a simulated world.

A bound at level alpha exceeds t with probability at most alpha under every null, every (p, a, b) with
p' = p (1 - a) + (1 - p) b <= t. So the probability that it exceeds t under the truth is at most the power of the
most powerful randomised test of any one null (Neyman and Pearson), and its expected radius at most the integral of
these powers. Three nulls are tried for each t, and the least power counts; the least favourable null could only
lower the limit. The number of paired samples with f's vote is held at its mean.

The world: f votes for the class where a standard normal is below Phi^-1(p), f' where another is that has
correlation rho with it. p comes from a log in Cohen et al.'s format, or is Phi of normals of mean 1.

    python experiments/information_limit.py --log LOG --sigma 0.5 --n 10000 --m 1000 --rho 0.998
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, ndtr, ndtri
from scipy.stats import binom, norm

from smoothcert.bounds import (
    certified_radius,
    irs_bound,
    joint_lower_bound,
    lower_confidence_bound,
    prefers_direct,
)

Array = NDArray[np.float64]

LOSSES = (1.0, 2.0, 100.0)
"""Nulls whose tests are compared: few losses are less informative than their expectation says."""


@dataclass(frozen=True)
class World:
    """One input: probabilities of f's vote, of losing it and of gaining it; n cached and m paired samples."""

    p: float
    a: float
    b: float
    n: int
    m: int

    @property
    def candidate(self) -> float:
        """Probability of the candidate's vote."""
        return self.p * (1 - self.a) + (1 - self.p) * self.b

    @property
    def k1(self) -> int:
        """Paired samples with f's vote."""
        return round(self.m * self.p)

    def null(self, t: float, losses: float) -> World:
        """Return a null with p' = t: moved in logits by the inverse information, a further if asked to."""

        def moved(step: float) -> World:
            return World(
                float(expit(logit(self.p) - step * (1 - self.a - self.b) / self.n)),
                float(expit(logit(self.a) + step * losses * self.p / max(self.k1, 1))),
                float(expit(logit(self.b) - step * (1 - self.p) / max(self.m - self.k1, 1))),
                self.n,
                self.m,
            )

        low, high = 0.0, 1.0
        while moved(high).candidate > t:
            high *= 2
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if moved(middle).candidate > t else (low, middle)
        return moved(high)


def power(world: World, null: World, alpha: float) -> float:
    """Return the power of the most powerful randomised level-alpha test of the null against the world."""
    k1 = world.k1
    k0 = world.m - k1
    x, y = (_support(k, r, s) for k, r, s in ((k1, world.a, null.a), (k0, world.b, null.b)))
    weight_x = x * (logit(world.a) - logit(null.a)) + k1 * (np.log1p(-world.a) - np.log1p(-null.a))
    weight_y = y * (logit(world.b) - logit(null.b)) + k0 * (np.log1p(-world.b) - np.log1p(-null.b))
    pairs = weight_x[:, None] + weight_y
    slope = logit(world.p) - logit(null.p)
    constant = world.n * (np.log1p(-world.p) - np.log1p(-null.p))

    first = int(binom.ppf(1e-12, world.n, min(world.p, null.p)))
    last = int(binom.isf(1e-12, world.n, max(world.p, null.p))) + 1

    def exceedance(of: World) -> Callable[[float], float]:
        """Return how probable it is that the logarithm of the likelihood ratio is at least a cut."""
        tail = np.asarray(binom.sf(np.arange(first - 1, last), of.n, of.p))
        tail[-1] = 0
        lost, gained = np.asarray(binom.pmf(x, k1, of.a)), np.asarray(binom.pmf(y, k0, of.b))

        def probability(cut: float) -> float:
            needed = np.ceil((cut - pairs - constant) / slope)
            return float(lost @ tail[np.clip(needed - first, 0, last - first).astype(int)] @ gained)

        return probability

    of_null, of_world = exceedance(null), exceedance(world)
    reach = 40 + 40 * np.abs(pairs).max()
    low, high = -reach, reach
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if of_null(middle) > alpha else (low, middle)
    # Between the two cuts is one value of the ratio; a coin spends what is left of alpha.
    size, more = of_null(high), of_null(low) - of_null(high)
    share = (alpha - size) / more if more > 0 else 0.0
    return of_world(high) + share * (of_world(low) - of_world(high))


def _support(trials: int, *probabilities: float) -> Array:
    ends = [np.asarray(binom.ppf([1e-7, 1 - 1e-7], trials, q)) for q in probabilities]
    return np.arange(min(e[0] for e in ends), max(e[1] for e in ends) + 1)


def limit_radius(p: Array, a: Array, b: Array, n: int, m: int, alpha: float, sigma: float) -> Array:
    """Bound the expected radius of every valid incremental bound, for each input."""
    return np.array([_limit(World(*each, n, m), alpha, sigma) for each in zip(p, a, b, strict=True)])


def _limit(world: World, alpha: float, sigma: float) -> float:
    error = np.sqrt(
        world.p * (1 - world.p) / world.n
        + (world.p * world.a * (1 - world.a) + (1 - world.p) * world.b * (1 - world.b)) / world.m
    )
    if world.candidate - error <= 0.5:
        return 0.0
    near = world.candidate - error * np.linspace(-1, 8, 28)
    far = 1 - np.geomspace(1 - world.candidate, 0.5, 24)
    t = np.unique(np.concatenate([near, far]).clip(0.5, 1 - (1 - world.candidate) / 10))
    powers = np.array(
        [
            min(power(world, world.null(each, losses), alpha) for losses in LOSSES)
            for each in t[t < world.candidate]
        ]
    )
    powers = np.concatenate([powers, np.full(len(t) - len(powers), alpha)])
    return float(((powers[1:] + powers[:-1]) / 2 * np.diff(sigma * ndtri(t))).sum())


def disagreement(p: Array, rho: float) -> tuple[Array, Array]:
    """Return a and b of two normals of correlation rho, by Gauss and Legendre's quadrature."""
    node, weight = np.polynomial.legendre.leggauss(200)
    z, spread = ndtri(p), np.sqrt(1 - rho**2)
    start = np.maximum(z - 14 * spread, -9)
    u = start[:, None] + (z - start)[:, None] * (node + 1) / 2
    lost = ((z - start)[:, None] / 2 * weight * norm.pdf(u) * ndtr(-(z[:, None] - rho * u) / spread)).sum(axis=1)
    return lost / p, lost / (1 - p)


def probabilities(log: Path | None, sigma: float) -> tuple[Array, int]:
    """Return every p above 1/2, and the number of inputs that they are of."""
    if log is None:
        p = ndtr(np.random.default_rng(0).normal(1, 1, 300))
        return p[p > 0.5], 300
    header, *rows = (line.split("\t") for line in log.read_text().splitlines())
    radius = np.array([float(row[header.index("radius")]) * int(row[header.index("correct")]) for row in rows])
    p = np.minimum(ndtr(radius[radius > 0] / sigma), 1 - 1e-5)
    return p, len(rows)


def from_scratch(p: Array, sigma: float, alpha: float) -> Callable[[float], float]:
    """Return the samples that give a total radius from scratch."""
    sizes = np.unique(np.geomspace(50, 100_000, 30).astype(int))
    middles = (np.arange(50) + 0.5) / 50
    total = []
    for size in sizes:
        count = np.asarray(binom.ppf(middles, size, p[:, None]))
        total.append(certified_radius(lower_confidence_bound(count, size, alpha), sigma).sum() / len(middles))
    return lambda radius: float(np.exp(np.interp(radius, total, np.log(sizes))))


def simulate(
    p: Array, a: Array, b: Array, n: int, m: int, alpha: float, sigma: float, turns: int
) -> dict[str, float]:
    """Return the total radius of each bound, on average over the turns."""
    rng = np.random.default_rng(1)
    totals: dict[str, list[float]] = {"paper": [], "joint": [], "auto": []}
    for _ in range(turns):
        k1 = rng.binomial(m, p)
        K = k1 + rng.binomial(n - m, p)
        n10, n01 = rng.binomial(k1, a), rng.binomial(m - k1, b)
        joint = joint_lower_bound(K, n, k1, n10, n01, m, alpha)
        direct = np.asarray(lower_confidence_bound(rng.binomial(m, p * (1 - a) + (1 - p) * b), m, alpha))
        found = {
            "paper": irs_bound(K, n, n10 + n01, k1 - n10 + n01, m, alpha / 2, alpha / 2, 0.99).p_lower,
            "joint": joint,
            "auto": np.where(prefers_direct(K, n), direct, joint),
        }
        for name, bound in found.items():
            totals[name].append(certified_radius(bound, sigma).sum())
    return {name: float(np.mean(total)) for name, total in totals.items()}


def main() -> None:
    """Print the average radius of each bound and its speedup over starting from scratch."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--log", type=Path, help="tab-separated, with columns radius and correct")
    parser.add_argument("--sigma", type=float, default=0.5)
    parser.add_argument("--n", type=int, default=10_000)
    parser.add_argument("--m", type=int, default=1_000)
    parser.add_argument("--rho", type=float, default=0.998)
    parser.add_argument("--alpha", type=float, default=0.002)
    parser.add_argument("--turns", type=int, default=3)
    v = parser.parse_args()
    p, inputs = probabilities(v.log, v.sigma)
    a, b = disagreement(p, v.rho)
    totals = simulate(p, a, b, v.n, v.m, v.alpha, v.sigma, v.turns)
    totals["limit"] = limit_radius(p, a, b, v.n, v.m, v.alpha, v.sigma).sum()
    samples = from_scratch(p, v.sigma, v.alpha)
    print(f"{len(p)} of {inputs} inputs, sigma {v.sigma}, n {v.n:,}, m {v.m:,}, changed {2 * np.mean(p * a):.2%}")
    for name, total in totals.items():
        print(f"{name:10} ACR {total / inputs:.4f}   {samples(total) / v.m:5.2f} times the samples from scratch")


if __name__ == "__main__":
    main()
