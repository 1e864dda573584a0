"""Architectures and checkpoints; torch is imported when one of them is used."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from smoothcert.models.checkpoint import LoadedModel, load_checkpoint, save_checkpoint
    from smoothcert.models.normalize import CIFAR10, DIGITS, IMAGENET, Normalization, Normalize
    from smoothcert.models.registry import ARCHITECTURES, Architecture, architecture, build_model

_MODULE_OF = {
    "ARCHITECTURES": "registry",
    "Architecture": "registry",
    "CIFAR10": "normalize",
    "DIGITS": "normalize",
    "IMAGENET": "normalize",
    "LoadedModel": "checkpoint",
    "Normalization": "normalize",
    "Normalize": "normalize",
    "architecture": "registry",
    "build_model": "registry",
    "load_checkpoint": "checkpoint",
    "save_checkpoint": "checkpoint",
}

__all__ = [
    "ARCHITECTURES",
    "CIFAR10",
    "DIGITS",
    "IMAGENET",
    "Architecture",
    "LoadedModel",
    "Normalization",
    "Normalize",
    "architecture",
    "build_model",
    "load_checkpoint",
    "save_checkpoint",
]


def __getattr__(name: str) -> Any:
    if name in _MODULE_OF:
        return getattr(importlib.import_module(f"smoothcert.models.{_MODULE_OF[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
