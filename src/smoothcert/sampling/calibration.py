"""Noisy inputs to calibrate a candidate on, from noise that no vote is ever drawn from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smoothcert.noise import NoiseStream, Purpose
from smoothcert.sampling.inputs import Inputs

__all__ = ["calibration_batch"]


def calibration_batch(
    inputs: Inputs, keys: list[bytes], noise: NoiseStream, count: int = 256
) -> NDArray[np.float32]:
    """Return noisy inputs, spread over all inputs, from the calibration purpose of the noise stream.

    A candidate tuned on the noise of the cached votes would agree with its base there and nowhere else, and the
    disparity's bound would mean nothing. Noise of another purpose is independent of it.

    Parameters
    ----------
    inputs : Inputs, shape (m, *shape)
        The clean inputs.
    keys : list of bytes
        Their keys.
    noise : NoiseStream
        The noise stream of the certification.
    count : int
        Number of samples.

    Returns
    -------
    ndarray of float32, shape (count, *shape)
    """
    batch = np.empty((count, *inputs.shape[1:]), np.float32)
    rows = np.arange(count) * len(inputs) // count
    for row in np.unique(rows):
        x = inputs[int(row)]  # which may have to be decoded
        for index, i in enumerate(np.flatnonzero(rows == row)):
            noise.perturb(x, keys[row], Purpose.CALIBRATION, index, batch[i : i + 1])
    return batch
