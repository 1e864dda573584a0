"""Candidates that a user's own function makes."""

from __future__ import annotations

import torch

from smoothcert.approximate.module_copy import copy_module, torch_base
from smoothcert.classifiers import Classifier, TorchClassifier
from smoothcert.errors import InvalidArgumentError
from smoothcert.models import call_function, classifier_of, import_function, takes_a_module

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
    classifier = classifier_of(spec, made, base.num_classes)
    if classifier.num_classes != base.num_classes:
        raise InvalidArgumentError(
            f"{spec!r} returned a classifier with {classifier.num_classes} classes: the base has "
            f"{base.num_classes}"
        )
    return classifier, how
