"""From the tensors of a checkpoint to a model that they fit exactly."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from smoothcert.errors import CheckpointError, InvalidArgumentError, reading
from smoothcert.models.normalize import Normalization, Normalize
from smoothcert.models.registry import Shape, build_model

_NAMED = 3
# Checkpoints from before PyTorch 0.4.1 lack these counters, which evaluation does not use.
_COUNTER = "num_batches_tracked"


def network_state(state: Mapping[Any, Any], path: Path) -> tuple[dict[str, torch.Tensor], bool]:
    """Name the tensors as ``build_model`` does, and say whether a normalization stood in front of the network."""
    wrong = [key for key, value in state.items() if not isinstance(key, str) or not _is_plain(value)]
    if wrong:
        name = wrong[0][:80] if isinstance(wrong[0], str) else type(wrong[0])
        raise CheckpointError(f"{path} has {name!r} in its state dict, which is no plain tensor with a name")
    plain = _without_prefix("module.", dict(state))
    front = [name for name in plain if name.startswith("0.")]
    if front:
        raise CheckpointError(
            f"{path} has state in front of the network ({_list(front)}), so it was trained with another "
            "normalization than the parameter-free (x - mean) / std: it cannot be loaded faithfully"
        )
    has_normalization = all(name.startswith("1.") for name in plain)
    network = _without_prefix("module.", _without_prefix("1.", plain))
    return {f"1.{name}": tensor for name, tensor in network.items()}, has_normalization


def _is_plain(value: object) -> bool:
    """Whether this is a tensor on the CPU with each of its values in memory, not a few of them seen many times."""
    if not isinstance(value, torch.Tensor) or value.layout != torch.strided or value.device.type != "cpu":
        return False
    if value.is_nested or value.is_quantized or value.is_complex():
        return False
    return value.numel() * value.element_size() <= value.untyped_storage().nbytes()


def _without_prefix(prefix: str, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    if not all(name.startswith(prefix) for name in state):
        return state
    return {name.removeprefix(prefix): tensor for name, tensor in state.items()}


def fill(
    state: Mapping[str, torch.Tensor],
    arch: str,
    num_classes: int,
    input_shape: Shape,
    normalization: Normalization,
    path: Path,
) -> nn.Sequential:
    """Build a model around these tensors, in float32 and evaluation mode."""
    try:
        # On the meta device nothing is allocated, whatever sizes a file names, and no random state is used.
        with torch.device("meta"):
            model = build_model(arch, num_classes, input_shape, normalization)
    except (InvalidArgumentError, RuntimeError, OverflowError) as error:
        raise CheckpointError(f"{path} does not describe a model: {error}") from error
    _check_fit(state, model.state_dict(), arch, path)
    with reading(path, CheckpointError, "save its weights as plain tensors"):
        # In one kind of number each, whatever the file has: batch norm's counters are the only integers.
        kinds = {True: torch.float32, False: torch.int64}
        tensors = {
            name: tensor.detach().to(kinds[tensor.is_floating_point()], copy=True).contiguous()
            for name, tensor in state.items()
        }
        broken = [name for name, tensor in tensors.items() if not torch.isfinite(tensor).all()]
    if broken:
        raise CheckpointError(f"{path} has NaN or infinite weights in {_list(broken)}: its training diverged")
    model.load_state_dict(tensors, strict=True, assign=True)
    model[0] = Normalize(normalization)
    return model.eval()


def _check_fit(
    state: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor], arch: str, path: Path
) -> None:
    missing = [name for name in expected if name not in state and not name.endswith(_COUNTER)]
    unexpected = [name for name in state if name not in expected]
    shapes = [
        f"{name} has shape {tuple(state[name].shape)} instead of {tuple(expected[name].shape)}"
        for name in expected
        if name in state and state[name].shape != expected[name].shape
    ]
    kinds = [
        f"{name} is {state[name].dtype} instead of {expected[name].dtype}"
        for name in expected
        if name in state and state[name].is_floating_point() != expected[name].is_floating_point()
    ]
    named = (("missing", missing), ("unexpected", unexpected), ("", shapes), ("", kinds))
    problems = [f"{word} {_list(names)}".strip() for word, names in named if names]
    if problems:
        raise CheckpointError(f"{path} does not have the weights of {arch}: {'; '.join(problems)}")


def _list(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
