"""Which samples to draw: ranges of indices, or indices picked one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smoothcert.errors import InvalidArgumentError
from smoothcert.noise import NoiseStream, Purpose

__all__ = ["SampleIndices", "SampleRange", "SampleRequest", "pieces"]


@dataclass(frozen=True)
class SampleRange:
    """Samples start .. stop - 1 of one purpose for one input.

    Attributes
    ----------
    row : int
        Position of the input in the array of inputs.
    key : bytes
        The input's key in the noise stream.
    purpose : Purpose
        Which of the disjoint noise streams.
    start, stop : int
        Sample indices.
    """

    row: int
    key: bytes
    purpose: Purpose
    start: int
    stop: int

    def __len__(self) -> int:
        """Return the number of samples."""
        return self.stop - self.start

    def pieces(self, block: int) -> Iterator[SampleRange]:
        """Cut at multiples of `block`, so that no noise is drawn twice."""
        for cut in range(self.start - self.start % block, self.stop, block):
            yield SampleRange(self.row, self.key, self.purpose, max(self.start, cut), min(self.stop, cut + block))

    def perturb(self, noise: NoiseStream, x: NDArray[np.float32], out: NDArray[np.float32]) -> None:
        """Write the noisy copies of `x`, the input, to `out`, float32 of shape (len(self), *shape)."""
        noise.perturb(x, self.key, self.purpose, self.start, out)


@dataclass(frozen=True, eq=False)
class SampleIndices:
    """Samples with the given indices, of one purpose for one input.

    Attributes
    ----------
    row, key, purpose
        As in `SampleRange`.
    indices : ndarray of int64, shape (b,)
        Sample indices, increasing, from 0.

    Raises
    ------
    InvalidArgumentError
        When `indices` is another kind of array, or not increasing from 0.

    Examples
    --------
    >>> import numpy as np
    >>> len(SampleIndices(0, bytes(32), Purpose.ESTIMATION, np.array([3, 17, 1_000_000])))
    3
    >>> SampleIndices(0, bytes(32), Purpose.ESTIMATION, np.array([3, 3]))
    Traceback (most recent call last):
        ...
    smoothcert.errors.InvalidArgumentError: indices has 3 after 3: give increasing indices, each sample once
    """

    row: int
    key: bytes
    purpose: Purpose
    indices: NDArray[np.int64]

    def __post_init__(self) -> None:
        if not (
            isinstance(self.indices, np.ndarray) and self.indices.dtype == np.int64 and self.indices.ndim == 1
        ):
            found = getattr(self.indices, "dtype", type(self.indices).__name__)
            raise InvalidArgumentError(f"indices is {found} of shape {np.shape(self.indices)}: give int64 (b,)")
        if len(self.indices) and self.indices[0] < 0:
            raise InvalidArgumentError(f"indices has {self.indices[0]}: sample indices begin at 0")
        if (wrong := np.flatnonzero(np.diff(self.indices) <= 0)).size:
            before, after = self.indices[wrong[0] : wrong[0] + 2]
            raise InvalidArgumentError(
                f"indices has {after} after {before}: give increasing indices, each sample once"
            )

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.indices)

    def pieces(self, block: int) -> Iterator[SampleIndices]:
        """Cut into pieces of at most `block` samples."""
        # Cut at the blocks that they lie in, samples far from each other would each be a piece.
        for start in range(0, len(self.indices), block):
            yield SampleIndices(self.row, self.key, self.purpose, self.indices[start : start + block])

    def perturb(self, noise: NoiseStream, x: NDArray[np.float32], out: NDArray[np.float32]) -> None:
        """Write the noisy copies of `x`, the input, to `out`, float32 of shape (len(self), *shape)."""
        noise.perturb_at(x, self.key, self.purpose, self.indices, out)


SampleRequest = SampleRange | SampleIndices


def pieces(requests: Sequence[SampleRequest], block: int) -> Iterator[SampleRequest]:
    """Cut requests into pieces of at most `block` samples, in order."""
    for request in requests:
        yield from request.pieces(block)
