"""Fitted scikit-learn classifiers as functions from a batch to scores."""

from __future__ import annotations

import math
import pickle
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smoothcert.errors import InvalidArgumentError, import_extra

__all__ = ["EstimatorScores", "estimator_fingerprint", "is_estimator"]

_ENCODE = "fit it to y = sklearn.preprocessing.LabelEncoder().fit_transform(labels)"


def is_estimator(value: Any) -> bool:
    """Tell whether something looks like a scikit-learn classifier and cannot be called."""
    scores = hasattr(value, "predict_proba") or hasattr(value, "decision_function")
    return hasattr(value, "fit") and hasattr(value, "predict") and (scores or not callable(value))


def estimator_fingerprint(estimator: Any) -> str:
    """Hash an estimator's parameters and what it learned, with the version that computes it."""
    joblib = import_extra("joblib", "digits")
    estimator = getattr(estimator, "best_estimator_", estimator)  # of a search what it found, not how long it took
    try:
        # Of a copy by way of bytes: joblib's hash also sees how objects share parts, which fitting and loading
        # leave in different ways.
        hashed: str = joblib.hash(pickle.loads(pickle.dumps(estimator)), hash_name="sha1")  # noqa: S301 - our own
    except Exception as error:  # an estimator may hold anything
        raise InvalidArgumentError(
            f"estimator holds what cannot be hashed ({type(error).__name__}: {error}): give its fingerprint"
        ) from error
    return f"scikit-learn {import_extra('sklearn', 'digits').__version__} {hashed}"


class EstimatorScores:
    """The scores of a fitted classifier for inputs of any shape, flattened in C order; one column per class."""

    def __init__(self, estimator: Any, num_classes: int | None) -> None:
        _require_fitted_classifier(estimator)
        self._classes = _classes_of(estimator, num_classes)
        self.num_classes = num_classes or len(self._classes)
        self._scores = _scores_of(estimator)
        self._features = getattr(estimator, "n_features_in_", None)
        self.__qualname__ = f"{type(estimator).__module__}.{type(estimator).__qualname__}"

    def __call__(self, batch: NDArray[np.float32]) -> NDArray[np.float64]:
        """Score a batch: float32 (b, *shape) to float64 (b, num_classes)."""
        size = math.prod(batch.shape[1:])
        if self._features not in (None, size):
            raise InvalidArgumentError(
                f"inputs of shape {batch.shape[1:]} have {size} values, but the estimator was fitted to "
                f"{self._features}: give inputs of the shape that it was fitted to"
            )
        if len(batch) == 0:  # which scikit-learn refuses
            return np.empty((0, self.num_classes))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="X does not have valid feature names", category=UserWarning)
            scores = np.asarray(self._scores(batch.reshape(len(batch), size)), np.float64)
        if scores.ndim == 1:
            scores = np.stack([-scores, scores], axis=1)
        if scores.shape[1] != len(self._classes):
            raise InvalidArgumentError(
                f"the estimator returned {scores.shape[1]} scores for {len(self._classes)} classes: it should "
                "return one for each"
            )
        if len(self._classes) == self.num_classes:
            return scores
        # Scores of classes that were not fitted have to be finite, or every vote would be invalid, and below all
        # others of the sample. Not far below: how much scores may move is judged by their spread.
        lowest = scores.min(axis=1, keepdims=True)
        whole = np.repeat(lowest - 1 - np.abs(lowest), self.num_classes, axis=1)
        whole[:, self._classes] = scores
        return whole


def _require_fitted_classifier(estimator: Any) -> None:
    name = type(estimator).__name__
    if isinstance(estimator, type):
        raise InvalidArgumentError(f"estimator is the class {estimator.__name__}: make one and fit it")
    if not is_estimator(estimator):
        raise InvalidArgumentError(f"estimator is a {name}: give a fitted scikit-learn classifier")
    if not _is_classifier(estimator):
        raise InvalidArgumentError(
            f"estimator is a {name}, which is no classifier: give one that predicts classes"
        )
    validation = import_extra("sklearn.utils.validation", "digits")
    try:
        validation.check_is_fitted(estimator)
    except import_extra("sklearn.exceptions", "digits").NotFittedError as error:
        raise InvalidArgumentError(
            f"estimator is a {name} that is not fitted: call its fit(X, y) first"
        ) from error


def _is_classifier(estimator: Any) -> bool:
    try:
        return bool(import_extra("sklearn.base", "digits").is_classifier(estimator))
    except AttributeError:  # scikit-learn's interface without its base class
        return hasattr(estimator, "classes_")


def _classes_of(estimator: Any, num_classes: int | None) -> NDArray[np.int64]:
    """Return the classes that scores are of, in their order."""
    found = getattr(estimator, "classes_", None)
    if found is None or isinstance(found, list) or np.ndim(found) != 1 or getattr(estimator, "multilabel_", False):
        raise InvalidArgumentError(
            f"estimator is a {type(estimator).__name__} of several outputs: give a classifier of one label"
        )
    classes = np.asarray(found)
    if not np.issubdtype(classes.dtype, np.integer):
        raise InvalidArgumentError(
            f"estimator has classes {_few(classes)} of type {classes.dtype}, but classes are 0 .. num_classes - "
            f"1: {_ENCODE}"
        )
    if num_classes is None and not np.array_equal(classes, np.arange(len(classes))):
        raise InvalidArgumentError(
            f"estimator has classes {_few(classes)}, but classes are 0 .. num_classes - 1: {_ENCODE}, or, if "
            "others were only missing in the data, give num_classes"
        )
    if num_classes is not None and not ((classes >= 0) & (classes < num_classes)).all():
        raise InvalidArgumentError(
            f"estimator has classes {_few(classes)}, but num_classes is {num_classes}: give at least "
            f"{int(classes.max()) + 1}, or {_ENCODE}"
        )
    if len(classes) < 2:
        raise InvalidArgumentError(f"estimator has the one class {_few(classes)}: fit it to at least 2")
    return classes.astype(np.int64)


def _scores_of(estimator: Any) -> Callable[[Any], Any]:
    if hasattr(estimator, "predict_proba"):
        return estimator.predict_proba  # type: ignore[no-any-return]
    if not hasattr(estimator, "decision_function"):
        raise InvalidArgumentError(
            f"estimator is a {type(estimator).__name__} with neither predict_proba nor decision_function: give a "
            "function of its own, as in FunctionClassifier(lambda x: "
            "np.eye(k)[estimator.predict(x.reshape(len(x), -1))], k, fingerprint=...)"
        )
    if getattr(_last_step(estimator), "decision_function_shape", "ovr") != "ovr":
        raise InvalidArgumentError(
            "estimator has decision_function_shape='ovo', whose scores are of pairs of classes: set it to 'ovr'"
        )
    return estimator.decision_function  # type: ignore[no-any-return]


def _last_step(estimator: Any) -> Any:
    """Return what decides in a pipeline or a search."""
    while True:
        if hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        elif hasattr(estimator, "steps"):
            estimator = estimator.steps[-1][1]
        else:
            return estimator


def _few(classes: NDArray[Any]) -> str:
    shown = ", ".join(repr(each) for each in classes[:4].tolist())
    return f"[{shown}{', ...' if len(classes) > 4 else ''}]"
