"""What may say, before any vote that is counted, how many samples each input is worth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from smoothcert._results import Brief
from smoothcert.bounds import Predicted, allocate_samples
from smoothcert.votes import Smoothed
from smoothcert.votes.store import Setting

__all__ = ["Guidance", "Guide", "divide_samples"]

Counts = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Guidance(Brief):
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


def divide_samples(
    predicted: Predicted,
    top_class: Counts,
    n: int,
    alpha: float,
    *,
    sigma: float,
    radius: float | None,
    least: int | None,
    settings: Mapping[str, Setting],
) -> Guidance:
    """Divide n samples an input, on average, by what a guide predicts of p_A and what it is asked for."""
    at = None if radius is None else radius / sigma
    asked: dict[str, Setting] = {
        "radius": "none" if radius is None else radius,
        "least": "default" if least is None else least,
    }
    sizes = allocate_samples(predicted, n, alpha, at=at, least=least)
    return Guidance(n=sizes, top_class=top_class, settings={**settings, **asked})
