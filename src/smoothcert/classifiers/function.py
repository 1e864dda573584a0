"""Any function as a classifier."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from smoothcert.classifiers.base import votes_from_logits
from smoothcert.errors import InvalidArgumentError

__all__ = ["FunctionClassifier"]


class FunctionClassifier:
    """A function from a batch to logits, in any framework.

    Parameters
    ----------
    function : callable
        Maps a float32 array (b, *shape) to an array of logits (b, num_classes).
    num_classes : int
        Number of classes, at least 2.
    fingerprint : str
        Identifies what `function` computes, such as a hash of its parameters. It guards the certification cache:
        two functions that differ need two fingerprints.

    Raises
    ------
    InvalidArgumentError
        When `num_classes` is less than 2 or `fingerprint` is empty.

    Examples
    --------
    A linear classifier in two dimensions, whose smoothed radius is known in closed form:

    >>> import numpy as np
    >>> def logits(batch):
    ...     score = batch @ np.array([1.0, -1.0], np.float32)
    ...     return np.stack([-score, score], axis=1)
    >>> classifier = FunctionClassifier(logits, num_classes=2, fingerprint="x0 > x1")
    >>> classifier.classify(np.array([[0.9, 0.1], [0.2, 0.8]], np.float32))
    array([1, 0])
    """

    def __init__(
        self,
        function: Callable[[NDArray[np.float32]], NDArray[np.floating]],
        num_classes: int,
        fingerprint: str,
    ) -> None:
        if num_classes < 2:
            raise InvalidArgumentError(f"num_classes is {num_classes}: a classifier has at least 2 classes")
        if not fingerprint:
            raise InvalidArgumentError("fingerprint is empty: name what the function computes, such as a hash")
        self.function = function
        self._num_classes = num_classes
        self._fingerprint = fingerprint

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return self._num_classes

    @property
    def fingerprint(self) -> str:
        """The fingerprint given."""
        return self._fingerprint

    @property
    def description(self) -> dict[str, str]:
        """What is run: a Python function, by its qualified name."""
        name = getattr(self.function, "__qualname__", type(self.function).__qualname__)
        return {"runtime": "function", "device": "cpu", "dtype": "unknown", "preprocess": "none", "name": name}

    def logits(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Score a batch: float32 (b, *shape) to float32 (b, num_classes)."""
        scores = np.asarray(self.function(batch), dtype=np.float32)
        if scores.shape != (len(batch), self._num_classes):
            raise InvalidArgumentError(
                f"the function returned logits of shape {scores.shape} for a batch of {len(batch)}, but "
                f"num_classes is {self._num_classes}: it should be ({len(batch)}, {self._num_classes})"
            )
        return scores

    def classify(self, batch: NDArray[np.float32]) -> NDArray[np.int64]:
        """Label a batch: float32 (b, *shape) to int64 (b,), -1 where the logits are not all finite."""
        return votes_from_logits(self.logits(batch))
