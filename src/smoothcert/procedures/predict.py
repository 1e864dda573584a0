"""PREDICT of Cohen, Rosenfeld and Kolter (2019)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smoothcert.bounds import lower_confidence_bound, smallest_n
from smoothcert.certificate import ABSTAIN
from smoothcert.classifiers import Classifier
from smoothcert.errors import InvalidArgumentError
from smoothcert.noise import NoiseName, NoiseStream, Purpose
from smoothcert.sampling import SampleRange, count_votes
from smoothcert.votes import (
    PART_VOTES,
    ShowProgress,
    Smoothed,
    reporter,
    require_count,
    require_probability,
    showing,
)

__all__ = ["decide_class", "predict"]


def predict(
    classifier: Classifier,
    x: Any,
    *,
    sigma: float,
    n: int = 1000,
    alpha: float = 0.001,
    seed: int = 0,
    noise: NoiseName | NoiseStream = "auto",
    batch_size: int | None = None,
    progress: ShowProgress = None,
) -> NDArray[np.int64]:
    """Predict the smoothed classifier's class of each input, or abstain (PREDICT).

    Parameters
    ----------
    n : int
        Samples per input.
    alpha : float
        Probability at most with which a class is returned that is not the smoothed classifier's. Under grid noise
        n times its total variation is taken off the level of the test, so that this holds under exact noise.
    seed : int
        Seed of the noise stream; prediction noise is disjoint from certification noise.
    classifier, x, sigma, noise, batch_size, progress
        As in `certify`.

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
    n, alpha = require_count("n", n), require_probability("alpha", alpha)
    if n < (needed := smallest_n(alpha / 2)):
        raise InvalidArgumentError(
            f"n is {n}: at alpha = {alpha:g} even unanimous votes are no evidence; n >= {needed} is needed"
        )
    g = Smoothed.open(classifier, x, sigma=sigma, seed=seed, noise=noise, batch_size=batch_size)
    level = _level(alpha, n, g.noise, g.size)
    labels: list[NDArray[np.int64]] = []
    group = max(1, PART_VOTES // n)  # inputs whose votes are in memory at a time
    with showing(progress, "predict") as shown:
        report = reporter(shown, len(g) * n)
        for start in range(0, len(g), group):
            keys = g.keys[start : start + group]
            ranges = [SampleRange(start + i, key, Purpose.PREDICTION, 0, n) for i, key in enumerate(keys)]
            counts = [count_votes(votes, g.classifier.num_classes) for votes in g.sample(ranges, report)]
            labels.append(decide_class(np.stack(counts), level))
    return np.concatenate(labels)


def _level(alpha: float, n: int, noise: NoiseStream, size: int) -> float:
    """Return the level of the test on the drawn noise, so that alpha holds under exact Gaussian noise."""
    # n independent votes together are within n times the total variation of a vote: no event, an error among
    # them, is more probable than under exact noise by more than that.
    spent = n * noise.total_variation(size) * (1 + 2**-50)
    level = math.nextafter(alpha - spent, 0.0)
    if level < alpha / 2:
        raise InvalidArgumentError(
            f"alpha is {alpha:g}: of {n} votes, the noise may move {spent:.1g} by not being exactly Gaussian; use "
            f"alpha >= {2 * spent:.2g}"
        )
    return level


def decide_class(counts: NDArray[np.int64], alpha: float) -> NDArray[np.int64]:
    """Return the classes with most votes, -1 where the two-sided test of the two largest counts does not reject.

    Counts are int64 of shape (m, k). P(Bin(n, 1/2) >= k) <= alpha/2 exactly where the Clopper-Pearson bound of k
    successes at alpha/2 reaches 1/2; the bound is rounded outwards, so that it never rejects too much.
    """
    second, first = np.sort(counts, axis=1)[:, -2:].T
    rejected = lower_confidence_bound(first, np.maximum(first + second, 1), alpha / 2) > 0.5
    return np.where(rejected, counts.argmax(axis=1), ABSTAIN)
