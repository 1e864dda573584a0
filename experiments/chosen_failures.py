"""Count failures where the number of paired samples was chosen by looking at the cached votes, to do most harm.

An adversary who knows every probability sees an input's cached count and pairs as many samples as make a false
bound likeliest. Groups of candidates share a base, and each of them has another number of samples.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from counts import Count, PairedWorld, count_worlds
from numpy.typing import NDArray

from smoothcert.bounds import joint_lower_bound, lower_confidence_bound, prefers_direct

ALPHA = 0.05
N = 200
MENU = (2, 6, 20, 60, 120, 200)
TOGETHER = 5

Array = NDArray[np.float64]
Counts = NDArray[np.int64]
Bits = NDArray[np.bool_]


WORLDS = (
    PairedWorld("symmetric disagreement of 2 %", 0.8, 0.0125, 0.05),
    PairedWorld("one-sided disagreement of 2 %", 0.8, 0.025, 0.0),
    PairedWorld("the same classifier", 0.75, 0.0, 0.0),
    PairedWorld("the candidate only wins", 0.8, 0.0, 0.1),
    PairedWorld("symmetric, p near one half", 0.52, 0.05, 0.05),
    PairedWorld("one-sided, p = 0.97", 0.97, 0.05, 0.0),
    PairedWorld("f^p loses most votes", 0.95, 0.8, 0.02),
    PairedWorld("unrelated candidate", 0.9, 0.1, 0.9),
    PairedWorld("unanimous votes every other time", 0.9966, 0.02, 0.0),
    PairedWorld("unanimous votes, and a worse candidate", 0.999, 0.3, 0.3),
)


def draw_pairs(
    world: PairedWorld, count: Counts, m: Counts, rng: np.random.Generator
) -> tuple[Counts, Counts, Counts]:
    """Draw k1, n10 and n01 of m of the cached samples, of which `count` are for the class."""
    k1 = rng.hypergeometric(count, N - count, m)
    return k1, rng.binomial(k1, world.lost), rng.binomial(m - k1, world.won)


def joint(count: Counts, k1: Counts, n10: Counts, n01: Counts, m: Counts, candidates: int = 1) -> Array:
    """Return the joint bound, computed once for equal counts."""
    rows, where = np.unique(np.stack([count, k1, n10, n01, m]), axis=1, return_inverse=True)
    K, kept, lost, won, size = rows
    return joint_lower_bound(K, N, kept, lost, won, size, ALPHA, candidates=candidates)[where]


def most_harmful(world: PairedWorld, rng: np.random.Generator, draws: int = 300) -> Counts:
    """Return for every cached count the m of the menu with which the joint bound is false most often."""
    seen, inverse = np.unique(rng.binomial(N, world.p, 20 * draws), return_inverse=True)
    few = np.unique(seen[np.quantile(inverse, np.linspace(0, 1, 12), method="nearest")])
    count, m = np.meshgrid(np.repeat(few, draws), MENU, indexing="ij")
    false = joint(count.ravel(), *draw_pairs(world, count.ravel(), m.ravel(), rng), m.ravel()) > world.truth
    share = false.reshape(len(few), draws, len(MENU)).mean(axis=1)
    nearest = np.abs(np.arange(N + 1)[:, None] - few).argmin(axis=1)
    chosen: Counts = np.array(MENU, np.int64)[share.argmax(axis=1)[nearest]]
    return chosen


def count_world(world: PairedWorld, inputs: int, seed: int) -> list[Count]:
    """Count the failures of both bounds for one candidate, and for groups of candidates."""
    rng = np.random.default_rng(seed)
    harm = most_harmful(world, rng)
    count = rng.binomial(N, world.p, inputs)
    direct = prefers_direct(count, N)
    false = _false(world, count, harm[count], rng)
    failed = {
        "joint, n_p chosen from the cached counts": false,
        "auto, n_p chosen from the cached counts": np.where(direct, _false_alone(world, harm[count], rng), false),
    }
    for name in ("joint", "auto"):
        any_false = np.zeros(inputs, np.bool_)
        for m in MENU[-TOGETHER:]:
            sizes = np.full(inputs, m)
            false = _false(world, count, sizes, rng, TOGETHER)
            alone = _false_alone(world, sizes, rng, TOGETHER)
            any_false |= np.where(direct & (name == "auto"), alone, false)
        failed[f"{name}, any of {TOGETHER} candidates, each with another n_p"] = any_false
    return [Count(world.name, kind, inputs, inputs, int(f.sum()), ALPHA) for kind, f in failed.items()]


def _false(world: PairedWorld, count: Counts, m: Counts, rng: np.random.Generator, candidates: int = 1) -> Bits:
    """Tell where the joint bound of one candidate is false."""
    return np.asarray(joint(count, *draw_pairs(world, count, m, rng), m, candidates) > world.truth)


def _false_alone(world: PairedWorld, m: Counts, rng: np.random.Generator, candidates: int = 1) -> Bits:
    """Tell where the bound of one candidate's own votes on fresh noise is false."""
    own = rng.binomial(m, world.truth)
    return np.asarray(lower_confidence_bound(own, m, ALPHA / candidates) > world.truth)


def count_all(inputs: int, report: Callable[[Count], None]) -> list[Count]:
    """Count the failures in all worlds."""
    return count_worlds(WORLDS, count_world, inputs, report)
