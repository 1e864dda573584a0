"""Checkpoints: published ones in PyTorch's format, our own in safetensors; neither can run code."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load as parse_safetensors
from torch import nn

from smoothcert._files import write_atomic
from smoothcert.errors import CheckpointError, InvalidArgumentError, reading
from smoothcert.models._safetensors import format_safetensors
from smoothcert.models._state import fill, network_state
from smoothcert.models._torch_file import parse_torch_file, read_checked
from smoothcert.models.normalize import Normalization
from smoothcert.models.registry import ARCHITECTURES, Shape

__all__ = ["LoadedModel", "load_checkpoint", "read_safetensors", "save_checkpoint"]

_VERSION = "1"
_MAX_EPOCHS = 1 << 63
# What SmoothAdv's code calls the network that it trains on ImageNet at 32x32 first.
_OTHER_NAMES = {"imagenet32_resnet110": "cifar_resnet110"}


@dataclass(frozen=True, kw_only=True, eq=False)
class LoadedModel:
    """A model with what is known about it.

    Attributes
    ----------
    module : torch.nn.Sequential
        Normalization, then network, in evaluation mode: float32 (b, *input_shape) in [0, 1] to logits.
    arch : str
        Name of the architecture.
    num_classes : int
        Number of classes.
    input_shape : (int, int, int)
        (channels, height, width).
    normalization : Normalization
        The constants of module 0.
    sigma : float, optional
        Standard deviation of its training noise, in the units of inputs in [0, 1]; None if not recorded.
    epoch : int, optional
        Epochs of training; None if not recorded.
    path : Path, optional
        The file; None for a model that is not in a file.
    """

    module: nn.Sequential
    arch: str
    num_classes: int
    input_shape: Shape
    normalization: Normalization
    sigma: float | None = None
    epoch: int | None = None
    path: Path | None = None


def load_checkpoint(path: str | Path, *, normalization: Normalization | None = None) -> LoadedModel:
    """Load a model, strictly and without running code from the file.

    Parameters
    ----------
    path : str or Path
        A safetensors file of `save_checkpoint`, or a PyTorch file ``{"arch": …, "state_dict": …}`` as published
        with "Certified Adversarial Robustness via Randomized Smoothing" and by the codes that build on it
        (SmoothAdv, Consistency, SmoothMix), from one or several GPUs (``module.`` in front of the names or behind
        the ``1.`` of the network). Weights of lower precision are widened to float32.
    normalization : Normalization, optional
        For PyTorch files, which do not say what stood in front of the network. By default the architecture's;
        needed where names do not start with ``1.``, with mean 0 and std 1 for a network that takes inputs in
        [0, 1] as they are. SmoothAdv's code has two layers to choose from: models that were trained with the one
        that only subtracts the mean need ``Normalization(CIFAR10.mean, (1.0, 1.0, 1.0))``. With the wrong one the
        accuracy under noise (`smoothcert.training.noisy_accuracy`) is low.

    Returns
    -------
    LoadedModel
        On the CPU, in evaluation mode.

    Raises
    ------
    CheckpointError
        When the file is missing, damaged, not a checkpoint, wants to run code, has compressed records, or does not
        fit its architecture exactly.
    InvalidArgumentError
        When `normalization` is given for a safetensors file, which records its own.

    References
    ----------
    Cohen, Rosenfeld, Kolter, ICML 2019; https://github.com/locuslab/smoothing. Salman et al., NeurIPS 2019;
    https://github.com/Hadisalman/smoothing-adversarial. Jeong and Shin, NeurIPS 2020;
    https://github.com/jh-jeong/smoothing-consistency. Jeong et al., NeurIPS 2021;
    https://github.com/jh-jeong/smoothmix.

    Examples
    --------
    >>> import tempfile
    >>> from smoothcert.models import DIGITS, build_model
    >>> model = LoadedModel(
    ...     module=build_model("digits_conv").eval(), arch="digits_conv", num_classes=10, input_shape=(1, 8, 8),
    ...     normalization=DIGITS, sigma=0.25,
    ... )
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     saved = save_checkpoint(Path(folder) / "digits.safetensors", model)
    ...     load_checkpoint(saved).sigma
    0.25
    """
    path = Path(path)
    data = read_checked(path)
    if data[8:9] == b"{":
        if normalization is not None:
            raise InvalidArgumentError(f"{path} records its own normalization: leave normalization out")
        return _from_safetensors(data, path)
    return _from_torch_file(parse_torch_file(data, path), path, normalization)


def save_checkpoint(path: str | Path, model: LoadedModel) -> Path:
    """Write a model as safetensors, atomically: the file is the old one or the new one, never half of it.

    The same model gives the same bytes.

    Parameters
    ----------
    path : str or Path
        The file, usually ``*.safetensors``; its folder exists.
    model : LoadedModel
        The model; its `path` is not used.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    CheckpointError
        When the file cannot be written.
    """
    metadata = {
        "smoothcert": _VERSION,
        "arch": model.arch,
        "num_classes": str(model.num_classes),
        "input_shape": json.dumps(model.input_shape),
        "mean": json.dumps(model.normalization.mean),
        "std": json.dumps(model.normalization.std),
    }
    if model.sigma is not None:
        metadata["sigma"] = repr(float(model.sigma))
    if model.epoch is not None:
        metadata["epoch"] = str(model.epoch)
    data = format_safetensors(model.module.state_dict(), metadata)
    write_atomic(Path(path).parent, Path(path).name, data, CheckpointError)
    return Path(path)


def read_safetensors(data: bytes, path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Parse a safetensors file.

    Parameters
    ----------
    data : bytes
        The content of the file.
    path : Path
        The file, for errors.

    Returns
    -------
    tensors : dict of str to Tensor
    metadata : dict of str to str

    Raises
    ------
    CheckpointError
        When the file is damaged.
    """
    with reading(path, CheckpointError, f"restore this safetensors file of {len(data)} bytes"):
        tensors = parse_safetensors(data)
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        return tensors, header.get("__metadata__") or {}


def _from_safetensors(data: bytes, path: Path) -> LoadedModel:
    tensors, metadata = read_safetensors(data, path)
    try:
        if metadata["smoothcert"] != _VERSION:
            raise ValueError(f"version {metadata['smoothcert']!r} is not {_VERSION!r}")
        arch = metadata["arch"]
        num_classes = int(metadata["num_classes"])
        channels, height, width = (int(length) for length in json.loads(metadata["input_shape"]))
        mean, std = (tuple(float(value) for value in json.loads(metadata[name])) for name in ("mean", "std"))
        normalization = Normalization(mean, std)
        sigma = _checked_sigma(float(metadata["sigma"])) if "sigma" in metadata else None
        epoch = int(metadata["epoch"]) if "epoch" in metadata else None
    except (KeyError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise CheckpointError(f"{path} has no or wrong metadata of a smoothcert checkpoint: {error}") from error
    return LoadedModel(
        module=fill(tensors, arch, num_classes, (channels, height, width), normalization, path),
        arch=arch,
        num_classes=num_classes,
        input_shape=(channels, height, width),
        normalization=normalization,
        sigma=sigma,
        epoch=epoch,
        path=path,
    )


def _from_torch_file(content: Mapping[Any, Any], path: Path, normalization: Normalization | None) -> LoadedModel:
    arch = _OTHER_NAMES.get(content["arch"], content["arch"])
    epoch, sigma = content.get("epoch"), content.get("sigma")
    if arch not in ARCHITECTURES:
        raise CheckpointError(
            f"{path} is of the architecture {arch[:80]!r}: known are {', '.join(ARCHITECTURES)}; build another "
            "network in PyTorch, load the state dict into it and give it to smoothcert.TorchClassifier"
        )
    info = ARCHITECTURES[arch]
    state, has_normalization = network_state(content["state_dict"], path)
    if not has_normalization and normalization is None:
        first = next(iter(state)).removeprefix("1.")
        raise CheckpointError(
            f"{path} does not say what normalization stood in front of the network (its names start with "
            f"{first!r}, not '1.'): pass normalization, with mean 0 and std 1 for none"
        )
    constants = normalization or info.normalization
    head = state.get("1.fc.weight")
    num_classes = head.shape[0] if head is not None and head.ndim == 2 else info.num_classes
    return LoadedModel(
        module=fill(state, arch, num_classes, info.input_shape, constants, path),
        arch=arch,
        num_classes=num_classes,
        input_shape=info.input_shape,
        normalization=constants,
        sigma=None if sigma is None else _sigma_of(sigma, path),
        epoch=epoch if type(epoch) is int and 0 <= epoch < _MAX_EPOCHS else None,
        path=path,
    )


def _sigma_of(sigma: object, path: Path) -> float:
    try:
        if type(sigma) not in (float, int):
            raise TypeError(f"sigma is a {type(sigma).__name__}, not a number")
        return _checked_sigma(float(sigma))  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError) as error:
        raise CheckpointError(
            f"{path} has no legal training noise: {error}; save it with another sigma"
        ) from error


def _checked_sigma(sigma: float) -> float:
    if not math.isfinite(sigma) or sigma < 0:
        raise ValueError(f"sigma is {sigma}, not a standard deviation")
    return sigma
