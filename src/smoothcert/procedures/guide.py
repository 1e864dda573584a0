"""What may say, before any vote that is counted, how many samples each input is worth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from smoothcert.votes import Smoothed
from smoothcert.votes.store import Setting

__all__ = ["Guidance", "Guide"]

Counts = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Guidance:
    """What a guide says of m inputs.

    Attributes
    ----------
    n : ndarray of int64, shape (m,)
        Estimation samples of each input.
    top_class : ndarray of int64, shape (m,)
        The class that it expects to have most votes.
    settings : mapping of str to str, int or float
        What the numbers follow from, by name: a folder of votes serves one.
    """

    n: Counts
    top_class: Counts
    settings: Mapping[str, Setting]


class Guide(Protocol):
    """What predicts p_A of inputs without their votes."""

    def guidance(self, g: Smoothed, n: int, alpha: float) -> Guidance:
        """Divide n samples an input, on average, from nothing that has seen the noise of `g`.

        Raises
        ------
        InvalidArgumentError
            When the guide does not fit, or has seen votes on this noise.
        """
        ...
