"""What a certification will cost, before it starts."""

from __future__ import annotations

import math
import time
from typing import Any

from smoothcert.classifiers import Classifier
from smoothcert.noise import Purpose, choose_noise, input_keys
from smoothcert.sampling import SampleRange, check_inputs, default_batch_size, device_of, sample_votes
from smoothcert.votes import require_batch_size, require_classifier

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
    classifier = require_classifier("classifier", classifier)
    inputs = check_inputs(x)
    noise = choose_noise("auto", sigma, 0, lambda: inputs)
    batch_size = require_batch_size(batch_size)
    key = next(input_keys([inputs[0]]))
    probe = 4 * (batch_size or default_batch_size(math.prod(inputs.shape[1:]), device_of(classifier)))
    seconds = math.inf
    for _ in range(2):  # the first run pays for what is set up once
        began = time.perf_counter()
        sample_votes(
            classifier, inputs, noise, [SampleRange(0, key, Purpose.CALIBRATION, 0, probe)], batch_size=batch_size
        )
        seconds = min(seconds, time.perf_counter() - began)
    return seconds / probe
