"""The one interface to anything that labels a batch."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

__all__ = ["INVALID_VOTE", "Classifier", "votes_from_logits"]

INVALID_VOTE = -1
"""The vote of a sample whose logits are not all finite: counted in n, for no class."""


@runtime_checkable
class Classifier(Protocol):
    """Anything that turns a batch of inputs into one class each."""

    @property
    def num_classes(self) -> int:
        """Classes are 0 .. num_classes - 1."""
        ...

    @property
    def fingerprint(self) -> str:
        """Identifies what is computed: equal ones mean the same parameters, architecture, runtime and dtype."""
        ...

    @property
    def description(self) -> dict[str, str]:
        """What is run, for the manifest: runtime, device, dtype, preprocessing."""
        ...

    def logits(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Score a batch.

        Parameters
        ----------
        batch : ndarray of float32, shape (b, *shape)
            Inputs in the units of the data, usually [0, 1] before noise was added.

        Returns
        -------
        ndarray of float32, shape (b, num_classes)
        """
        ...

    def classify(self, batch: NDArray[np.float32]) -> NDArray[np.int64]:
        """Label a batch.

        Parameters
        ----------
        batch : ndarray of float32, shape (b, *shape)
            Inputs in the units of the data.

        Returns
        -------
        ndarray of int64, shape (b,)
            Classes; -1 is an invalid vote (logits that are not all finite).
        """
        ...


def votes_from_logits(logits: NDArray[np.floating]) -> NDArray[np.int64]:
    """Turn logits into votes; a row that is not all finite is an invalid vote.

    Parameters
    ----------
    logits : ndarray of float, shape (b, k)
        One score per class.

    Returns
    -------
    ndarray of int64, shape (b,)
        The first class with the largest score, or -1.

    Examples
    --------
    >>> import numpy as np
    >>> votes_from_logits(np.array([[0.1, 0.7], [np.nan, 0.0], [np.inf, 0.0]]))
    array([ 1, -1, -1])
    """
    votes: NDArray[np.int64] = logits.argmax(axis=1).astype(np.int64)
    votes[~np.isfinite(logits).all(axis=1)] = INVALID_VOTE
    return votes
