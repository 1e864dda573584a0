"""The interface of a noise stream: noise as a pure function of (seed, input key, purpose, sample index)."""

from __future__ import annotations

import math
from enum import IntEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from smoothcert.errors import InvalidArgumentError

__all__ = ["NoiseStream", "Purpose", "check_sigma_and_seed"]


class Purpose(IntEnum):
    """What a range of noise is for; different purposes are disjoint streams.

    Selection and estimation noise are different purposes and not two ranges of one stream, so that a sample of
    the estimation stays the same whatever n0 is. Votes that a surrogate learns from are a purpose too: it may then
    say how many estimation samples an input is worth, whatever it remembers.
    """

    SELECTION = 0
    ESTIMATION = 1
    PREDICTION = 2
    CALIBRATION = 3
    FITTING = 4


class NoiseStream(Protocol):
    """Noise at addresses: the same sample at the same address, in any order and any process."""

    @property
    def sigma(self) -> float:
        """Standard deviation, in the units of the input."""
        ...

    @property
    def seed(self) -> int:
        """Chooses one stream among 2^128."""
        ...

    @property
    def law(self) -> str:
        """Name and version of the noise law. Equal laws promise the same noise at the same address."""
        ...

    @property
    def premise(self) -> str:
        """What a certificate under this noise presupposes, in words."""
        ...

    @property
    def digest(self) -> str:
        """Hash of what the law amounts to: a few draws, or all numbers the draws are made with."""
        ...

    def block(self, size: int) -> int:
        """Return how many samples of `size` coordinates are best asked for at once, from a multiple of it."""
        ...

    def total_variation(self, size: int) -> float:
        """Return how far a vote's probability may be from that under exact Gaussian noise, for `size` coordinates.

        Certificates subtract it from p_lower.
        """
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

    def perturb_at(
        self,
        x: NDArray[np.float32],
        key: bytes,
        purpose: Purpose,
        indices: NDArray[np.int64],
        out: NDArray[np.float32],
    ) -> None:
        """Write x + noise for the samples of these indices, increasing from 0, into `out`.

        Each is the sample that `perturb` writes under its index.
        """
        ...


def check_sigma_and_seed(sigma: float, seed: int) -> tuple[float, int]:
    """Return them as float and int; InvalidArgumentError unless 0 < sigma < inf and 0 <= seed < 2^128."""
    if not (isinstance(sigma, (int, float, np.floating)) and math.isfinite(sigma) and sigma > 0):
        raise InvalidArgumentError(f"sigma is {sigma!r}: it must be finite and > 0, in the units of the input")
    if not (isinstance(seed, (int, np.integer)) and 0 <= seed < 1 << 128):
        raise InvalidArgumentError(f"seed is {seed!r}: it must be an integer with 0 <= seed < 2^128")
    return float(sigma), int(seed)
