"""Candidates that a user's own function makes."""

from __future__ import annotations

import torch

from smoothcert.approximate.module_copy import copy_module, torch_base
from smoothcert.classifiers import Classifier, FunctionClassifier, TorchClassifier, as_classifier, is_estimator
from smoothcert.errors import InvalidArgumentError
from smoothcert.models import call_function, import_function, takes_a_module

__all__ = ["apply_function"]


def apply_function(base: Classifier, spec: str) -> tuple[Classifier, str]:
    """Let a user's function make a candidate, of a copy of the base's module if it takes one; say so in words."""
    function = import_function(spec)
    if takes_a_module(function):
        source = torch_base(spec, base)
        made = call_function(spec, function, copy_module(source))
        if isinstance(made, torch.nn.Module):  # it takes what the base's takes, behind the base's preprocessing
            made = TorchClassifier(made, base.num_classes, preprocess=source.preprocess, device=source.device)
        how = f"what {spec} makes of a copy of the base's module"
    else:
        made = call_function(spec, function)
        if isinstance(made, torch.nn.Module):
            made = TorchClassifier(made, base.num_classes)
        how = f"what {spec} returns"
    return _checked(spec, made, base), how


def _checked(spec: str, made: object, base: Classifier) -> Classifier:
    if is_estimator(made):
        made = FunctionClassifier.from_estimator(made, num_classes=base.num_classes)
    classifier = as_classifier(made)
    if classifier is None:
        raise InvalidArgumentError(
            f"{spec!r} returned a {type(made).__qualname__}: it should return a torch.nn.Module, a Classifier or "
            "a scikit-learn estimator"
        )
    if classifier.num_classes != base.num_classes:
        raise InvalidArgumentError(
            f"{spec!r} returned a classifier with {classifier.num_classes} classes: the base has "
            f"{base.num_classes}"
        )
    return classifier
