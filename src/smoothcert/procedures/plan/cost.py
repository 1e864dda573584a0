"""What a certification will cost, before it starts."""

from __future__ import annotations

import math
import time
from typing import Any

from smoothcert.classifiers import Classifier
from smoothcert.noise import Purpose
from smoothcert.sampling import SampleRange
from smoothcert.votes import Smoothed

__all__ = ["BYTES_PER_VOTE", "seconds_per_sample"]

BYTES_PER_VOTE = 0.3  # 0.22 on CIFAR-10 with n = 10,000, and more where parts are small


def seconds_per_sample(classifier: Classifier, x: Any, *, sigma: float, batch_size: int | None = None) -> float:
    """Time a few batches on noisy copies of the first input.

    Parameters
    ----------
    classifier, x, sigma, batch_size
        As in `certify`.

    Returns
    -------
    float
        Wall-clock time of a sample, noise included.

    Examples
    --------
    >>> import numpy as np, smoothcert as sc
    >>> f = sc.FunctionClassifier(lambda batch: batch, num_classes=2, fingerprint="identity")
    >>> 0 < seconds_per_sample(f, np.zeros((3, 2)), sigma=0.5) < 1
    True
    """
    g = Smoothed.open(classifier, x, sigma=sigma, seed=0, noise="auto", batch_size=batch_size)
    probe = 4 * g.forward_passes_at_once
    seconds = math.inf
    for _ in range(2):  # the first run pays for what is set up once
        began = time.perf_counter()
        g.sample([SampleRange(0, g.keys[0], Purpose.CALIBRATION, 0, probe)])
        seconds = min(seconds, time.perf_counter() - began)
    return seconds / probe
