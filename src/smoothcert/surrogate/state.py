"""What a killed fit needs to continue: weights, Adam's moments, history, and what it was started with."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as format_safetensors
from torch import nn

from smoothcert.errors import CheckpointError, InvalidArgumentError
from smoothcert.models.checkpoint import read_safetensors, write_atomically

__all__ = ["STATE_FILE", "FitRecord", "restore_fit", "save_fit"]

STATE_FILE = "fit-state.safetensors"

_WEIGHT = "model."
_MOMENTS = ("exp_avg", "exp_avg_sq", "step")


@dataclass(frozen=True)
class FitRecord:
    """One epoch of a fit.

    Attributes
    ----------
    epoch : int
        Counted from 1.
    loss : float
        Mean loss over the epoch, in nats.
    held_out_loss : float
        Mean loss on the inputs that no gradient sees, after the epoch.
    learning_rate : float
        At the end of the epoch.
    seconds : float
        Time that it took.
    """

    epoch: int
    loss: float
    held_out_loss: float
    learning_rate: float
    seconds: float


def save_fit(
    folder: Path,
    setup: dict[str, Any],
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    history: list[FitRecord],
) -> None:
    """Write the state after an epoch, in one file, atomically."""
    tensors = {_WEIGHT + name: tensor for name, tensor in module.state_dict().items()}
    for name, parameter in module.named_parameters():
        tensors |= {f"{moment}.{name}": optimizer.state[parameter][moment] for moment in _MOMENTS}
    plain = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }
    metadata = {"setup": json.dumps(setup), "history": json.dumps([asdict(record) for record in history])}
    write_atomically(folder / STATE_FILE, format_safetensors(plain, metadata))


def restore_fit(
    folder: Path, setup: dict[str, Any], module: nn.Module, optimizer: torch.optim.Optimizer
) -> list[FitRecord]:
    """Load the state in `folder` into module and optimizer; return the epochs done, none where there is none."""
    path = folder / STATE_FILE
    if not path.is_file():
        return []
    tensors, metadata = read_safetensors(path.read_bytes(), path)
    try:
        before = json.loads(metadata["setup"])
        history = [FitRecord(**record) for record in json.loads(metadata["history"])]
        _check_same(before, setup, folder)
        weights = {name.removeprefix(_WEIGHT): t for name, t in tensors.items() if name.startswith(_WEIGHT)}
        module.load_state_dict(weights, strict=True)
        for name, parameter in module.named_parameters():
            for moment in _MOMENTS:
                saved = tensors[f"{moment}.{name}"]
                like = torch.empty_like(parameter if saved.ndim else saved, requires_grad=False)
                optimizer.state[parameter][moment] = like.copy_(saved)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        if isinstance(error, InvalidArgumentError):
            raise
        raise CheckpointError(f"{path} is damaged: {error}; delete it to start again") from error
    return history


def _check_same(before: dict[str, Any], setup: dict[str, Any], folder: Path) -> None:
    now = json.loads(json.dumps(setup))
    changed = [name for name in now if before.get(name) != now[name]]
    if changed:
        differences = ", ".join(f"{name} {before.get(name)} there, {now[name]} now" for name in changed)
        raise InvalidArgumentError(
            f"out={folder} holds another fit ({differences}): continue it as it was, or give another folder"
        )
