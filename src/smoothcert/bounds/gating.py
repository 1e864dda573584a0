"""When to start from scratch instead of pairing, decided from the cached votes alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smoothcert.bounds._arguments import counts

__all__ = ["prefers_direct"]


def prefers_direct(count: ArrayLike, n: ArrayLike) -> NDArray[np.bool_]:
    """Tell for which inputs samples of the changed classifier alone say more than paired ones.

    Where all cached votes agree, pairing has nothing to gain: what f' loses against f is what it loses. With this
    rule, the joint bound where it says no and `lower_confidence_bound` on samples that the cache does not hold
    where it says yes fail together with probability at most alpha, each at the full alpha: the gating lemma in
    ``docs/guarantees.md``. It does not hold for direct votes on the cached samples.

    The rule looks neither at how many samples are paired nor at the candidate, so that the lemma needs no premises
    about them. The price, with figures in the same document: a candidate that changes more than about a tenth of
    the votes, or is given more than half as many samples as the cache has, would do a little better from scratch.

    Parameters
    ----------
    count : int or array_like of int
        Cached estimation votes of the base classifier for its top class. Arrays broadcast.
    n : int or array_like of int
        Cached estimation votes in all.

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
    >>> prefers_direct([8_000, 9_999, 10_000], 10_000).tolist()
    [False, False, True]
    """
    K, n_ = counts("count", count, "n", n)
    return np.asarray(n_ <= K)
