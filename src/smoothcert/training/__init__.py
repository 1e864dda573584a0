"""Training with Gaussian augmentation; torch is imported when it is used."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from smoothcert.training.recipe import TrainingRecipe, default_recipe

if TYPE_CHECKING:
    from smoothcert.training.accuracy import noisy_accuracy
    from smoothcert.training.gaussian import TrainingResult, train
    from smoothcert.training.objective import EpochRecord

_MODULE_OF = {
    "EpochRecord": "objective",
    "TrainingResult": "gaussian",
    "noisy_accuracy": "accuracy",
    "train": "gaussian",
}

__all__ = [
    "EpochRecord",
    "TrainingRecipe",
    "TrainingResult",
    "default_recipe",
    "noisy_accuracy",
    "train",
]


def __getattr__(name: str) -> Any:
    if name in _MODULE_OF:
        return getattr(importlib.import_module(f"smoothcert.training.{_MODULE_OF[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
