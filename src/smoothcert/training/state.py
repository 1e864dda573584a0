"""What a killed training needs to continue: weights, momentum, history, and what it was started with."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as format_safetensors
from torch import nn

from smoothcert.data import Dataset
from smoothcert.errors import CheckpointError, InvalidArgumentError
from smoothcert.models.checkpoint import read_safetensors, write_atomically
from smoothcert.models.normalize import Normalization
from smoothcert.training.recipe import TrainingRecipe

__all__ = ["STATE_FILE", "EpochRecord", "restore_state", "save_state", "setup_of"]

STATE_FILE = "training-state.safetensors"

_WEIGHT = "model."
_MOMENTUM = "momentum."


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


def save_state(
    folder: Path,
    setup: dict[str, Any],
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    history: list[EpochRecord],
) -> None:
    """Write the state after an epoch, in one file, atomically."""
    tensors = {_WEIGHT + name: tensor for name, tensor in module.state_dict().items()}
    for name, parameter in module.named_parameters():
        if setup["momentum"]:
            tensors[_MOMENTUM + name] = optimizer.state[parameter]["momentum_buffer"]
    plain = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }
    metadata = {"setup": json.dumps(setup), "history": json.dumps([asdict(record) for record in history])}
    write_atomically(folder / STATE_FILE, format_safetensors(plain, metadata))


def restore_state(
    folder: Path, setup: dict[str, Any], module: nn.Module, optimizer: torch.optim.Optimizer
) -> list[EpochRecord]:
    """Load the state in `folder` into module and optimizer; return the epochs done, none where there is none."""
    path = folder / STATE_FILE
    if not path.is_file():
        return []
    tensors, metadata = read_safetensors(path.read_bytes(), path)
    try:
        before = json.loads(metadata["setup"])
        history = [EpochRecord(**record) for record in json.loads(metadata["history"])]
        _check_same(before, setup, folder)
        weights = {name.removeprefix(_WEIGHT): t for name, t in tensors.items() if name.startswith(_WEIGHT)}
        module.load_state_dict(weights, strict=True)
        for name, parameter in module.named_parameters():
            if setup["momentum"]:
                momentum = torch.empty_like(parameter, requires_grad=False)
                optimizer.state[parameter]["momentum_buffer"] = momentum.copy_(tensors[_MOMENTUM + name])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        if isinstance(error, InvalidArgumentError):
            raise
        raise CheckpointError(f"{path} is damaged: {error}; delete it to start again") from error
    return history


def _check_same(before: dict[str, Any], setup: dict[str, Any], folder: Path) -> None:
    changed = [name for name in setup if before.get(name) != setup[name]]
    if changed:
        differences = ", ".join(f"{name} {before.get(name)} there, {setup[name]} now" for name in changed)
        raise InvalidArgumentError(
            f"out={folder} holds another training ({differences}): continue it as it was, or give another folder"
        )
