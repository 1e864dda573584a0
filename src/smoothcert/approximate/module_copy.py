"""A copy of the base's module, for a candidate to change."""

from __future__ import annotations

import copy
import warnings

import torch

from smoothcert.classifiers import Classifier, TorchClassifier
from smoothcert.errors import InvalidArgumentError

__all__ = ["copy_module", "torch_base"]


def copy_module(base: TorchClassifier) -> torch.nn.Module:
    """Copy the module of a classifier with its parameters and buffers, for a candidate to change."""
    try:
        with warnings.catch_warnings():  # torch copies a graph by what it deprecates itself
            warnings.simplefilter("ignore", FutureWarning)
            module: torch.nn.Module = copy.deepcopy(base.module)
    except Exception as error:  # a module may hold anything
        raise InvalidArgumentError(
            "base has a module that cannot be copied; make weights that are computed (masks, weight norm) plain "
            f"parameters first: {str(error)[:200]}"
        ) from error
    return module


def torch_base(spec: str, base: Classifier) -> TorchClassifier:
    """Return a base that has a torch module."""
    if not isinstance(base, TorchClassifier):
        raise InvalidArgumentError(
            f"candidate {spec!r} is made from a torch module, but base is a {type(base).__qualname__}: give a "
            "TorchClassifier, or the candidate as an .onnx file"
        )
    return base
