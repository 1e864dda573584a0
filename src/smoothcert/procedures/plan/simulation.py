"""Adaptive procedures, played with votes that are drawn from the inputs' p_A instead of a classifier."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smoothcert.bounds import CERTIFIED, UNDECIDED, RadiusTest, expected_bounds_from_scratch, expected_disagreement
from smoothcert.procedures.budget import divide_budget, pilot_samples
from smoothcert.procedures.incremental import StoppingRule, decide_all

__all__ = ["play_adaptive", "play_decision", "play_sequential"]

Array = NDArray[np.float64]

_RUNS = 4


def play_adaptive(p: Array, n0: int, mean: int, alpha: float) -> Array:
    """Play certification with `mean` samples each, n0 included; return bounds of k equally likely runs, (k, r)."""
    p = np.repeat(p, _RUNS)
    rng, budget = np.random.default_rng(0), mean * len(p)
    size = np.full(len(p), n0)
    count = rng.binomial(size, p)
    more = pilot_samples(count, size, budget)
    count, size = count + rng.binomial(more, p), size + more
    n = divide_budget(count, size, budget, alpha)
    bounds = expected_bounds_from_scratch(p, n, alpha)
    return bounds.reshape(len(bounds), -1, _RUNS).swapaxes(1, 2).reshape(-1, len(p) // _RUNS)


def play_sequential(p: Array, test: RadiusTest) -> tuple[Array, Array]:
    """Play certification at one radius from scratch; return samples and share certified, each (r,)."""
    rng = np.random.default_rng(0)
    p = np.repeat(p, _RUNS)
    count, used = np.zeros((2, len(p)), np.int64)
    decided = np.full(len(p), UNDECIDED)
    t = 0
    while (rows := np.flatnonzero(decided == UNDECIDED)).size:
        until = test.next_size(t)
        count[rows] += rng.binomial(until - t, p[rows])
        t = until
        used[rows] = t
        decided[rows] = test.judge(count[rows], t)
    return _means(used), _means(decided == CERTIFIED)


def play_decision(count: NDArray[np.int64], rule: StoppingRule, disagreement: float) -> tuple[Array, Array]:
    """Play the decision on a candidate as good as the base; return samples and share certified, (r,)."""
    rng = np.random.default_rng(0)
    count = np.repeat(count, _RUNS)
    p = np.clip(count / rule.n, 0.5 / rule.n, 1 - 0.5 / rule.n)
    # It loses as many votes as it wins.
    changed = expected_disagreement(p, disagreement) / 2
    ones = rng.hypergeometric(count, rule.n - count, rule.n_p)  # of the cached votes, the first n_p
    cached = rng.random((len(p), rule.n_p)).argsort(axis=1) < ones[:, None]

    def ask(wanted: list[tuple[int, NDArray[np.int64]]], to_come: int) -> list[NDArray[np.bool_]]:
        found = []
        for i, which in wanted:
            base, draws = cached[i, which], rng.random(len(which))
            found.append(np.where(base, draws >= changed[i] / p[i], draws < changed[i] / (1 - p[i])))
        return found

    outcome = decide_all(rule, count, lambda i: cached[i], ask)
    return _means(outcome.samples), _means(outcome.certified)


def _means(values: NDArray[np.int64] | NDArray[np.bool_]) -> Array:
    means: Array = values.astype(np.float64).reshape(-1, _RUNS).mean(axis=1)
    return means
