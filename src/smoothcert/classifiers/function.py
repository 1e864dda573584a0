"""Any function as a classifier."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smoothcert.classifiers.base import votes_from_logits
from smoothcert.classifiers.estimator import EstimatorScores, estimator_fingerprint, is_estimator
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
        When `function` cannot be called, `num_classes` is less than 2 or `fingerprint` is empty.

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
        if is_estimator(function):
            raise InvalidArgumentError(
                f"function is a {type(function).__name__}: use FunctionClassifier.from_estimator(estimator)"
            )
        if not callable(function):
            raise InvalidArgumentError(
                f"function is a {type(function).__name__}, which cannot be called: give a function from float32 "
                "(b, *shape) to logits (b, num_classes)"
            )
        if num_classes < 2:
            raise InvalidArgumentError(f"num_classes is {num_classes}: a classifier has at least 2 classes")
        if not fingerprint:
            raise InvalidArgumentError("fingerprint is empty: name what the function computes, such as a hash")
        self.function = function
        self._num_classes = num_classes
        self._fingerprint = fingerprint

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, num_classes: int | None = None, fingerprint: str | None = None
    ) -> FunctionClassifier:
        """Take any fitted scikit-learn classifier, or one with the same interface.

        Its scores are those of ``predict_proba``, or of ``decision_function`` where there is none. Inputs are
        flattened in C order.

        Parameters
        ----------
        estimator : object
            A fitted classifier whose classes are the integers 0 .. num_classes - 1.
        num_classes : int, optional
            Number of classes, by default as many as the estimator was fitted to. With more, those that were not
            fitted never get a vote.
        fingerprint : str, optional
            By default a hash of the estimator and of scikit-learn's version, the same in every process.

        Returns
        -------
        FunctionClassifier

        Raises
        ------
        InvalidArgumentError
            When `estimator` is no classifier, is not fitted, or has other classes.

        Notes
        -----
        What is certified is the class with the largest score. It is the one that ``predict`` returns, except for
        ``SVC``, which predicts by votes of pairs of classes unless it has ``break_ties=True``.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn.linear_model import LogisticRegression
        >>> x, y = np.random.default_rng(0).random((20, 4)), np.arange(20) % 2
        >>> classifier = FunctionClassifier.from_estimator(LogisticRegression().fit(x, y))
        >>> classifier.logits(x.reshape(20, 2, 2).astype(np.float32)).shape
        (20, 2)
        """
        if num_classes is not None and num_classes < 2:
            raise InvalidArgumentError(f"num_classes is {num_classes}: a classifier has at least 2 classes")
        scores = EstimatorScores(estimator, num_classes)
        named = fingerprint if fingerprint is not None else estimator_fingerprint(estimator)
        return cls(scores, scores.num_classes, named)

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
