"""Candidates that a user's own function makes."""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from smoothcert.approximate.module_copy import copy_module
from smoothcert.classifiers import Classifier, TorchClassifier, as_classifier
from smoothcert.errors import InvalidArgumentError

__all__ = ["apply_function"]


def apply_function(base: TorchClassifier, module_name: str, function_name: str) -> Classifier:
    """Let a user's function turn a copy of the base's module into a candidate: a module or a `Classifier`."""
    spec = f"{module_name}:{function_name}"
    with _current_directory_first():
        function = _import(spec, module_name, function_name)
        made = function(copy_module(base))
    if isinstance(made, torch.nn.Module):  # it takes what the base's takes, behind the base's preprocessing
        return TorchClassifier(made, base.num_classes, preprocess=base.preprocess, device=base.device)
    classifier = as_classifier(made)
    if classifier is None:
        raise InvalidArgumentError(
            f"{spec!r} returned a {type(made).__qualname__}: it should return a torch.nn.Module or a Classifier"
        )
    if classifier.num_classes != base.num_classes:
        raise InvalidArgumentError(
            f"{spec!r} returned a classifier with {classifier.num_classes} classes: the base has "
            f"{base.num_classes}"
        )
    return classifier


@contextlib.contextmanager
def _current_directory_first() -> Iterator[None]:
    """Find modules in the current directory, as ``python -m`` does and an installed script does not."""
    folder = str(Path.cwd())
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)


def _import(spec: str, module_name: str, function_name: str) -> Callable[[torch.nn.Module], Any]:
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # the user's module may raise anything
        raise InvalidArgumentError(
            f"{spec!r} cannot be imported from {Path.cwd()} or the installed packages: "
            f"{type(error).__name__}: {error}"
        ) from error
    function = getattr(module, function_name, None)
    if not callable(function):
        raise InvalidArgumentError(
            f"{spec!r} names no function: {module.__file__} has no callable {function_name!r}"
        )
    return function  # type: ignore[no-any-return]
