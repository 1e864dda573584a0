"""Votes as they are kept: a byte each, two from 255 classes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from smoothcert.errors import InvalidArgumentError

__all__ = ["Votes", "count_votes", "invalid_vote", "most_voted", "stored_dtype", "vote_dtype", "votes_for"]

Votes = NDArray[np.uint8 | np.uint16]

_COUNTED_AT_ONCE = 1 << 16


def invalid_vote(num_classes: int) -> int:
    """Return the stored value of an invalid vote, the largest of the votes' type.

    Examples
    --------
    >>> invalid_vote(10), invalid_vote(1000)
    (255, 65535)
    """
    return int(np.iinfo(vote_dtype(num_classes)).max)


def count_votes(votes: Votes, num_classes: int) -> NDArray[np.int64]:
    """Count votes per class; invalid votes are counted for none.

    Parameters
    ----------
    votes : ndarray of uint8 or uint16, shape (n,)
        Votes as `sample_votes` returns them.
    num_classes : int
        Number of classes k.

    Returns
    -------
    ndarray of int64, shape (k,)

    Examples
    --------
    >>> import numpy as np
    >>> count_votes(np.array([0, 2, 2, 255], np.uint8), num_classes=3)
    array([1, 0, 2])
    """
    counts = np.zeros(num_classes, np.int64)
    for start in range(0, len(votes), _COUNTED_AT_ONCE):  # bincount widens what it counts to 8 bytes
        part = votes[start : start + _COUNTED_AT_ONCE]
        counts += np.bincount(part[part < num_classes], minlength=num_classes)
    return counts


def vote_dtype(num_classes: int) -> type[np.uint8] | type[np.uint16]:
    """Return the type that votes are kept in; InvalidArgumentError for more classes than two bytes tell apart."""
    if num_classes >= np.iinfo(np.uint16).max:
        raise InvalidArgumentError(
            f"num_classes is {num_classes}: at most {np.iinfo(np.uint16).max - 1} are supported"
        )
    return np.uint8 if num_classes < np.iinfo(np.uint8).max else np.uint16


def stored_dtype(num_classes: int) -> np.dtype[Any]:
    """Return the type of a vote in a file: the same, little-endian on every machine."""
    return np.dtype(vote_dtype(num_classes)).newbyteorder("<")


def most_voted(selection_counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the top class c_A of each input, the first with most selection votes; -1 where there are none.

    Parameters
    ----------
    selection_counts : ndarray of int64, shape (m, k)
        Selection votes per class.

    Returns
    -------
    ndarray of int64, shape (m,)

    Examples
    --------
    >>> most_voted(np.array([[1, 4, 4], [0, 0, 0]])).tolist()
    [1, -1]
    """
    return np.where(selection_counts.any(axis=1), selection_counts.argmax(axis=1), -1)


def votes_for(classes: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the votes for one class of each input; 0 where the class is -1.

    Parameters
    ----------
    classes : ndarray of int64, shape (m,)
        The classes, such as from `most_voted`.
    counts : ndarray of int64, shape (m, k)
        Votes per class.

    Returns
    -------
    ndarray of int64, shape (m,)

    Examples
    --------
    >>> votes_for(np.array([1, -1]), np.array([[2, 7], [3, 4]])).tolist()
    [7, 0]
    """
    found = np.take_along_axis(counts, np.maximum(classes, 0)[:, None], axis=1)[:, 0]
    return np.where(classes >= 0, found, 0)
