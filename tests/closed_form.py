"""Classifiers whose smoothed versions are known exactly under Gaussian noise.

Phi is the distribution function of the standard normal law; x0 and x1 are the first coordinates of an input.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from smoothcert import FunctionClassifier
from smoothcert.noise import NoiseStream, Purpose

Batch = NDArray[np.float32]
Scores = NDArray[np.float64]


def half_space(at: float = 0.5, *, num_classes: int = 2, fingerprint: str | None = None) -> FunctionClassifier:
    """f(x) = 1[x0 > at], further classes never: p_A = Phi(|x0 - at| / sigma), and the radius is |x0 - at|."""

    def logits(batch: Batch) -> Scores:
        score = batch[:, 0].astype(np.float64) - at
        return np.stack([-score, score] + [np.full(len(batch), -9.0)] * (num_classes - 2), axis=1)

    return FunctionClassifier(logits, num_classes, fingerprint or f"x0 > {at}")


def disagreement(x0: NDArray[np.floating[Any]], a: float, b: float, sigma: float) -> Scores:
    """Return the probability that half_space(a) and half_space(b) vote differently around x0."""
    return np.asarray(np.abs(ndtr((x0 - a) / sigma) - ndtr((x0 - b) / sigma)))


def opposite(f: FunctionClassifier) -> FunctionClassifier:
    """f of two classes with its classes exchanged: p_A and the radius of f, for the other class."""
    return FunctionClassifier(lambda batch: -f.function(batch), 2, f"opposite of {f.fingerprint}")


def corners() -> FunctionClassifier:
    """0 if x0 > 1/2, else 1 to 3 by x1: p_0 = Phi((x0 - 1/2) / sigma), p_1 = (1 - p_0) Phi((0.4 - x1) / sigma)."""

    def logits(batch: Batch) -> Scores:
        label = np.where(batch[:, 0] > 0.5, 0, 1 + np.digitize(batch[:, 1], [0.4, 0.6]))
        return np.eye(4)[label]

    return FunctionClassifier(logits, 4, "corners")


def stripes(width: float = 0.01) -> FunctionClassifier:
    """Two classes in stripes across x0: each has probability 1/2 to within exp(-(pi sigma / width)^2 / 2)."""

    def logits(batch: Batch) -> Scores:
        score = batch[:, 0].astype(np.float64) % (2 * width) - width
        return np.stack([score, -score], axis=1)

    return FunctionClassifier(logits, 2, "stripes")


def constant(label: int) -> FunctionClassifier:
    """Always votes for `label`, of two classes: p_A = 1, and the radius has no bound."""
    return FunctionClassifier(lambda batch: np.tile(np.eye(2)[label], (len(batch), 1)), 2, f"always {label}")


def invalid_beyond(f: FunctionClassifier, c: int, at: float) -> FunctionClassifier:
    """f, but nan where x_c > at: a vote is invalid with probability Phi((x_c - at) / sigma)."""

    def logits(batch: Batch) -> Scores:
        scores: Scores = np.asarray(f.function(batch), np.float64)
        scores[batch[:, c] > at] = np.nan
        return scores

    return FunctionClassifier(logits, f.num_classes, f"{f.fingerprint}, nan where x_{c} > {at}")


def invalid() -> FunctionClassifier:
    """Not a number anywhere: every class has probability 0."""
    return FunctionClassifier(lambda batch: np.full((len(batch), 2), np.nan), 2, "nan")


def by_heart(
    f: FunctionClassifier, inputs: NDArray[np.floating[Any]], keys: Iterable[bytes], noise: NoiseStream, n: int
) -> FunctionClassifier:
    """f on the first n noisy versions of every input, and its opposite elsewhere: 1 - p_A on any other noise."""
    noisy = np.empty((n, *inputs.shape[1:]), np.float32)
    learned: set[bytes] = set()
    for x, key in zip(inputs, keys, strict=True):
        noise.perturb(x, key, Purpose.ESTIMATION, 0, noisy)
        learned.update(row.tobytes() for row in noisy)

    def logits(batch: Batch) -> Scores:
        known = np.array([row.tobytes() in learned for row in batch])
        return np.where(known[:, None], 1.0, -1.0) * np.asarray(f.function(batch), np.float64)

    return FunctionClassifier(logits, 2, f"{f.fingerprint}, by heart")


def recording(f: FunctionClassifier, sizes: list[int]) -> FunctionClassifier:
    """f, which notes the sizes of its batches."""

    def logits(batch: Batch) -> NDArray[np.floating[Any]]:
        sizes.append(len(batch))
        return f.function(batch)

    return FunctionClassifier(logits, f.num_classes, f.fingerprint)
