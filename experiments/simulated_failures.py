"""Count failures of the incremental bounds in simulated worlds, where every probability is chosen.

A world is a joint distribution of the labels of f and f^p. Votes are drawn from it as a cache and a candidate
would have them, and certified by the same code. A bound fails when it exceeds f^p's true probability of the
cached class, certified or not; with the runner-up, when the radius exceeds the true one. The worlds are those in
which the proofs are closest to their limit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from counts import Count, count_worlds
from numpy.typing import NDArray
from scipy.special import ndtri

from smoothcert.bounds import joint_lower_bound, prefers_direct
from smoothcert.noise import GaussianNoise
from smoothcert.procedures import BoundName, Irs, Joint, Terms, named_bound, recertificates
from smoothcert.votes import PairedCounts
from smoothcert.votes.store import Manifest

ALPHA = 0.05
SIGMA = 0.25
N, M = 1000, 150
TOGETHER = 5
AT_THE_GATE = 0.5 ** (1 / N)  # all cached votes agree every other time

Array = NDArray[np.float64]


@dataclass(frozen=True)
class World:
    """Joint probabilities of labels, for an input whose cached class is 0.

    Attributes
    ----------
    name : str
        What is hard about it.
    joint : tuple of tuple of float
        joint[i][j] = P(f = i, f^p = j).
    n, m : int
        Cached votes, and votes of f^p.
    """

    name: str
    joint: tuple[tuple[float, ...], ...]
    n: int = N
    m: int = M

    @property
    def table(self) -> Array:
        """The joint probabilities, shape (k, k)."""
        return np.array(self.joint)


def two_class(name: str, p: float, lost: float, won: float, *, n: int = N, m: int = M) -> World:
    """Return a world of two classes: f has the cached one with probability p, f^p loses and wins these shares."""
    return World(name, ((p * (1 - lost), p * lost), ((1 - p) * won, (1 - p) * (1 - won))), n, m)


WORLDS = (
    two_class("symmetric disagreement of 2 %", 0.8, 0.0125, 0.05),
    two_class("one-sided disagreement of 2 %", 0.8, 0.025, 0.0),
    two_class("the candidate only wins", 0.8, 0.0, 0.1),
    two_class("symmetric, p near one half", 0.52, 0.05, 0.05),
    two_class("one-sided, p = 0.99", 0.99, 0.01, 0.0),
    two_class("one-sided, p = 0.999", 0.999, 0.005, 0.0),
    two_class("unrelated candidate", 0.7, 0.3, 0.7),
    two_class("unrelated and worse candidate", 0.9, 0.5, 0.5),
    two_class("as many paired votes as cached", 0.8, 0.02, 0.0, n=200, m=200),
    two_class("p at the gate, m = 0.15 n", AT_THE_GATE, 0.1, 0.0, m=150),
    two_class("p at the gate, m = 0.4 n", AT_THE_GATE, 0.07, 0.0, m=400),
    two_class("p at the gate, m = 0.6 n", AT_THE_GATE, 0.04, 0.0, m=600),
    World(
        "three classes, below one half",
        ((0.44, 0.01, 0.01), (0.01, 0.26, 0.0), (0.005, 0.005, 0.26)),
        n=1000,
        m=300,
    ),
)


def manifest(world: World) -> Manifest:
    """Describe the cache that such votes would lie in; half of alpha is the cache's."""
    noise = GaussianNoise(sigma=SIGMA, seed=0)
    return Manifest(
        sigma=SIGMA,
        noise_law=noise.law,
        noise_digest=noise.digest,
        seed=0,
        n0=0,
        n=world.n,
        alpha=ALPHA / 2,
        num_classes=len(world.table),
        input_shape=(2,),
        fingerprint="simulated",
        classifier={},
        versions={},
    )


def draw(world: World, inputs: int, rng: np.random.Generator) -> PairedCounts:
    """Draw cached and paired votes of independent inputs."""
    table = world.table
    k = len(table)
    pairs = rng.multinomial(world.m, table.ravel(), inputs).reshape(inputs, k, k)
    paired, own = pairs.sum(axis=2), pairs.sum(axis=1)
    agreed = np.diagonal(pairs, axis1=1, axis2=2)
    return PairedCounts(
        top_class=np.zeros(inputs, np.int64),
        counts=paired + rng.multinomial(world.n - world.m, table.sum(axis=1), inputs),
        own=own,
        paired=paired,
        lost=paired - agreed,
        n_disagree=world.m - agreed.sum(axis=1),
        fresh=np.zeros(inputs, bool),
        n=world.n,
        m=np.full(inputs, world.m),
    )


def gated(pairs: PairedCounts, world: World, rng: np.random.Generator) -> PairedCounts:
    """Replace the paired votes by fresh ones where bound auto would draw those."""
    fresh = prefers_direct(pairs.count, pairs.n)
    own = rng.multinomial(world.m, world.table.sum(axis=0), len(fresh))
    keep = ~fresh[:, None]
    return replace(
        pairs,
        own=np.where(keep, pairs.own, own),
        paired=pairs.paired * keep,
        lost=pairs.lost * keep,
        n_disagree=pairs.n_disagree * ~fresh,
        fresh=fresh,
    )


def count_world(world: World, inputs: int, seed: int) -> list[Count]:
    """Count the failures of every bound in one world, on the same votes."""
    rng = np.random.default_rng(seed)
    pairs = draw(world, inputs, rng)
    auto = gated(pairs, world, rng)
    truth = float(world.table.sum(axis=0)[0])
    cases: list[tuple[BoundName, PairedCounts]] = [("irs", pairs), ("joint", pairs), ("auto", auto)]
    found = [_count(world, bound, _p_lower(counts, world, bound) > truth) for bound, counts in cases]
    found.append(_count(world, "auto with runner-up", _false_radius(auto, world)))
    found.append(
        _count(world, f"joint, any of {TOGETHER} candidates", _any_of_many(world, inputs // TOGETHER, rng))
    )
    return found


def _p_lower(pairs: PairedCounts, world: World, bound: BoundName) -> Array:
    terms = Terms(bound=Irs(gamma=0.9) if bound == "irs" else named_bound(bound), alpha_zeta=ALPHA / 2)
    return recertificates(pairs, manifest(world), terms)[0].p_lower


def _false_radius(pairs: PairedCounts, world: World) -> NDArray[np.bool_]:
    own = world.table.sum(axis=0)
    true_radius = SIGMA / 2 * (ndtri(own[0]) - ndtri(own[1:].max()))
    terms = Terms(bound=Joint(runner_up=True), alpha_zeta=ALPHA / 2)
    found = recertificates(pairs, manifest(world), terms)[0]
    return np.asarray(found.certified & (found.radius > true_radius))


def _any_of_many(world: World, inputs: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Tell where at least one of several candidates of the same base fails; they are independent given f."""
    table = world.table
    k1 = rng.binomial(world.m, table[0].sum(), inputs)
    count = k1 + rng.binomial(world.n - world.m, table[0].sum(), inputs)
    lost, won = table[0, 1:].sum() / table[0].sum(), table[1:, 0].sum() / table[1:].sum()
    failed = np.zeros(inputs, bool)
    for _ in range(TOGETHER):
        n10, n01 = rng.binomial(k1, lost), rng.binomial(world.m - k1, won)
        bound = joint_lower_bound(count, world.n, k1, n10, n01, world.m, ALPHA, candidates=TOGETHER)
        failed |= bound > table.sum(axis=0)[0]
    return failed


def _count(world: World, kind: str, failed: NDArray[np.bool_]) -> Count:
    return Count(world.name, kind, len(failed), len(failed), int(failed.sum()), ALPHA)


def count_all(inputs: int, report: Callable[[Count], None]) -> list[Count]:
    """Count the failures in all worlds."""
    return count_worlds(WORLDS, count_world, inputs, report)
