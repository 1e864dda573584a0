"""Whether a candidate is an approximation at all."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smoothcert.classifiers import Classifier

__all__ = ["same_function"]


def same_function(a: Classifier, b: Classifier, batch: NDArray[np.float32]) -> bool:
    """Tell whether two classifiers return bit-identical logits on a probe batch.

    A candidate whose outputs are those of its base, bit for bit, is not an approximation, and a disparity
    measured with it says nothing about one. Published int8 candidates were of this kind: dynamic quantization had
    left their convolutions alone. Real quantization or pruning moves some bit of some logit on almost any input,
    so that a few noisy inputs tell; agreement on the batch proves nothing about other inputs.

    Parameters
    ----------
    a, b : Classifier
        The base and the candidate.
    batch : ndarray of float32, shape (b, *shape)
        Probe inputs, best with noise, in the units of the data.

    Returns
    -------
    bool
        True when the logits of both are the same float32 bit patterns (-0.0 and 0.0 differ, equal NaNs agree).

    Examples
    --------
    >>> import numpy as np
    >>> from smoothcert.classifiers import FunctionClassifier
    >>> base = FunctionClassifier(lambda x: x, num_classes=2, fingerprint="identity")
    >>> twice = FunctionClassifier(lambda x: 2 * x, num_classes=2, fingerprint="twice")
    >>> batch = np.ones((3, 2), np.float32)
    >>> same_function(base, base, batch), same_function(base, twice, batch)
    (True, False)
    """
    logits_a, logits_b = (np.asarray(classifier.logits(batch), np.float32) for classifier in (a, b))
    return logits_a.shape == logits_b.shape and logits_a.tobytes() == logits_b.tobytes()
