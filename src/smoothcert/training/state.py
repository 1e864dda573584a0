"""What determines a training, and its history."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import Any

from smoothcert.data import Dataset
from smoothcert.models import Normalization
from smoothcert.training.recipe import TrainingRecipe

__all__ = ["STATE_FILE", "EpochRecord", "moments_of", "setup_of"]

STATE_FILE = "training-state.safetensors"


@dataclass(frozen=True)
class EpochRecord:
    """One epoch of training.

    Attributes
    ----------
    epoch : int
        Counted from 1.
    loss : float
        Mean cross entropy over the epoch, in nats.
    accuracy : float
        Share of noisy training inputs that were labelled right as they came by.
    learning_rate : float
        At the end of the epoch.
    seconds : float
        Time that it took.
    samples_per_second : float
        Training inputs per second.
    """

    epoch: int
    loss: float
    accuracy: float
    learning_rate: float
    seconds: float
    samples_per_second: float


def setup_of(
    recipe: TrainingRecipe, dataset: Dataset, sigma: float, seed: int, normalization: Normalization
) -> dict[str, Any]:
    """Collect what determines a training's result, by name; a state is continued only under an equal setup."""
    data = hashlib.sha256(repr((dataset.name, dataset.inputs.shape, dataset.classes)).encode())
    data.update(dataset.labels.tobytes() + dataset.indices.tobytes())
    constants = {"mean": list(normalization.mean), "std": list(normalization.std)}
    return {**asdict(recipe), "sigma": sigma, "seed": seed, **constants, "data": data.hexdigest()}


def moments_of(recipe: TrainingRecipe) -> dict[str, str]:
    """Return what SGD keeps for each parameter: nothing without momentum."""
    return {"momentum": "momentum_buffer"} if recipe.momentum else {}
