"""Grid noise in machine code: the same steps as `_reference`, without looking at every threshold."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import uint16, uint32, uint64
from numpy.typing import NDArray

from smoothcert._machine_code import compiled, inlined
from smoothcert.noise.philox import MULTIPLIERS, ROUNDS, WEYL

__all__ = ["perturb"]

_M0, _M1 = np.uint64(MULTIPLIERS[0]), np.uint64(MULTIPLIERS[1])
_W0, _W1 = np.uint32(WEYL[0]), np.uint32(WEYL[1])
_32, _48 = np.uint64(32), np.uint64(48)
_16 = np.uint32(16)
_LOW16 = np.uint32(0xFFFF)
_TILE = 4096  # coordinates at a time, a multiple of 8: the scratch arrays stay in the first-level cache


@inlined
def _philox(c0: Any, c1: Any, c2: Any, c3: Any, k0: Any, k1: Any) -> Any:
    for _ in range(ROUNDS):
        p0 = uint64(c0) * _M0
        p1 = uint64(c2) * _M1
        c0, c1 = uint32(uint32(p1 >> _32) ^ c1 ^ k0), uint32(p1)
        c2, c3 = uint32(uint32(p0 >> _32) ^ c3 ^ k1), uint32(p0)
        k0 = uint32(k0 + _W0)
        k1 = uint32(k1 + _W1)
    return c0, c1, c2, c3


@compiled
def perturb(
    pixels: NDArray[np.uint32],
    values: NDArray[np.float32],
    thresholds: NDArray[np.uint64],
    decided: NDArray[np.uint16],
    first: NDArray[np.uint16],
    key: NDArray[np.uint32],
    tag: np.uint32,
    samples: NDArray[np.uint64],
    out: NDArray[np.float32],
) -> None:
    """Write values[pixel + number of thresholds <= U] for each coordinate of the samples."""
    # pixels (d,) are the positions in `values` that belong to the step -J; `values` ends one entry above the
    # largest pixel + 2 J, for what `decided` has where it is undecided. thresholds (2 J,) come from
    # `grid_thresholds`, decided and first (65536,) from `word_tables`. key (2,) is the Philox key, tag the last
    # word of the counters, even. samples (b,) are indices; out (b, d) is overwritten.
    count, size = out.shape
    undecided = len(thresholds) + 1
    words = np.empty(_TILE, np.uint16)
    open_at = np.empty(_TILE, np.int32)
    rest = np.empty(_TILE, np.uint64)
    k0, k1 = key[0], key[1]
    for row in range(count):
        low, high = uint32(samples[row]), uint32(samples[row] >> _32)
        for base in range(0, size, _TILE):
            width = min(_TILE, size - base)
            for b in range((width + 7) >> 3):
                w0, w1, w2, w3 = _philox(uint32((base >> 3) + b), low, high, tag, k0, k1)
                words[8 * b], words[8 * b + 1] = uint16(w0), uint16(w0 >> _16)
                words[8 * b + 2], words[8 * b + 3] = uint16(w1), uint16(w1 >> _16)
                words[8 * b + 4], words[8 * b + 5] = uint16(w2), uint16(w2 >> _16)
                words[8 * b + 6], words[8 * b + 7] = uint16(w3), uint16(w3 >> _16)
            # Open draws are listed without a branch, which the processor would mispredict, and settled in bulk.
            opened = 0
            for i in range(width):
                number = decided[words[i]]
                out[row, base + i] = values[pixels[base + i] + number]
                open_at[opened] = i
                opened += number == undecided
            for a in range(opened):
                i = base + open_at[a]
                w0, w1, w2, w3 = _philox(uint32(i >> 1), low, high, uint32(tag | uint32(1)), k0, k1)
                rest[a] = (
                    uint64(w3 & _LOW16) << _32 | uint64(w2) if i & 1 else uint64(w1 & _LOW16) << _32 | uint64(w0)
                )
            for a in range(opened):
                i = open_at[a]
                uniform = uint64(words[i]) << _48 | rest[a]
                reached = np.int64(first[words[i]])
                while reached < len(thresholds) and thresholds[reached] <= uniform:
                    reached += 1
                out[row, base + i] = values[pixels[base + i] + reached]
