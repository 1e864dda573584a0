"""Candidates by pruning: weights of small magnitude set to zero."""

from __future__ import annotations

import torch

from smoothcert.approximate.module_copy import copy_module
from smoothcert.classifiers import TorchClassifier
from smoothcert.errors import InvalidArgumentError

__all__ = ["prune_global", "prune_layerwise"]

_LAYERS = (
    torch.nn.Conv1d,
    torch.nn.Conv2d,
    torch.nn.Conv3d,
    torch.nn.ConvTranspose1d,
    torch.nn.ConvTranspose2d,
    torch.nn.ConvTranspose3d,
    torch.nn.Linear,
)


def prune_layerwise(base: TorchClassifier, amount: float) -> tuple[TorchClassifier, str]:
    """Zero the given fraction of each layer's weights, those of smallest magnitude.

    The "lowest weight magnitude" pruning of the incremental paper (section 5.3). Of n weights of a convolution or
    linear layer, ``round(amount * n)`` are set to zero; of equal magnitudes those that come first. Biases and
    normalization layers are left alone. The zeros are stored as weights: no masks remain that would be multiplied
    again in each call.

    Parameters
    ----------
    base : TorchClassifier
        Left as it is.
    amount : float
        Fraction in (0, 1).

    Returns
    -------
    classifier : TorchClassifier
        The pruned copy.
    description : str
        What was done, in one sentence.

    Raises
    ------
    InvalidArgumentError
        When there is no convolution or linear layer, or one has a weight computed from other parameters.

    Examples
    --------
    >>> import torch
    >>> layer = torch.nn.Linear(4, 2, bias=False)
    >>> layer.weight.data = torch.tensor([[0.1, -0.2, 0.3, -0.4], [4.0, 3.0, -2.0, 1.0]])
    >>> pruned, description = prune_layerwise(TorchClassifier(layer, num_classes=2), 0.25)
    >>> pruned.module.weight.tolist()[0][:2], description
    ([0.0, 0.0], 'the 25 % of the weights that are smallest in magnitude in each of 1 convolution and linear layers
    set to zero (2 of 8)')
    """
    module = copy_module(base)
    weights = _weights(module)
    for weight in weights:
        _zero_smallest([weight], amount)
    where = f"in each of {len(weights)} convolution and linear layers"
    zeroed = sum(round(amount * weight.numel()) for weight in weights)
    return _pruned(base, module), _describe(weights, amount, where, zeroed)


def prune_global(base: TorchClassifier, amount: float) -> tuple[TorchClassifier, str]:
    """Zero the given fraction of all convolution and linear weights together, those of smallest magnitude.

    As `prune_layerwise`, but magnitudes are compared across layers, so that each layer loses another share.

    Parameters
    ----------
    base : TorchClassifier
        Left as it is.
    amount : float
        Fraction in (0, 1).

    Returns
    -------
    classifier : TorchClassifier
        The pruned copy.
    description : str
        What was done, in one sentence.

    Raises
    ------
    InvalidArgumentError
        When there is no convolution or linear layer, or one has a weight computed from other parameters.
    """
    module = copy_module(base)
    weights = _weights(module)
    _zero_smallest(weights, amount)
    where = f"over all {len(weights)} convolution and linear layers together"
    zeroed = round(amount * sum(weight.numel() for weight in weights))
    return _pruned(base, module), _describe(weights, amount, where, zeroed)


def _weights(module: torch.nn.Module) -> list[torch.Tensor]:
    """List the weights to prune in the order of the layers, each shared one once."""
    weights: dict[int, torch.Tensor] = {}
    for name, layer in module.named_modules():
        if isinstance(layer, _LAYERS):
            weight = dict(layer.named_parameters(recurse=False)).get("weight")
            if weight is None:
                raise InvalidArgumentError(
                    f"the weight of layer {name!r} is computed from other parameters (masks, weight norm): make "
                    "it a plain parameter first, or zeros would not stay"
                )
            weights[id(weight)] = weight.data
    if not weights:
        raise InvalidArgumentError("base has no convolution or linear layer: there is nothing to prune")
    return list(weights.values())


def _zero_smallest(weights: list[torch.Tensor], amount: float) -> None:
    magnitudes = torch.cat([weight.abs().flatten() for weight in weights])
    # A stable sort, unlike torch.topk, makes the choice among equal magnitudes the same on every machine.
    smallest = torch.sort(magnitudes, stable=True).indices[: round(amount * len(magnitudes))]
    mask = torch.zeros_like(magnitudes, dtype=torch.bool)
    mask[smallest] = True
    for weight, part in zip(weights, torch.split(mask, [weight.numel() for weight in weights]), strict=True):
        weight.masked_fill_(part.view(weight.shape), 0.0)


def _pruned(base: TorchClassifier, module: torch.nn.Module) -> TorchClassifier:
    return TorchClassifier(module, base.num_classes, preprocess=base.preprocess, device=base.device)


def _describe(weights: list[torch.Tensor], amount: float, where: str, zeroed: int) -> str:
    total = sum(weight.numel() for weight in weights)
    return (
        f"the {100 * amount:g} % of the weights that are smallest in magnitude {where} set to zero "
        f"({zeroed} of {total})"
    )
