"""How many samples each input is worth, from a prediction of its p_A, under a budget."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from smoothcert.bounds.binomial import lower_confidence_bound
from smoothcert.bounds.radius import smallest_n
from smoothcert.errors import InvalidArgumentError

__all__ = [
    "Predicted",
    "allocate_samples",
    "choose_at_a_price",
    "expected_gain",
    "geometric_sizes",
    "predicted_from_votes",
    "spend_the_rest",
]

Array = NDArray[np.float64]

_SIZES_PER_DOUBLING = 4
_PROBIT = np.linspace(-1.0, 5.0, 241)
_NODES = ndtri((np.arange(33) + 0.5) / 33)
_COUNT_NODES = ndtri((np.arange(5) + 0.5) / 5)
_MOST = 100  # times the mean, and an input has got nearly all that sampling can give it
_BISECTIONS = 60


@dataclass(frozen=True)
class Predicted:
    """What is believed of each input's p_A before it is sampled.

    Attributes
    ----------
    probit : ndarray of float64, shape (m,)
        Phi^-1(p_A), predicted.
    spread : ndarray of float64, shape (m,)
        Standard deviation of its error, on the same scale, positive.
    """

    probit: Array
    spread: Array


def predicted_from_votes(count: NDArray[np.int64], n: NDArray[np.int64] | int) -> Predicted:
    """Predict from other votes, by Jeffreys' prior.

    Parameters
    ----------
    count : ndarray of int64, shape (m,)
        Votes for the class, of n.
    n : int or ndarray of int64, shape (m,)
        Votes.

    Returns
    -------
    Predicted

    Examples
    --------
    >>> found = predicted_from_votes(np.array([90, 50]), 100)
    >>> found.probit.round(2), found.spread.round(2)
    (array([1.26, 0.  ]), array([0.17, 0.12]))
    """
    p = (count + 0.5) / (n + 1)
    probit = ndtri(p)
    density = np.exp(-(probit**2) / 2) / np.sqrt(2 * np.pi)
    return Predicted(probit, np.sqrt(p * (1 - p) / (n + 1)) / density)


def allocate_samples(
    predicted: Predicted,
    n: int,
    alpha: float,
    *,
    at: float | None = None,
    least: int | None = None,
    most: int | None = None,
) -> NDArray[np.int64]:
    """Divide m n samples so that the expected mean certified radius is largest.

    What an input gains from n samples is S-shaped: nothing until the bound passes 1/2, then more and more slowly.
    At one price per sample each input takes the number whose gain exceeds its price by most, which may be the
    least; the price is found by bisection. The gain is averaged over the prediction's error, so that an input
    whose p_A is uncertain is not written off. The numbers are a function of the predictions alone: certificates
    that use them are as valid as with one n for all, however wrong the predictions are.

    Parameters
    ----------
    predicted : Predicted
        Of m inputs.
    n : int
        Mean number of samples of an input.
    alpha : float
        Failure probability of each certificate.
    at : float, optional
        Spend on certifying this radius, in units of sigma, for as many inputs as possible, instead of on the mean
        radius.
    least : int, optional
        Samples that every input gets, whatever was predicted: the margin against wrong predictions. By default a
        tenth of `n`, and enough to certify anything.
    most : int, optional
        Samples that no input gets more of; by default 100 times `n`.

    Returns
    -------
    ndarray of int64, shape (m,)
        Samples of each input, from `least` to `most`, together at most m n.

    Raises
    ------
    InvalidArgumentError
        When `n` does not reach `least`, or an argument is out of range.

    Examples
    --------
    Inputs that are lost, close, clear and sure, with 1,000 samples each on average:

    >>> predicted = Predicted(np.array([-1.0, 0.2, 1.0, 3.5]), np.full(4, 0.2))
    >>> allocate_samples(predicted, 1000, 0.001)
    array([ 100,  472,  790, 2636])
    """
    floor = max(smallest_n(alpha), n // 10) if least is None else least
    if not smallest_n(alpha) <= floor <= n:
        raise InvalidArgumentError(
            f"least is {floor} and n is {n}: give {smallest_n(alpha)} <= least <= n, or nothing can be certified"
        )
    if most is not None and most < floor:
        raise InvalidArgumentError(f"most is {most}: give at least {floor}, which every input gets")
    m = len(predicted.probit)
    ceiling = min(_MOST * n if most is None else most, floor + m * (n - floor))
    sizes = geometric_sizes(floor, ceiling)
    gain = expected_gain(predicted, sizes, alpha, at=at)
    chosen = sizes[choose_at_a_price(gain, sizes, m * n)]
    return np.minimum(spend_the_rest(chosen, m * n), ceiling)


def expected_gain(
    predicted: Predicted, sizes: NDArray[np.int64], alpha: float, *, at: float | None = None
) -> Array:
    """Expect the radius over sigma, or that it is at least `at`, of each input with each number of samples."""
    gain = np.empty((len(predicted.probit), len(sizes)))
    p = ndtr(_PROBIT)
    for j, n in enumerate(sizes.tolist()):
        if at is None:
            z = predicted.probit[:, None] + predicted.spread[:, None] * _NODES
            counts = n * p[:, None] + np.sqrt(n * p * (1 - p))[:, None] * _COUNT_NODES
            reached = ndtri(lower_confidence_bound(np.clip(np.rint(counts), 0, n), n, alpha))
            gain[:, j] = np.interp(z, _PROBIT, np.maximum(reached, 0.0).mean(axis=1)).mean(axis=1)
        else:
            reached = ndtri(lower_confidence_bound(np.rint(n * p), n, alpha))
            enough = reached >= max(at, np.finfo(float).tiny)
            needed = _PROBIT[enough][0] if enough.any() else np.inf
            gain[:, j] = ndtr((predicted.probit - needed) / predicted.spread)
    return gain


def geometric_sizes(least: int, most: int) -> NDArray[np.int64]:
    """Return numbers of samples to choose from, four to a doubling."""
    doublings = np.log2(max(most, least) / least)
    steps = int(np.ceil(doublings * _SIZES_PER_DOUBLING))
    return np.unique(np.rint(np.geomspace(least, max(most, least), steps + 1)).astype(np.int64))


def choose_at_a_price(gain: Array, sizes: NDArray[np.int64], budget: int) -> NDArray[np.int64]:
    """Return the size index that maximises gain - price * size, at the lowest price within the budget."""

    def choose(price: float) -> NDArray[np.int64]:
        return np.asarray((gain - price * sizes).argmax(axis=1))

    low, high = 0.0, max(float(np.ptp(gain)), 1e-9)  # at this price per sample no input takes a second one
    cheap, dear = choose(low), choose(high)
    if sizes[cheap].sum() <= budget:
        return cheap
    for _ in range(_BISECTIONS):
        price = (low + high) / 2
        chosen = choose(price)
        if sizes[chosen].sum() <= budget:
            high, dear = price, chosen
        else:
            low, cheap = price, chosen
    # Inputs that are just worth the price either way, as far as the budget goes.
    extra = np.cumsum(sizes[cheap] - sizes[dear])
    return np.where(sizes[dear].sum() + extra <= budget, cheap, dear)


def spend_the_rest(chosen: NDArray[np.int64], budget: int) -> NDArray[np.int64]:
    """Raise all numbers in proportion, by what is left of the budget."""
    raised = np.floor(chosen * (budget / max(int(chosen.sum()), 1))).astype(np.int64)
    return np.asarray(np.maximum(chosen, raised))
