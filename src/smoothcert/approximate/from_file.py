"""Candidates from files: fine-tuned checkpoints and ONNX models."""

from __future__ import annotations

from pathlib import Path

import torch

from smoothcert.approximate.module_copy import copy_module
from smoothcert.classifiers import TorchClassifier
from smoothcert.errors import CheckpointError, InvalidArgumentError
from smoothcert.models import load_checkpoint, load_into, read_state

__all__ = ["load_candidate"]


def load_candidate(base: TorchClassifier, path: str) -> tuple[TorchClassifier, str]:
    """Load a checkpoint of the base's architecture; return the classifier and the architecture's name."""
    if base.preprocess is not None:
        raise InvalidArgumentError(
            f"base has preprocess={base.preprocess!r}, but {path} brings its own normalization: put the base's "
            "into its module as well"
        )
    try:
        loaded = load_checkpoint(path)
    except CheckpointError:
        if (module := _filled(base, Path(path))) is None:
            raise
        return TorchClassifier(module, base.num_classes, device=base.device), "plain"
    if _outline(loaded.module) != _outline(base.module):
        raise CheckpointError(
            f"{path} is a {loaded.arch} ({_in_words(loaded.module)}), but base is a {_in_words(base.module)}: "
            "give a checkpoint of the base's architecture"
        )
    return TorchClassifier(loaded.module, base.num_classes, device=base.device), loaded.arch


def _filled(base: TorchClassifier, path: Path) -> torch.nn.Module | None:
    """Fill a copy of the base with a plain state dict, where that has just its tensors."""
    try:
        state = read_state(path)
    except CheckpointError:
        return None
    if {name: tensor.shape for name, tensor in state.items()} != _outline(base.module):
        return None
    module = copy_module(base)
    load_into(module, state, "the base", path)
    return module


def _outline(module: torch.nn.Module) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in module.state_dict().items()}


def _in_words(module: torch.nn.Module) -> str:
    layers = list(module) if isinstance(module, torch.nn.Sequential) else [module]
    names = " + ".join(type(layer).__name__ for layer in layers)
    return f"{names} with {sum(p.numel() for p in module.parameters()):,} parameters"
