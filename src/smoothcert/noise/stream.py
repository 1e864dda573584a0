"""The interface of a noise stream: noise as a pure function of (seed, input key, purpose, sample index)."""

from __future__ import annotations

from enum import IntEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["NoiseStream", "Purpose"]


class Purpose(IntEnum):
    """What a range of noise is for; different purposes are disjoint streams.

    Selection and estimation noise are different purposes and not two ranges of one stream, so that a sample of
    the estimation stays the same whatever n0 is.
    """

    SELECTION = 0
    ESTIMATION = 1
    PREDICTION = 2
    CALIBRATION = 3


class NoiseStream(Protocol):
    """Addressable noise.

    Attributes
    ----------
    sigma : float
        Standard deviation, in the units of the input.
    seed : int
        Chooses one stream among 2^128.
    law : str
        Name and version of the noise law. Equal laws promise the same noise at the same address.
    digest : str
        Hash of a few draws: what the law amounts to with the installed libraries.
    """

    @property
    def sigma(self) -> float:
        """Standard deviation, in the units of the input."""
        ...

    @property
    def seed(self) -> int:
        """Chooses the stream."""
        ...

    @property
    def law(self) -> str:
        """Name and version of the noise law."""
        ...

    @property
    def digest(self) -> str:
        """Hash of a few draws."""
        ...

    def block(self, size: int) -> int:
        """Return how many samples of `size` coordinates are best asked for at once, from a multiple of it."""
        ...

    def perturb(
        self, x: NDArray[np.float32], key: bytes, purpose: Purpose, start: int, out: NDArray[np.float32]
    ) -> None:
        """Write x + noise for samples start .. start + b - 1 into `out`.

        Parameters
        ----------
        x : ndarray of float32, shape (*shape)
            The input.
        key : bytes
            The input's key.
        purpose : Purpose
            Which of the disjoint streams.
        start : int
            Index of the first sample.
        out : ndarray of float32, shape (b, *shape), C-contiguous
            Overwritten.
        """
        ...
