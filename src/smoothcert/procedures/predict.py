"""PREDICT of Cohen, Rosenfeld and Kolter (2019)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtrc

from smoothcert.certificate import ABSTAIN
from smoothcert.classifiers import Classifier
from smoothcert.errors import InvalidArgumentError
from smoothcert.noise import NoiseName, Purpose
from smoothcert.procedures.arguments import (
    require_batch_size,
    require_classifier,
    require_count,
    require_probability,
)
from smoothcert.procedures.preparation import prepare
from smoothcert.procedures.voting import Progress
from smoothcert.sampling import SampleRange, count_votes, sample_votes

__all__ = ["predict"]


def predict(
    classifier: Classifier,
    x: Any,
    *,
    sigma: float,
    n: int = 1000,
    alpha: float = 0.001,
    seed: int = 0,
    noise: NoiseName = "auto",
    levels: int | None = None,
    batch_size: int | None = None,
    progress: Progress | None = None,
) -> NDArray[np.int64]:
    """Predict the smoothed classifier's class of each input, or abstain (PREDICT).

    Parameters
    ----------
    classifier : Classifier
        The base classifier f.
    x : array, tensor or lazy sequence, shape (m, *shape)
        Inputs in [0, 1].
    sigma : float
        Standard deviation of the noise, in the units of the input.
    n : int
        Samples per input.
    alpha : float
        Probability at most with which a class is returned that is not the smoothed classifier's.
    seed : int
        Seed of the noise stream; prediction noise is disjoint from certification noise.
    noise : {"auto", "grid", "gaussian"}
        The noise law, see `certify`.
    levels : int, optional
        Grid steps per unit for ``noise="grid"``, by default 255.
    batch_size : int, optional
        Forward passes at once; it changes no noise.
    progress : callable, optional
        Called with (samples done, samples in total).

    Returns
    -------
    ndarray of int64, shape (m,)
        Classes; -1 where the two-sided binomial test of the two largest counts does not reject at alpha.

    Raises
    ------
    InvalidArgumentError
        When an argument is out of range, or n votes can never reject at alpha.

    References
    ----------
    Cohen, Rosenfeld, Kolter, "Certified adversarial robustness via randomized smoothing", ICML 2019, PREDICT.

    Examples
    --------
    >>> import numpy as np, smoothcert as sc
    >>> def logits(batch):
    ...     return np.stack([0.5 - batch[:, 0], batch[:, 0] - 0.5], axis=1)
    >>> f = sc.FunctionClassifier(logits, num_classes=2, fingerprint="x0 > 1/2")
    >>> sc.predict(f, np.array([[0.7, 0.0], [0.5, 0.0]]), sigma=0.25)
    array([ 1, -1])
    """
    classifier = require_classifier("classifier", classifier)
    n, alpha, batch_size = (
        require_count("n", n),
        require_probability("alpha", alpha),
        require_batch_size(batch_size),
    )
    if 2.0 ** (1 - n) > alpha:
        needed = int(np.ceil(1 - np.log2(alpha)))
        raise InvalidArgumentError(
            f"n is {n}: at alpha = {alpha:g} even unanimous votes are no evidence; n >= {needed} is needed"
        )
    ready = prepare(classifier, x, sigma=sigma, seed=seed, noise=noise, levels=levels)
    inputs, keys, stream = ready.inputs, ready.keys, ready.noise
    labels = np.empty(len(inputs), np.int64)
    for i, key in enumerate(keys):
        (votes,) = sample_votes(
            classifier, inputs, stream, [SampleRange(i, key, Purpose.PREDICTION, 0, n)], batch_size=batch_size
        )
        labels[i] = _decide(count_votes(votes, classifier.num_classes), alpha)
        if progress is not None:
            progress((i + 1) * n, len(inputs) * n)
    return labels


def _decide(counts: NDArray[np.int64], alpha: float) -> int:
    second, first = np.sort(counts)[-2:]
    p_value = min(1.0, 2.0 * float(bdtrc(first - 1, first + second, 0.5))) if first > second else 1.0
    return int(counts.argmax()) if p_value <= alpha else ABSTAIN
