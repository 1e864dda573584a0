"""Candidates that a user's own function makes."""

from __future__ import annotations

import torch

from smoothcert.approximate.module_copy import copy_module
from smoothcert.classifiers import Classifier, FunctionClassifier, TorchClassifier
from smoothcert.errors import InvalidArgumentError
from smoothcert.models import call_function, import_function, takes_a_module

__all__ = ["apply_function"]


def apply_function(base: TorchClassifier, spec: str) -> Classifier:
    """Let a user's function make a candidate: of a copy of the base's module, if it takes an argument."""
    function = import_function(spec)
    changes = takes_a_module(function)
    made = call_function(spec, function, *([copy_module(base)] if changes else []))
    if isinstance(made, torch.nn.Module):
        # What was made of the base's module takes what that takes, behind the base's preprocessing.
        preprocess = base.preprocess if changes else None
        return TorchClassifier(made, base.num_classes, preprocess=preprocess, device=base.device)
    if hasattr(made, "predict_proba") or hasattr(made, "decision_function"):
        made = FunctionClassifier.from_estimator(made, num_classes=base.num_classes)
    if not isinstance(made, Classifier):
        raise InvalidArgumentError(
            f"{spec!r} returned a {type(made).__qualname__}: it should return a torch.nn.Module, a Classifier or "
            "a scikit-learn estimator"
        )
    if made.num_classes != base.num_classes:
        raise InvalidArgumentError(
            f"{spec!r} returned a classifier with {made.num_classes} classes: the base has {base.num_classes}"
        )
    return made
