"""Labels that come with inputs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from smoothcert.classifiers import Classifier
from smoothcert.errors import InvalidArgumentError
from smoothcert.sampling.values import plain_array

__all__ = ["label_array", "label_of_one", "require_labels"]

_UNLABELLED = -1  # what unlabelled parts of public data sets have throughout


def label_of_one(value: Any, name: str) -> int | None:
    """Return the label of one input, an integer or an array of one; None where there is none."""
    if value is None:
        return None
    array = plain_array(value, name)
    if array.size != 1 or array.dtype.kind not in "iub":
        raise InvalidArgumentError(f"{name} has the label {_short(value)}: {_remedy(array)}")
    return int(array.item())


def label_array(values: Any, m: int) -> NDArray[np.int64] | None:
    """Return the labels of m inputs, int64 (m,); None where there are none, or every one is -1."""
    if values is None:
        return None
    array = plain_array(values, "y")
    if array.shape == (m, 1):
        array = array[:, 0]
    if array.shape != (m,):
        raise InvalidArgumentError(f"labels of x have shape {array.shape} for {m} inputs: {_remedy(array)}")
    if array.dtype.kind not in "iub":
        raise InvalidArgumentError(f"labels of x have dtype {array.dtype}: {_remedy(array)}")
    labels = array.astype(np.int64)
    if (labels == _UNLABELLED).all():
        return None
    if labels.min() < 0:
        i = int(labels.argmin())
        raise InvalidArgumentError(f"x[{i}] has the label {labels[i]}: labels are classes 0, 1, …")
    return labels


def require_labels(labels: NDArray[np.int64] | None, classifier: Classifier) -> None:
    """Refuse labels that are none of the classifier's classes.

    Parameters
    ----------
    labels : ndarray of int64, shape (m,), or None
        Labels that came with the inputs.
    classifier : Classifier
        What will be certified.

    Raises
    ------
    InvalidArgumentError
        Names an input, its label and the number of classes.

    Examples
    --------
    >>> from smoothcert import FunctionClassifier
    >>> f = FunctionClassifier(lambda batch: batch, num_classes=2, fingerprint="identity")
    >>> require_labels(np.array([0, 2]), f)
    Traceback (most recent call last):
        ...
    smoothcert.errors.InvalidArgumentError: x[1] has the label 2, but classifier has num_classes = 2, labels
    0 .. 1: give the classifier of these data
    """
    if labels is None or labels.max() < classifier.num_classes:
        return
    i, k = int(labels.argmax()), classifier.num_classes
    remedy = "give the classifier of these data"
    if labels[i] == k and labels.min() == 1:
        remedy = "if they begin at 1, subtract 1"
    raise InvalidArgumentError(
        f"x[{i}] has the label {labels[i]}, but classifier has num_classes = {k}, labels 0 .. {k - 1}: {remedy}"
    )


def _remedy(array: NDArray[Any]) -> str:
    if array.dtype.kind == "f" and array.ndim <= 1:
        return "labels are integers, so give y.astype(int), or x without y where they are no classes"
    if array.ndim == 2:
        return "give one integer each; of one-hot rows y.argmax(1)"
    return "labels are one integer each, the class; give x without y where there are none"


def _short(value: Any) -> str:
    text = f"{value!r}"
    return text if len(text) <= 40 else f"{text[:40]}…"
