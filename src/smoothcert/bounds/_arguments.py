"""Arguments as float64 arrays inside their legal range, or an error that names them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smoothcert.errors import InvalidArgumentError

__all__ = [
    "MAX_COUNT",
    "MIN_ALPHA",
    "at_most",
    "broadcast",
    "counts",
    "failure_probability",
    "like_input",
    "number",
    "whole",
]

MAX_COUNT = 10**8
"""Up to this n the rounding of the binomial bounds was checked against exact tails."""

MIN_ALPHA = 1e-100
"""Smallest alpha at which rounding was checked; below 1e-270 tails lose their digits to underflow."""

Array = NDArray[np.float64]


def number(name: str, value: ArrayLike, legal: Callable[[Array], NDArray[np.bool_]], should: str) -> Array:
    """Convert to float64; refuse what is not a number or not `legal`, as NaN never is."""
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidArgumentError(f"{name} is {value!r}: it should be {should}") from error
    illegal = ~legal(array)
    if illegal.any():
        where = tuple(int(i) for i in np.argwhere(illegal)[0])
        label = f"{name}{list(where)}" if where else name
        raise InvalidArgumentError(f"{label} is {array[where]:.17g}: it should be {should}")
    return array


def failure_probability(name: str, value: ArrayLike) -> Array:
    """Convert a failure probability such as alpha."""
    return number(name, value, lambda a: (a >= MIN_ALPHA) & (a < 1), f"in [{MIN_ALPHA:g}, 1)")


def whole(name: str, value: ArrayLike, least: int = 0) -> Array:
    """Convert a count."""
    return number(
        name,
        value,
        lambda a: (a >= least) & (a <= MAX_COUNT) & (a == np.floor(a)),
        f"a whole number from {least} to {MAX_COUNT}",
    )


def at_most(k_name: str, k: Array, n_name: str, n: Array) -> None:
    """Refuse a count above the number that it is part of; both have the same shape."""
    if (k > n).any():
        where = np.argmax((k > n).ravel())
        raise InvalidArgumentError(
            f"{k_name} is {k.ravel()[where]:.17g} and {n_name} is {n.ravel()[where]:.17g}: "
            f"{k_name} should be at most {n_name}"
        )


def counts(k_name: str, k: ArrayLike, n_name: str, n: ArrayLike) -> tuple[Array, Array]:
    """Convert a count of successes and its number of trials, broadcast against each other."""
    n = whole(n_name, n, least=1)
    k = number(k_name, k, lambda a: (a >= 0) & (a == np.floor(a)), "a whole number of at least 0")
    k, n = broadcast(**{k_name: k, n_name: n})
    at_most(k_name, k, n_name, n)
    return k, n


def broadcast(**arrays: Array) -> tuple[Array, ...]:
    """Broadcast against each other, or name the shapes that do not fit."""
    try:
        return np.broadcast_arrays(*arrays.values())
    except ValueError as error:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise InvalidArgumentError(f"shapes do not broadcast: {shapes}") from error


def like_input(values: Array) -> Array | float:
    """Return a Python float for scalar arguments, the array otherwise."""
    return float(values) if values.ndim == 0 else values
