"""The test behind certification at one radius: whether a probability exceeds a threshold, in few samples."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, xlogy

from smoothcert.bounds.binomial import lower_confidence_bound
from smoothcert.bounds.sequential import largest_threshold, log_evidence_above

__all__ = ["CERTIFIED", "FIRST_SIZE", "GIVEN_UP", "UNDECIDED", "RadiusTest"]

UNDECIDED, CERTIFIED, GIVEN_UP = 0, 1, -1

_FINAL_SHARE = 0.5
_HOPELESS = 0.01
FIRST_SIZE = 32
"""Samples of an input before it is first judged."""

_GROWTH = 16

Array = NDArray[np.float64]


@dataclass(frozen=True)
class RadiusTest:
    """The sequential test of "p > p0" with at most n samples: counts in, decisions out.

    Half of alpha pays for evidence that may be looked at after any sample (`log_evidence_above`), half for one
    Clopper-Pearson bound after all n samples, which is sharper there. The probability of certifying where p <= p0
    is at most alpha, whenever counts are looked at and whatever made sampling stop; ``docs/guarantees.md`` has the
    proof. An input is given up, which costs power only, once the count is predicted to reach the last bound with
    less than 1 % probability.

    Attributes
    ----------
    p0 : float
        The threshold, in (0, 1).
    n : int
        Most samples of an input.
    alpha : float
        Failure probability.
    """

    p0: float
    n: int
    alpha: float

    @property
    def alpha_split(self) -> dict[str, float]:
        """How alpha is spent."""
        return {"sequential": self.alpha * (1 - _FINAL_SHARE), "final": self.alpha * _FINAL_SHARE}

    @property
    def largest_p0(self) -> float:
        """Largest threshold that n unanimous votes show to be exceeded."""
        split = self.alpha_split
        return max(
            lower_confidence_bound(self.n, self.n, split["final"]), largest_threshold(self.n, split["sequential"])
        )

    def next_size(self, t: int) -> int:
        """Return after how many samples the counts are judged next."""
        return min(self.n, t + max(FIRST_SIZE, t // _GROWTH))

    def judge(self, count: NDArray[np.int64], t: int) -> NDArray[np.int64]:
        """Decide from the counts after t samples.

        Parameters
        ----------
        count : ndarray of int64, shape (m,)
            Votes for the top class.
        t : int
            Samples of each input so far.

        Returns
        -------
        ndarray of int64, shape (m,)
            `CERTIFIED`, `GIVEN_UP` or `UNDECIDED`; never undecided after n samples.
        """
        split = self.alpha_split
        shown = log_evidence_above(count, t, self.p0) >= -math.log(split["sequential"])
        if t == self.n:
            shown |= np.asarray(lower_confidence_bound(count, t, split["final"])) > self.p0
            return np.where(shown, CERTIFIED, GIVEN_UP)
        return np.where(shown, CERTIFIED, np.where(self._predicted(count, t) < _HOPELESS, GIVEN_UP, UNDECIDED))

    def samples_to_come(self, count: NDArray[np.int64], t: int) -> int:
        """Estimate how many samples inputs with these counts will take, for the progress bar."""
        p = (count + 0.5) / (t + 1)
        kl = xlogy(p, p / self.p0) + xlogy(1 - p, (1 - p) / (1 - self.p0))
        length = np.minimum(-math.log(self.alpha) / np.maximum(kl, 1e-12), self.n)
        return int(np.maximum(length - t, 0).sum())

    def _predicted(self, count: NDArray[np.int64], t: int) -> Array:
        """Predict the probability that the count after n samples suffices, given what was seen."""
        p, left = (count + 0.5) / (t + 1), self.n - t
        variance = left * p * (1 - p) * (1 + left / (t + 1))
        return np.asarray(ndtr((count + left * p - self._critical) / np.sqrt(variance)))

    @property
    def _critical(self) -> int:
        """Smallest count of n that the last bound accepts, or n."""
        low, high = 0, self.n
        while high - low > 1:
            middle = (low + high) // 2
            enough = lower_confidence_bound(middle, self.n, self.alpha_split["final"]) > self.p0
            low, high = (low, middle) if enough else (middle, high)
        return high
