"""Whether a changed classifier is still certified at a radius: thresholds and predictions of the decision."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri, xlogy

from smoothcert.bounds import (
    DEFAULT_DISAGREEMENT,
    LossTest,
    expected_disagreement,
    joint_lower_bound,
    log_evidence_below,
)

__all__ = ["Observed", "StoppingRule"]

Array = NDArray[np.float64]
Counts = NDArray[np.int64]
Bits = NDArray[np.bool_]

_SEQUENTIAL, _LOOKS = 0.60, (0.05, 0.10, 0.25)
_LOOK_SIZES = (0.1, 0.3, 1.0)
_FIRST, _SMALLEST = 64, 16
_FUTILE = math.log(20)
_PRIOR = 3.0  # lost votes that the default disagreement counts as


@dataclass(frozen=True)
class Observed:
    """What was seen of m inputs, each array of shape (m,)."""

    count: Counts  # cached votes of f for its top class A, of n
    t: Counts  # samples on which f voted A and f' was asked, the first of them
    d: Counts  # votes for A that f' lost on these
    m: Counts  # paired samples, the first m
    k1: Counts  # votes of f for A among them
    n10: Counts  # those of k1 that f' lost
    n01: Counts  # votes for A that f' won

    def take(self, rows: Counts) -> Observed:
        """Return what was seen of some inputs."""
        return Observed(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


@dataclass(frozen=True)
class StoppingRule:
    """How alpha and samples are spent on the question whether p' = P(f'(x + eps) = A) exceeds p0.

    Attributes
    ----------
    p0 : float
        The threshold, in (0, 1).
    n : int
        Cached votes of the base f, of each input.
    n_p : int
        Most samples of the changed classifier f', of each input: the first n_p of the cached ones.
    alpha : float
        Failure probability.

    Notes
    -----
    Two kinds of evidence share alpha, in shares that are fixed here: that f' loses few enough of f's votes for A,
    by `LossTest` (60 %), and three looks at the paired votes through the joint bound, after 10 %, 30 % and all of
    the n_p samples (5, 10 and 25 %). The total holds however often and whenever an input is looked at, skipped or
    given up, and the predictions below steer nothing else. The proof is in ``docs/guarantees.md``.
    """

    p0: float
    n: int
    n_p: int
    alpha: float

    @property
    def alpha_split(self) -> dict[str, float]:
        """How alpha is spent."""
        looks = {f"look {j + 1}": share * self.alpha for j, share in enumerate(_LOOKS)}
        return {"lost votes": _SEQUENTIAL * self.alpha, **looks}

    @property
    def looks(self) -> list[int]:
        """Paired samples of each look."""
        return [math.ceil(share * self.n_p) for share in _LOOK_SIZES]

    def losses(self, count: Counts) -> LossTest:
        """Return the test of whether f' loses few enough of f's votes."""
        return LossTest.at(count, self.n, self.p0, _SEQUENTIAL * self.alpha)

    def shows_by_joint_bound(self, look: int, seen: Observed) -> Bits:
        """Tell where the paired votes of a look show p' > p0."""
        m, alpha = self.looks[look], _LOOKS[look] * self.alpha
        return joint_lower_bound(seen.count, self.n, seen.k1, seen.n10, seen.n01, m, alpha) > self.p0

    def is_reachable(self) -> bool:
        """Whether unanimous votes without a change can show p' > p0."""
        n, m, none = np.array([self.n]), np.array([self.n_p]), np.zeros(1, np.int64)
        if self.losses(n).shows(none, m)[0]:
            return True
        unanimous = Observed(count=n, t=none, d=none, m=m, k1=m, n10=none, n01=none)
        return bool(self.shows_by_joint_bound(2, unanimous)[0])

    def predicted_length(self, count: Counts, losses: LossTest, c: float) -> Array:
        """Predict how many votes of f it takes; infinite where f' is expected to lose too many."""
        p, (a0, needed) = self._share(count), losses.hardest
        a = np.minimum(self._expected(p, c) / (2 * p), 0.999)
        with np.errstate(divide="ignore", invalid="ignore"):
            kl = xlogy(a, a / a0) + xlogy(1 - a, (1 - a) / (1 - a0))
            length = 1.15 * needed / kl
        return np.where((a0 > 0) & (a < a0), length, np.inf)

    def hint(self, seen: Observed) -> float:
        """Estimate the constant c of the expected disagreement from the lost votes of all inputs."""
        p = self._share(seen.count)
        # With as many votes won as lost, f' is expected to lose a share c phi(Phi^-1(p)) / (2 p) of f's votes.
        weight = (seen.t * np.exp(-(ndtri(p) ** 2) / 2) / np.sqrt(2 * np.pi) / (2 * p)).sum()
        return float((seen.d.sum() + _PRIOR) / (weight + _PRIOR / DEFAULT_DISAGREEMENT))

    def next_size(self, d: Counts, t: Counts, losses: LossTest, most: Counts) -> Counts:
        """Return after how many votes of f it is worth judging again: when enough may be shown, at the earliest.

        Where votes already were lost, at most twice as many as now, and never steps too small for a batch.
        """
        low, high = t.copy(), most.copy()
        while (high - low > 1).any():
            middle = (low + high) // 2
            shown = _may_be_shown(d, np.maximum(middle, 1), losses)
            low, high = np.where(shown, low, middle), np.where(shown, middle, high)
        return np.minimum(np.clip(high, t + _SMALLEST, t + np.maximum(_FIRST, t)), most)

    def is_futile(self, d: Counts, t: Counts, losses: LossTest, most: Counts) -> Bits:
        """Tell where f' rather loses twice than half of what it may, or it can no longer be shown."""
        a0 = np.maximum(losses.hardest[0], 2.0**-50)
        low, high = a0 / 2, np.minimum(2 * a0, (1 + a0) / 2)
        ratio = d * np.log(high / low) + (t - d) * np.log((1 - high) / (1 - low))
        return np.asarray((ratio >= _FUTILE) | ~_may_be_shown(d, np.maximum(most, 1), losses) | (t >= most))

    def power(self, look: int, seen: Observed, c: float) -> Array:
        """Predict the probability that a look will show p' > p0, from what was seen of the input."""
        p, prior = self._share(seen.count), self._expected(self._share(seen.count), c)
        size, m = self.looks[look], np.maximum(seen.m, 1)
        lost = p * (seen.d + 1) / (seen.t + 2 * p / prior)  # of all samples; one loss is what the prior weighs
        q = np.where(seen.m > 0, (seen.n10 + seen.n01 + 1) / (m + 1 / prior), lost + prior / 2)
        change = np.where(seen.m > 0, (seen.n01 - seen.n10) / m, prior / 2 - lost)
        spread = np.where(
            seen.m > 0,
            q * np.maximum(1 / m - 1 / size, 0),
            q / size + lost**2 / (seen.d + 1) + (prior / 2) ** 2,
        )
        needed = -ndtri(_LOOKS[look] * self.alpha) * np.sqrt(p * (1 - p) / self.n + q / size)
        return np.asarray(ndtr((p + change - self.p0 - needed) / np.sqrt(spread + 1e-12)))

    def _share(self, count: Counts) -> Array:
        """Return p as the cache estimates it; unanimous votes are as uncertain as half a vote."""
        return np.clip(count / self.n, 0.5 / self.n, 1 - 0.5 / self.n)

    def _expected(self, p: Array, c: float) -> Array:
        return np.maximum(expected_disagreement(p, c), 1e-9)


def _may_be_shown(d: Counts, t: Counts, losses: LossTest) -> Bits:
    """Tell where the hardest cell alone would be contradicted."""
    a0, needed = losses.hardest
    return np.asarray((a0 > 0) & (log_evidence_below(d, t, np.maximum(a0, 2.0**-50)) >= needed))
