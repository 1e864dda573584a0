"""Count failures of the procedures that stop when they know enough, in worlds at the edge of their claims.

The code that decides in the library decides here; only the votes are drawn at random instead of by a classifier.
Every world has the true probability at the threshold, where each certificate is false. Beside the rules as they
are there are stubborn ones, which never give up and skip nothing: what makes a rule stop must not matter for its
failures.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from counts import Count, PairedWorld
from numpy.typing import NDArray

from smoothcert.bounds import CERTIFIED, GIVEN_UP, UNDECIDED, LossTest, RadiusTest, lower_confidence_bound
from smoothcert.procedures.budget import divide_budget, pilot_samples
from smoothcert.procedures.incremental import decide_all
from smoothcert.procedures.incremental.stopping import Observed, StoppingRule

ALPHA = 0.05
N, N_P = 1500, 300
HINTS = (0.1, 1.0, 10.0)

Array = NDArray[np.float64]
Bits = NDArray[np.bool_]
Report = Callable[[Count], None]


PAIRED_WORLDS = (
    PairedWorld("f^p loses 4 %", 0.9, 0.04, 0.0),
    PairedWorld("f^p loses 6 % and wins 20 %", 0.9, 0.06, 0.2),
    PairedWorld("as many lost as won", 0.75, 0.01, 0.03),
    PairedWorld("the same classifier", 0.75, 0.0, 0.0),
    PairedWorld("f^p loses 25 %, p = 0.99", 0.99, 0.25, 0.0),
    PairedWorld("unrelated classifiers", 0.7, 0.3, 0.7),
)
THRESHOLDS = (0.5, 0.69, 0.84, 0.977)


@dataclass(frozen=True)
class MisledRule(StoppingRule):
    """A decision rule whose hint is wrong by a factor."""

    factor: float = 1.0

    def hint(self, seen: Observed) -> float:
        """Multiply the hint by the factor."""
        return self.factor * super().hint(seen)


class StubbornRule(StoppingRule):
    """A decision rule that follows lost votes to the end and takes every look."""

    def predicted_length(self, count: NDArray[np.int64], losses: LossTest, c: float) -> Array:
        """Call every length short, where there is room for losses at all."""
        return np.where(losses.possible, 1.0, np.inf)

    def is_futile(
        self, d: NDArray[np.int64], t: NDArray[np.int64], losses: LossTest, most: NDArray[np.int64]
    ) -> Bits:
        """Stop once all samples are taken, and not before."""
        return np.asarray(t >= most)

    def power(self, look: int, seen: Observed, c: float) -> Array:
        """Call every look hopeful."""
        return np.ones(len(seen.count))


def decide_world(rule: StoppingRule, world: PairedWorld, inputs: int, seed: int) -> Bits:
    """Tell which inputs the rule certifies."""
    rng = np.random.default_rng(seed)
    X = rng.random((inputs, rule.n_p)) < world.p
    Y = rng.random(X.shape) < np.where(X, 1 - world.lost, world.won)
    count = X.sum(axis=1) + rng.binomial(rule.n - rule.n_p, world.p, inputs)

    def ask(wanted: list[tuple[int, NDArray[np.int64]]], to_come: int) -> list[Bits]:
        return [Y[i][indices] for i, indices in wanted]

    return decide_all(rule, count, lambda i: X[i], ask).certified


def run_test(
    test: RadiusTest, p: Array, rng: np.random.Generator, *, stubborn: bool = False
) -> tuple[Bits, NDArray[np.int64]]:
    """Tell which inputs of these probabilities the sequential test certifies, and the samples that they take."""
    count, used, t = np.zeros(len(p), np.int64), np.zeros(len(p), np.int64), 0
    state = np.full(len(p), UNDECIDED)
    while (rows := np.flatnonzero(state == UNDECIDED)).size:
        until = test.next_size(t)
        count[rows] += rng.binomial(until - t, p[rows])
        t = until
        used[rows] = t
        judged = test.judge(count[rows], t)
        state[rows] = np.where((judged == GIVEN_UP) & stubborn & (t < test.n), UNDECIDED, judged)
    return state == CERTIFIED, used


def adaptive_world(p: float, budget: int, inputs: int, seed: int) -> Bits:
    """Tell where the bound exceeds p, after a budget of samples an input was divided among inputs like it."""
    rng = np.random.default_rng(seed)
    size = np.full(inputs, 20)
    count = rng.binomial(size, p)
    more = pilot_samples(count, size, budget * inputs)
    count, size = count + rng.binomial(more, p), size + more
    n = divide_budget(count, size, budget * inputs, ALPHA)
    return np.asarray(lower_confidence_bound(rng.binomial(n, p), n, ALPHA) > p)


def _count(world: str, kind: str, failed: Bits) -> Count:
    return Count(world, kind, len(failed), len(failed), int(failed.sum()), ALPHA)


def _decisions(inputs: int, report: Report) -> list[Count]:
    found = []
    for seed, world in enumerate(PAIRED_WORLDS):
        for hint in HINTS:
            name = "decision at a radius" + ("" if hint == 1 else f", hint {hint:g} times the right one")
            rule = MisledRule(world.truth, N, N_P, ALPHA, factor=hint)
            found.append(_count(world.name, name, decide_world(rule, world, inputs, seed)))
            report(found[-1])
        stubborn = StubbornRule(world.truth, N, N_P, ALPHA)
        failed = decide_world(stubborn, world, max(1, inputs // 4), seed)
        found.append(_count(world.name, "decision at a radius, never giving up", failed))
        report(found[-1])
    return found


def count_all(inputs: int, report: Report) -> list[Count]:
    """Count the failures in all worlds."""
    found = _decisions(inputs, report)
    for seed, p0 in enumerate(THRESHOLDS):
        for stubborn in (False, True):
            kind = "sequential test from scratch" + (", never giving up" if stubborn else "")
            rng = np.random.default_rng(seed)
            failed, _ = run_test(RadiusTest(p0, 2000, ALPHA), np.full(inputs, p0), rng, stubborn=stubborn)
            found.append(_count(f"p = p0 = {p0:g}", kind, failed))
            report(found[-1])
        for budget in (200, 2000):
            failed = adaptive_world(p0, budget, inputs, seed)
            found.append(_count(f"p = {p0:g}, {budget:,} samples an input", "adaptive sampling", failed))
            report(found[-1])
    return found
