"""Plain state dicts: weights without a word about what they are weights of."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from smoothcert.errors import CheckpointError, InvalidArgumentError
from smoothcert.models._state import fill, network_state
from smoothcert.models._torch_file import load_plain, read_checked
from smoothcert.models.checkpoint import read_safetensors
from smoothcert.models.normalize import Normalization
from smoothcert.models.registry import ARCHITECTURES

__all__ = ["load_into", "load_state_dict", "read_state"]

_WHERE = ("state_dict", "model_state_dict", "model", "net")  # under which trainings keep it


def read_state(path: Path) -> dict[str, torch.Tensor]:
    """Read the named tensors of a safetensors file or of one of ``torch.save``, without running code from it.

    Raises
    ------
    CheckpointError
        When the file is damaged, wants to run code or holds no such tensors.
    """
    data = read_checked(path)
    if data[8:9] == b"{":
        return read_safetensors(data, path)[0]
    content = load_plain(data, path)
    state = content
    if isinstance(content, Mapping):
        state = next((content[name] for name in _WHERE if isinstance(content.get(name), Mapping)), content)
    if not isinstance(state, Mapping) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise CheckpointError(f"{path} holds no state dict, names with tensors: save module.state_dict()")
    if all(name.startswith("module.") for name in state):  # from several GPUs
        state = {name.removeprefix("module."): tensor for name, tensor in state.items()}
    return dict(state)


def load_into(module: nn.Module, state: Mapping[str, torch.Tensor], what: str, path: Path) -> None:
    """Fill a module with a state dict that fits it exactly."""
    try:
        module.load_state_dict(dict(state), strict=True)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:300]
        raise CheckpointError(f"{path} does not have the weights of {what}: {reason}") from error


def load_state_dict(
    path: Path, arch: str, num_classes: int | None, normalization: Normalization | None
) -> nn.Module:
    """Build a known architecture around a state dict, behind a normalization.

    Parameters
    ----------
    path : Path
        The file.
    arch : str
        One of `ARCHITECTURES`.
    num_classes : int, optional
        By default the rows of the head, or the architecture's own.
    normalization : Normalization, optional
        What stands in front of the network. It must be given unless the names start with ``1.``, since nothing
        in such a file says it.

    Raises
    ------
    InvalidArgumentError
        When there is no such architecture, or the normalization is missing.
    CheckpointError
        When the weights do not fit.
    """
    if arch not in ARCHITECTURES:
        raise InvalidArgumentError(
            f"arch is {arch!r}: give one of {', '.join(ARCHITECTURES)}, or your own PACKAGE.MODULE:FUNCTION, "
            "which returns the module to fill"
        )
    info = ARCHITECTURES[arch]
    state, has_normalization = network_state(read_state(path), path)
    if normalization is None and not has_normalization:
        raise InvalidArgumentError(
            f"normalization is missing: {path} does not say what stands in front of the network; give 'none' "
            f"where it takes inputs in [0, 1], else mean and std as in training; those of published {info.name} "
            f"are {info.normalization.mean} and {info.normalization.std}"
        )
    if normalization is not None and len(normalization.mean) == 1:  # the same for each channel
        channels = info.input_shape[0]
        normalization = Normalization(normalization.mean * channels, normalization.std * channels)
    head = state.get("1.fc.weight")
    classes = num_classes or (head.shape[0] if head is not None and head.ndim == 2 else info.num_classes)
    return fill(state, arch, classes, info.input_shape, normalization or info.normalization, path)
