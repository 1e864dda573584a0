"""How much a changed classifier is expected to disagree: a guess, which steers power and never validity."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

__all__ = ["DEFAULT_DISAGREEMENT", "expected_disagreement"]

Array = NDArray[np.float64]

DEFAULT_DISAGREEMENT = 0.044
"""The constant c of `expected_disagreement` before anything is known: about 1 % of votes change at p = 0.8."""


def expected_disagreement(p: Array, c: Array | float) -> Array:
    """Expect a share min(c phi(Phi^-1(p)), 2 p (1 - p)) of votes to change to or from a class of probability p.

    A boundary that moves a little changes votes in proportion to the density of the noise on it, phi(Phi^-1(p)).
    An unrelated classifier with the same p changes 2 p (1 - p) of them.
    """
    density = np.exp(-(ndtri(p) ** 2) / 2) / np.sqrt(2 * np.pi)
    return np.asarray(np.minimum(c * density, 2 * p * (1 - p)))
