"""What a certification will cost, before it starts."""

from __future__ import annotations

import math
import time
from typing import Any

from smoothcert.classifiers import Classifier
from smoothcert.noise import Purpose
from smoothcert.sampling import SampleRange, as_inputs
from smoothcert.votes import Smoothed, require_count

__all__ = ["BYTES_PER_VOTE", "estimate_cost", "seconds_per_sample"]

BYTES_PER_VOTE = 0.3  # 0.22 on CIFAR-10 with n = 10,000, and more where parts are small


def estimate_cost(
    classifier: Classifier, x: Any, *, sigma: float, n0: int, n: int, batch_size: int | None = None
) -> dict[str, float]:
    """Estimate the cost of `certify` from a timed run of a few batches.

    Parameters
    ----------
    classifier, x, sigma, n0, n, batch_size
        As in `certify`.

    Returns
    -------
    dict
        ``samples`` (forward passes), ``seconds`` and ``bytes`` (of the cache).

    Examples
    --------
    >>> import numpy as np, smoothcert as sc
    >>> f = sc.FunctionClassifier(lambda batch: batch, num_classes=2, fingerprint="identity")
    >>> int(estimate_cost(f, np.zeros((3, 2)), sigma=0.5, n0=100, n=900)["samples"])
    3000
    """
    n0, n = require_count("n0", n0), require_count("n", n)
    given = as_inputs(x)
    inputs = given.inputs
    seconds = seconds_per_sample(classifier, given, sigma=sigma, batch_size=batch_size)
    samples = len(inputs) * (n0 + n)
    return {
        "samples": samples,
        "seconds": samples * seconds,
        "bytes": len(inputs) * n * BYTES_PER_VOTE,
    }


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
