"""When to start from scratch instead of pairing, decided from the cached votes alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smoothcert.bounds._arguments import broadcast, counts, whole
from smoothcert.bounds._disagreement import DEFAULT_DISAGREEMENT, checked_hint, expected_disagreement

__all__ = ["prefers_direct"]

Array = NDArray[np.float64]

_RATIO = 0.85


def prefers_direct(
    count: ArrayLike, n: ArrayLike, m: ArrayLike, *, disagreement: float = DEFAULT_DISAGREEMENT
) -> NDArray[np.bool_]:
    """Tell for which inputs m samples of the changed classifier alone say more than m paired ones.

    The rule compares the variance that pairing leaves with that of starting from scratch, both per sample:
    m / n + q(p) / (p (1 - p)) >= 0.85, with p = max(count / n, 1/2) and q(p) the expected disagreement. It looks
    at the cached count only and turns from pairing to starting from scratch as the count grows. With that, the
    joint bound where it says so and `lower_confidence_bound` on samples that the cache does not hold elsewhere
    fail together with probability at most alpha, each at the full alpha: the gating lemma in
    ``docs/guarantees.md``. It does not hold for direct votes on the cached samples.

    Parameters
    ----------
    count : int or array_like of int
        Cached estimation votes of the base classifier for its top class. Arrays broadcast.
    n : int or array_like of int
        Cached estimation votes in all.
    m : int or array_like of int
        Samples of the changed classifier that will be spent on the input.
    disagreement : float
        Hint c, see `disagreement_hint`. It may come from other inputs, not from this one's votes.

    Returns
    -------
    ndarray of bool
        True where to start from scratch, of the broadcast shape.

    Raises
    ------
    InvalidArgumentError
        When an argument is outside its range or the shapes do not broadcast.

    Examples
    --------
    Unanimous votes leave nothing to pair for, and neither does a budget as large as the cache:

    >>> prefers_direct([8_000, 10_000, 8_000], 10_000, [1000, 1000, 9000]).tolist()
    [False, True, True]
    """
    c = checked_hint(disagreement)
    K, n_ = counts("count", count, "n", n)
    K, n_, m_ = broadcast(count=K, n=n_, m=whole("m", m, least=1))
    return np.asarray(_threshold(n_, m_, c) <= K)


def _threshold(n: Array, m: Array, c: float) -> Array:
    """Find the smallest count that prefers to start from scratch.

    The rule is monotone in the count, but its rounding is not; the lemma needs a threshold.
    """
    low, high = np.full_like(n, -1), n.copy()  # unanimous votes: q(p) / (p (1 - p)) tends to 2
    while (high - low > 1).any():
        middle = np.floor((low + high) / 2)
        p = np.clip(middle / n, 0.5, np.nextafter(1, 0))
        direct = m / n + expected_disagreement(p, c) / (p * (1 - p)) >= _RATIO
        low, high = np.where(direct, low, middle), np.where(direct, middle, high)
    return high
