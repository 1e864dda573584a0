"""Many inputs at once, from whatever holds them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smoothcert.data import Inputs as DataInputs
from smoothcert.sampling import Inputs

__all__ = ["take_rows"]


def take_rows(inputs: Inputs, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return several inputs as one array.

    Parameters
    ----------
    inputs : Inputs, shape (m, *shape)
        An array, a data set's inputs, or anything that gives one input for an int.
    rows : ndarray of int64, shape (b,)
        Which ones.

    Returns
    -------
    ndarray of float32, shape (b, *shape)
    """
    if isinstance(inputs, np.ndarray | DataInputs):
        several: NDArray[np.float32] = np.ascontiguousarray(inputs[rows], dtype=np.float32)
        return several
    return np.stack([inputs[int(i)] for i in rows]).astype(np.float32, copy=False)
