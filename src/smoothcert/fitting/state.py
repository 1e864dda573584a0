"""What a killed optimization needs to continue: weights, moments, history, and what it was started with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from smoothcert._files import read_regular, remove_leftovers, write_atomic
from smoothcert._folders import exists
from smoothcert.errors import CheckpointError, InvalidArgumentError, reading
from smoothcert.fitting.optimization import Optimization, Record
from smoothcert.models import format_safetensors, read_safetensors

__all__ = ["restore_state", "save_state"]

_WEIGHT = "model"
_MOST_BYTES = 1 << 33


def save_state(path: Path, optimization: Optimization[Record], history: Sequence[Record]) -> None:
    """Write the state after an epoch, in one file, atomically; CheckpointError when that fails."""
    module, optimizer = optimization.module, optimization.optimizer
    tensors = {f"{_WEIGHT}.{name}": tensor for name, tensor in module.state_dict().items()}
    for name, parameter in module.named_parameters():
        kept = optimizer.state[parameter]
        tensors |= {f"{saved}.{name}": kept[moment] for saved, moment in optimization.moments.items()}
    setup, done = json.dumps(optimization.setup), json.dumps([asdict(record) for record in history])
    metadata = {"setup": setup, "history": done}
    metadata["digest"] = _digest(tensors, metadata)
    write_atomic(path.parent, path.name, format_safetensors(tensors, metadata), CheckpointError)


def restore_state(path: Path, optimization: Optimization[Record]) -> list[Record]:
    """Load a state into module and optimizer; return the epochs done, none where there is no file."""
    if path.parent.is_dir():
        remove_leftovers(path.parent)
    if not exists(path):
        return []
    data = read_regular(path.parent, path.name, at_most=_MOST_BYTES, error=CheckpointError)
    with reading(path, CheckpointError, "delete it to start again"):
        tensors, metadata = read_safetensors(data, path)
        # Older files have no digest.
        digest = metadata.pop("digest", None)
        if digest is not None and digest != _digest(tensors, metadata):
            raise CheckpointError(f"{path} was changed: its digest does not match; delete it to start again")
        _check_same(json.loads(metadata["setup"]), json.loads(json.dumps(optimization.setup)), path.parent)
        history = [optimization.record(**fields) for fields in json.loads(metadata["history"])]
        module = optimization.module
        weights = {name: tensors[f"{_WEIGHT}.{name}"] for name in module.state_dict()}
        module.load_state_dict(weights, strict=True)
        for name, parameter in module.named_parameters():
            for saved, moment in optimization.moments.items():
                tensor = tensors[f"{saved}.{name}"]
                like = torch.empty_like(parameter if tensor.ndim else tensor, requires_grad=False)
                optimization.optimizer.state[parameter][moment] = like.copy_(tensor)
    return history


def _digest(tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str]) -> str:
    """Hash everything that a file holds."""
    found = hashlib.sha256(json.dumps(metadata, sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} ".encode())
        found.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


def _check_same(before: dict[str, Any], setup: dict[str, Any], folder: Path) -> None:
    changed = [name for name in setup if before.get(name) != setup[name]]
    if changed:
        differences = ", ".join(f"{name} {before.get(name)} there, {setup[name]} now" for name in changed)
        raise InvalidArgumentError(
            f"out={folder} holds what was started otherwise ({differences}): continue it as it was, or give "
            "another folder"
        )
