"""Objects that have what a classifier needs, and not all that it may have."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from smoothcert.classifiers.base import Classifier, votes_from_logits

__all__ = ["as_classifier"]


def as_classifier(value: Any) -> Classifier | None:
    """Return an object as a classifier, completed where it lacks ``classify`` or ``description``.

    Parameters
    ----------
    value : object
        Any object; ``num_classes``, ``fingerprint`` and ``logits`` are what it takes.

    Returns
    -------
    Classifier or None
        The object itself where it has everything, None where it lacks more.

    Examples
    --------
    >>> import numpy as np
    >>> class Linear:
    ...     num_classes, fingerprint = 2, "x0 > x1"
    ...     def logits(self, batch):
    ...         return batch[:, ::-1]
    >>> as_classifier(Linear()).classify(np.array([[0.9, 0.1]], np.float32))
    array([1])
    """
    if isinstance(value, type):
        return None
    if isinstance(value, Classifier):
        return value
    num_classes, fingerprint = getattr(value, "num_classes", None), getattr(value, "fingerprint", None)
    scores = callable(getattr(value, "logits", None))
    if scores and isinstance(num_classes, (int, np.integer)) and isinstance(fingerprint, str):
        return _Adapted(value)
    return None


class _Adapted:
    """An object as a classifier."""

    def __init__(self, value: Any) -> None:
        self._value = value

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return int(self._value.num_classes)

    @property
    def fingerprint(self) -> str:
        """The object's own."""
        return str(self._value.fingerprint)

    @property
    def description(self) -> dict[str, str]:
        """The object's own, or its type's name."""
        kind = type(self._value)
        unknown = {"runtime": "function", "device": "cpu", "dtype": "unknown", "preprocess": "none"}
        return getattr(self._value, "description", None) or unknown | {
            "name": f"{kind.__module__}.{kind.__qualname__}"
        }

    def logits(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Score a batch: float32 (b, *shape) to float32 (b, num_classes)."""
        return np.asarray(self._value.logits(batch), np.float32)

    def classify(self, batch: NDArray[np.float32]) -> NDArray[np.int64]:
        """Label a batch, as the object does or by its logits."""
        classify = getattr(self._value, "classify", None)
        return votes_from_logits(self.logits(batch)) if classify is None else np.asarray(classify(batch), np.int64)
