"""Checks of the arguments that the procedures share."""

from __future__ import annotations

import math
import os
from typing import Any

import numpy as np

from smoothcert.classifiers import Classifier, as_classifier, is_estimator
from smoothcert.errors import InvalidArgumentError

__all__ = ["require_batch_size", "require_classifier", "require_count", "require_probability", "require_radius"]


def require_probability(name: str, value: Any) -> float:
    """Return a failure probability in (0, 1)."""
    if not (isinstance(value, (float, int, np.floating)) and math.isfinite(value) and 0 < value < 1):
        raise InvalidArgumentError(
            f"{name} is {value!r}: it is a failure probability, 0 < {name} < 1, such as 0.001"
        )
    return float(value)


def require_count(name: str, value: Any, *, at_least: int = 1) -> int:
    """Return a number of samples."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < at_least:
        raise InvalidArgumentError(f"{name} is {value!r}: it must be an integer, at least {at_least}")
    return int(value)


def require_radius(name: str, value: Any) -> float:
    """Return an L2 radius of at least 0."""
    if (
        isinstance(value, bool)
        or not isinstance(value, (float, int, np.floating, np.integer))
        or not (math.isfinite(value) and value >= 0)
    ):
        raise InvalidArgumentError(
            f"{name} is {value!r}: it must be finite and at least 0, in the units of the input, such as 0.5"
        )
    return float(value)


def require_batch_size(value: Any) -> int | None:
    """Return a batch size, or None for one that follows from the inputs."""
    return None if value is None else require_count("batch_size", value)


def require_classifier(name: str, value: Any) -> Classifier:
    """Return the classifier, completed where it lacks what can be derived, or say how to make one."""
    classifier = as_classifier(value)
    if classifier is None:
        kind = value.__name__ if isinstance(value, type) else type(value).__name__
        what = f"the class {kind}" if isinstance(value, type) else f"a {kind}"
        raise InvalidArgumentError(f"{name} is {what}: {_how_to_make_one(value)}")
    return classifier


def _how_to_make_one(value: Any) -> str:
    if isinstance(value, type):
        return "give an object of it"
    if any(kind.__module__.startswith("torch.") for kind in type(value).__mro__):
        return "give TorchClassifier(module, num_classes=10)"
    if isinstance(value, (str, os.PathLike)):
        if str(value).endswith(".onnx"):
            return "give OnnxClassifier(path)"
        return "load it, by OnnxClassifier(path), or TorchClassifier(load_checkpoint(path).module, num_classes=10)"
    if is_estimator(value):
        return "give FunctionClassifier.from_estimator(estimator)"
    if callable(value):
        return 'give FunctionClassifier(function, num_classes=10, fingerprint="name")'
    missing = [each for each in ("num_classes", "fingerprint", "logits") if not hasattr(value, each)]
    return (
        f"it has no {' or '.join(missing) or 'usable num_classes, fingerprint or logits'}; give "
        "TorchClassifier(module, num_classes=10), OnnxClassifier(path), "
        "FunctionClassifier.from_estimator(estimator) or FunctionClassifier(function, num_classes=10, "
        'fingerprint="name")'
    )
