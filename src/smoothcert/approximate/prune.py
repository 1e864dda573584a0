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
    """Zero the given share of each layer's weights, the smallest in magnitude; say in words what was done."""
    # The "lowest weight magnitude" pruning of the incremental paper (section 5.3). Zeros are stored as weights: no
    # masks remain that would be multiplied again in each call.
    module = copy_module(base)
    weights = _weights(module)
    for weight in weights:
        _zero_smallest([weight], amount)
    where = f"in each of {len(weights)} convolution and linear layers"
    zeroed = sum(round(amount * weight.numel()) for weight in weights)
    return _pruned(base, module), _describe(weights, amount, where, zeroed)


def prune_global(base: TorchClassifier, amount: float) -> tuple[TorchClassifier, str]:
    """Zero a fraction of all layers' weights together, so that each loses another share; see `prune_layerwise`."""
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
