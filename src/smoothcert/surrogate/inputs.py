"""Many inputs at once, from whatever holds them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from smoothcert.data import LazyInputs
from smoothcert.sampling import Inputs

__all__ = ["Rows", "take_rows"]


def take_rows(inputs: Inputs, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return several inputs as one array, float32 (b, *shape)."""
    if isinstance(inputs, np.ndarray | LazyInputs):
        several: NDArray[np.float32] = np.ascontiguousarray(inputs[rows], dtype=np.float32)
        return several
    return np.stack([inputs[int(i)] for i in rows]).astype(np.float32, copy=False)


class Rows:
    """Some of the inputs, still as lazy as they were.

    Parameters
    ----------
    inputs : Inputs, shape (m, *shape)
        All inputs.
    rows : ndarray of int64, shape (b,)
        Which ones.
    """

    def __init__(self, inputs: Inputs, rows: NDArray[np.int64]) -> None:
        self._inputs, self._rows = inputs, rows
        self.shape = (len(rows), *inputs.shape[1:])

    def __len__(self) -> int:
        """Return their number b."""
        return len(self._rows)

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        """Yield the inputs one by one."""
        return (self[i] for i in range(len(self)))

    def __getitem__(self, index: int, /) -> NDArray[np.float32]:
        """Return one input, float32 of shape (*shape)."""
        return self._inputs[int(self._rows[index])]
