"""Philox 4x32-10: 128 random bits as a function of a 128-bit counter and a 64-bit key."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["MULTIPLIERS", "ROUNDS", "WEYL", "philox_4x32_10"]

ROUNDS = 10
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)


def philox_4x32_10(counter: NDArray[np.uint32], key: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Encipher counters (..., 4), least significant word first, by keys (..., 2) into blocks (..., 4)."""
    # J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011,
    # section 3.3. For one key the map is a permutation of the counters. The leading shapes broadcast.
    # Words are kept in 64 bits, so that a product of two of them has its high half.
    low, shift = np.uint64(0xFFFFFFFF), np.uint64(32)
    c0, c1, c2, c3 = np.moveaxis(counter.astype(np.uint64), -1, 0)
    k0, k1 = np.moveaxis(key.astype(np.uint64), -1, 0)
    for _ in range(ROUNDS):
        p0, p1 = c0 * np.uint64(MULTIPLIERS[0]), c2 * np.uint64(MULTIPLIERS[1])
        c0, c1, c2, c3 = (p1 >> shift) ^ c1 ^ k0, p1 & low, (p0 >> shift) ^ c3 ^ k1, p0 & low
        k0, k1 = (k0 + np.uint64(WEYL[0])) & low, (k1 + np.uint64(WEYL[1])) & low
    return np.stack([c0, c1, c2, c3], axis=-1).astype(np.uint32)
