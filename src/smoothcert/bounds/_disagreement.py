"""How much a changed classifier is expected to disagree: a guess, which steers power and never validity."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from smoothcert.bounds._arguments import broadcast, counts, number

__all__ = ["DEFAULT_DISAGREEMENT", "checked_hint", "disagreement_hint", "expected_disagreement"]

Array = NDArray[np.float64]

DEFAULT_DISAGREEMENT = 0.044
"""The constant c of `expected_disagreement` before anything is known: about 1 % of votes change at p = 0.8."""


def checked_hint(disagreement: float) -> float:
    """Return c as a float; refuse what is no positive number."""
    return float(number("disagreement", disagreement, lambda c: (c > 0) & np.isfinite(c), "positive and finite"))


def expected_disagreement(p: Array, c: Array | float) -> Array:
    """Expect a share min(c phi(Phi^-1(p)), 2 p (1 - p)) of votes to change to or from a class of probability p.

    A boundary that moves a little changes votes in proportion to the density of the noise on it, phi(Phi^-1(p)).
    An unrelated classifier with the same p changes 2 p (1 - p) of them.
    """
    return np.asarray(np.minimum(c * _density(p), 2 * p * (1 - p)))


def disagreement_hint(count: ArrayLike, n: ArrayLike, n_disagree: ArrayLike, m: ArrayLike) -> float:
    """Estimate the constant c of the expected disagreement from other inputs.

    The hint steers how `joint_lower_bound` and `prefers_direct` spend what they have; whatever it is, the bounds
    stay valid, as long as the votes of the input that it is used for did not enter it.

    Parameters
    ----------
    count : int or array_like of int
        For every other input, the cached votes of the base for its top class. Arrays broadcast.
    n : int or array_like of int
        Cached votes in all.
    n_disagree : int or array_like of int
        Paired samples on which one classifier returned the top class and the other did not (n10 + n01).
    m : int or array_like of int
        Paired samples.

    Returns
    -------
    float
        (1 + all disagreements) / sum of m phi(Phi^-1(count / n)); positive.

    Raises
    ------
    InvalidArgumentError
        When an argument is outside its range or the shapes do not broadcast.

    Examples
    --------
    >>> round(disagreement_hint([8_000, 9_900], 10_000, [12, 1], 1000), 4)
    0.0457
    """
    K, n_ = counts("count", count, "n", n)
    differ, m_ = counts("n_disagree", n_disagree, "m", m)
    K, n_, differ, m_ = broadcast(count=K, n=n_, n_disagree=differ, m=m_)
    # An input whose votes were unanimous is as uncertain as half a vote.
    p = np.clip(K / n_, 0.5 / n_, 1 - 0.5 / n_)
    return float((differ.sum() + 1) / (m_ * _density(p)).sum())


def _density(p: Array) -> Array:
    return np.asarray(np.exp(-(ndtri(p) ** 2) / 2) / np.sqrt(2 * np.pi))
