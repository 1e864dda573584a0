"""The steps of grid noise as they are defined: every 64-bit uniform, compared with every threshold."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smoothcert.noise.philox import philox_4x32_10

__all__ = ["grid_steps"]


def grid_steps(
    thresholds: NDArray[np.uint64],
    key: NDArray[np.uint32],
    tag: int,
    samples: NDArray[np.uint64],
    coordinates: NDArray[np.uint64],
) -> NDArray[np.int64]:
    """Return the step at each address, the k with T_(k-1) <= U < T_k; samples and coordinates broadcast."""
    # U has its upper 16 bits from one stream of Philox blocks, 8 coordinates a block, and its lower 48 bits from a
    # second one, 2 coordinates a block: the upper bits nearly always decide the step, so that a fast
    # implementation hardly ever needs the second stream. A counter is (block, sample mod 2^32, sample div 2^32,
    # tag); the tag is even, and its lowest bit tells the streams apart. Coordinates are below 2^33.
    samples, coordinates = np.broadcast_arrays(samples, coordinates)

    def blocks(index: NDArray[np.uint64], last: int) -> NDArray[np.uint64]:
        words = [index, samples & np.uint64(0xFFFFFFFF), samples >> np.uint64(32), np.full_like(samples, last)]
        return philox_4x32_10(np.stack(words, axis=-1).astype(np.uint32), key).astype(np.uint64)

    def pick(words: NDArray[np.uint64], position: NDArray[np.uint64]) -> NDArray[np.uint64]:
        return np.take_along_axis(words, position.astype(np.int64)[..., None], axis=-1)[..., 0]

    eighth, half = coordinates % np.uint64(8), coordinates % np.uint64(2)
    first = blocks(coordinates // np.uint64(8), tag)
    upper = pick(first, eighth // np.uint64(2)) >> (np.uint64(16) * (eighth % np.uint64(2))) & np.uint64(0xFFFF)
    second = blocks(coordinates // np.uint64(2), tag | 1)
    low = pick(second, np.uint64(2) * half)
    middle = pick(second, np.uint64(2) * half + np.uint64(1)) & np.uint64(0xFFFF)
    uniform = upper << np.uint64(48) | middle << np.uint64(32) | low
    return np.searchsorted(thresholds, uniform, side="right") - len(thresholds) // 2
