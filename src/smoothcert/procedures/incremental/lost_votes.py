"""Whether a changed classifier is still certified at a radius: the order in which its votes are asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smoothcert.bounds import DEFAULT_DISAGREEMENT, LossTest
from smoothcert.procedures.incremental.stopping import Observed, StoppingRule

__all__ = ["Outcome", "Voter", "decide_all"]

Array = NDArray[np.float64]
Counts = NDArray[np.int64]
Bits = NDArray[np.bool_]

Voter = Callable[[list[tuple[int, Counts]], int], list[Bits]]
"""Given (input, increasing indices of cached samples) for some inputs, and about how many samples will follow,
returns where f' votes for the cached class."""

_PRICE = 5_000
"""Samples that one more certified input is worth: a look costs no more than its power of that."""


@dataclass(frozen=True)
class Outcome:
    """What was decided about m inputs, and what it took; each array of shape (m,)."""

    certified: Bits  # where p' > p0 is claimed
    by: NDArray[np.str_]  # the evidence that shows it, "lost votes" or "joint"; empty elsewhere
    samples: Counts  # of f'
    votes: Counts  # of f' for the cached class among them


class _Undecided:
    """Counts of the inputs while they are decided, and the votes that they are counts of."""

    def __init__(self, rule: StoppingRule, count: Counts, cached: Callable[[int], Bits]) -> None:
        size = len(count)
        self.seen = Observed(count, *np.zeros((6, size), np.int64))
        self.samples, self.votes = np.zeros((2, size), np.int64)
        self.by = np.full(size, "", dtype="<U10")
        self.open = count > 0
        self._won = [np.zeros(0, np.bool_)] * size  # votes of f' on the first t samples on which f voted A
        self._n_p = rule.n_p
        self.cached = cached
        self.ones = np.array([int(cached(i).sum()) for i in range(size)], np.int64)

    def missing(self, rows: Counts) -> Callable[[int], Counts]:
        """Return how many samples each input still lacks of its first m, about, as a function of m."""
        seen, ones = self.seen.take(rows), self.ones[rows] / self._n_p

        def of(m: int) -> Counts:
            lost = np.minimum(seen.t, m * ones) - np.minimum(seen.t, seen.m * ones)
            return np.asarray(np.maximum(m - seen.m - lost, 0), dtype=np.int64)

        return of

    def certify(self, rows: Counts, by: str) -> None:
        """Close inputs that are certified."""
        self.by[rows] = by
        self.open[rows] = False

    def ask_for_lost_votes(self, rows: Counts, until: Counts, ask: Voter) -> None:
        """Let f' vote on the next samples on which f voted A, up to `until` of them."""
        wanted = [
            (int(i), np.flatnonzero(self.cached(i))[self.seen.t[i] : stop])
            for i, stop in zip(rows, until, strict=True)
        ]
        for (i, _), stop, votes in zip(wanted, until, ask(wanted, 0), strict=True):
            self._won[i] = np.append(self._won[i], votes)
            self.seen.t[i] = stop
            self.seen.d[i] += int((~votes).sum())
            self._count(i, votes)

    def ask_for_pairs(self, rows: Counts, m: int, to_come: int, ask: Voter) -> None:
        """Let f' vote on what is missing of the first m samples."""
        wanted = []
        for i in rows:
            rest = np.zeros(self._n_p, np.bool_)
            rest[self.seen.m[i] : m] = True
            rest[np.flatnonzero(self.cached(i))[: self.seen.t[i]]] = False
            wanted.append((int(i), np.flatnonzero(rest)))
        for (i, indices), votes in zip(wanted, ask(wanted, to_come), strict=True):
            X, before = self.cached(i), int(self.seen.m[i])
            Y = np.zeros(self._n_p, np.bool_)
            Y[np.flatnonzero(X)[: self.seen.t[i]]] = self._won[i]
            Y[indices] = votes
            X, Y = X[before:m], Y[before:m]
            self.seen.m[i] = m
            self.seen.k1[i] += int(X.sum())
            self.seen.n10[i] += int((X & ~Y).sum())
            self.seen.n01[i] += int((~X & Y).sum())
            self._count(i, votes)

    def _count(self, i: int, votes: Bits) -> None:
        self.samples[i] += len(votes)
        self.votes[i] += int(votes.sum())


def decide_all(rule: StoppingRule, count: Counts, cached: Callable[[int], Bits], ask: Voter) -> Outcome:
    """Decide for each input whether p' exceeds the rule's threshold.

    Parameters
    ----------
    rule : StoppingRule
        Threshold, sizes and alpha.
    count : ndarray of int64, shape (m,)
        Cached votes of f for its top class A, of n; an input without any is not certified.
    cached : callable
        Given the position of an input, returns where the first n_p cached votes of f are for A, shape (n_p,).
    ask : callable
        Lets f' vote.

    Returns
    -------
    Outcome

    Notes
    -----
    How many samples f' votes on may follow from anything, also from other inputs: see ``docs/guarantees.md``.
    """
    inputs = _Undecided(rule, count, cached)
    losses = rule.losses(count)
    _follow_lost_votes(rule, inputs, losses, DEFAULT_DISAGREEMENT, ask, rounds=1)
    c = rule.hint(inputs.seen)
    _follow_lost_votes(rule, inputs, losses, c, ask)
    _look_at_pairs(rule, inputs, c, ask)
    return Outcome(inputs.by != "", inputs.by, inputs.samples, inputs.votes)


def _follow_lost_votes(
    rule: StoppingRule, inputs: _Undecided, losses: LossTest, c: float, ask: Voter, rounds: int | None = None
) -> None:
    """Count which of f's votes f' loses, until that shows p' > p0 or is not likely to."""
    seen = inputs.seen
    length = rule.predicted_length(seen.count, losses, c)
    # A cache on which f' would not be asked less often than by a look is left to the looks.
    running = inputs.open & (length <= rule.looks[1])
    most = np.minimum(np.where(running, 3 * length + 200, 0).astype(np.int64), inputs.ones)
    while (rows := np.flatnonzero(running)).size and rounds != 0:
        still = ~rule.is_futile(seen.d[rows], seen.t[rows], losses.take(rows), most[rows])
        running[rows] = still
        rows = rows[still]
        if not rows.size:
            return
        left = losses.take(rows)
        inputs.ask_for_lost_votes(rows, rule.next_size(seen.d[rows], seen.t[rows], left, most[rows]), ask)
        shown = left.shows(seen.d[rows], seen.t[rows])
        inputs.certify(rows[shown], "lost votes")
        running[rows] = ~shown
        rounds = None if rounds is None else rounds - 1


def _look_at_pairs(rule: StoppingRule, inputs: _Undecided, c: float, ask: Voter) -> None:
    """Take paired samples up to each look that is worth it, and judge by the joint bound."""
    for look, m in enumerate(rule.looks):
        rows = np.flatnonzero(inputs.open)
        seen, missing = inputs.seen.take(rows), inputs.missing(rows)
        worth = [rule.power(j, seen, c) * _PRICE >= missing(rule.looks[j]) for j in range(look, len(rule.looks))]
        inputs.open[rows[~np.any(worth, axis=0)]] = False
        rows = rows[worth[0]]
        if not rows.size:
            continue
        to_come = (rule.looks[-1] - m) * len(rows) // 2
        inputs.ask_for_pairs(rows, m, to_come, ask)
        inputs.certify(rows[rule.shows_by_joint_bound(look, inputs.seen.take(rows))], "joint")
