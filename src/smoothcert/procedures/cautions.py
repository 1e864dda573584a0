"""What is odd about a call, in words: mistakes that make no certificate false, and few radii large."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr

from smoothcert.certificate import Certificates

__all__ = ["far_from_training", "invalid_votes", "near_chance", "odd_sigma", "with_cautions"]

_LARGEST_SIGMA = 2.0
_SMALLEST_SIGMA = 1 / 510
_FAR = 1.25
_LEVEL = 0.01

Counts = NDArray[np.int64]


def with_cautions(
    certificates: Certificates, counts: Counts, *, labels: NDArray[np.int64] | None = None
) -> Certificates:
    """Add what the votes, the noise and the labels say.

    Parameters
    ----------
    certificates : Certificates
        Of m inputs.
    counts : ndarray of int64, shape (m, k)
        Their estimation votes per class, of ``certificates.n``.
    labels : ndarray of int64, shape (m,), optional
        True classes, where they are known.

    Returns
    -------
    Certificates
        The same claims.
    """
    found = (*invalid_votes(counts, certificates.n), *odd_sigma(certificates.sigma))
    if labels is not None:
        found += near_chance(certificates.top_class, labels, counts.shape[1])
    return certificates.with_cautions(*found)


def invalid_votes(counts: Counts, n: Counts) -> tuple[str, ...]:
    """Say how many votes are for no class, as their logits were not finite.

    Examples
    --------
    >>> invalid_votes(np.array([[90, 10], [60, 30]]), np.array([100, 100]))[0].partition(',')[0]
    '10 of 200 votes'
    """
    invalid = n - counts.sum(axis=1)
    if not invalid.any():
        return ()
    return (
        f"{invalid.sum():,} of {n.sum():,} votes, around {np.count_nonzero(invalid):,} of {len(n):,} inputs, are "
        "invalid, as the logits are not finite: they count in n for no class",
    )


def near_chance(top_class: Counts, labels: NDArray[np.int64], num_classes: int) -> tuple[str, ...]:
    """Say that the classes are no better than guesses, where there are inputs enough to tell.

    Two exact binomial tests decide: the accuracy is not above that of guessing, and it is below halfway from there
    to 1.

    Parameters
    ----------
    top_class : ndarray of int64, shape (m,)
        The class with most votes, -1 where there is none.
    labels : ndarray of int64, shape (m,)
        True classes.
    num_classes : int
        Number of classes, at least 2.

    Examples
    --------
    >>> near_chance(np.arange(50) % 10, np.arange(50) % 5, 10)
    ()
    >>> near_chance(np.zeros(50, int), np.arange(50) % 10, 10)[0][:78]
    'accuracy 0.10 on 50 labelled inputs, no better than guessing among 10 classes:'
    """
    m, right = len(labels), int((top_class == labels).sum())
    chance = 1 / num_classes
    above_chance = right > 0 and 1 - bdtr(right - 1, m, chance) <= _LEVEL
    far_below = bdtr(right, m, (1 + chance) / 2) <= _LEVEL
    if above_chance or not far_below:
        return ()
    return (
        f"accuracy {right / m:.2f} on {m:,} labelled inputs, no better than guessing among {num_classes} classes: "
        "is the normalization doubled or missing, are the labels in another order, or is sigma too large for this "
        "model?",
    )


def odd_sigma(sigma: float) -> tuple[str, ...]:
    """Say that a standard deviation is not one for inputs in [0, 1].

    Examples
    --------
    >>> odd_sigma(0.5), len(odd_sigma(63.75)), len(odd_sigma(0.001))
    ((), 1, 1)
    """
    if sigma > _LARGEST_SIGMA:
        return (
            f"sigma is {sigma:g}, but inputs are in [0, 1]: noise of this size hides them; a sigma for pixels of "
            f"0 to 255 is sigma / 255 = {sigma / 255:.3g} here",
        )
    if sigma < _SMALLEST_SIGMA:
        return (
            f"sigma is {sigma:g}, less than half a step between the levels of an 8-bit image, 1/255: this is next "
            "to no noise, and no radius is above a few sigma",
        )
    return ()


def far_from_training(sigma: float, trained: float | None) -> tuple[str, ...]:
    """Say that a model was trained with noise of another size, by more than a quarter.

    Examples
    --------
    >>> far_from_training(0.5, None), far_from_training(0.5, 0.45)
    ((), ())
    >>> far_from_training(0.5, 0.25)
    ('the model was trained with sigma = 0.25, not 0.5: its accuracy under other noise is lower',)
    """
    if trained is None or trained / _FAR <= sigma <= trained * _FAR:
        return ()
    return (
        f"the model was trained with sigma = {trained:g}, not {sigma:g}: its accuracy under other noise is lower",
    )
