"""Candidates in float16 and bfloat16."""

from __future__ import annotations

import torch

from smoothcert.approximate.module_copy import copy_module
from smoothcert.classifiers import TorchClassifier
from smoothcert.errors import InvalidArgumentError

__all__ = ["bfloat16_arithmetic", "float16_arithmetic", "float16_weights"]


class LowPrecision(torch.nn.Module):
    """A network in a low precision behind layers (a normalization) that stay in float32."""

    def __init__(self, front: torch.nn.Module, net: torch.nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.front = front
        self.net = net.to(dtype)
        self.dtype = dtype

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map float32 inputs (b, *shape) to float32 logits (b, k)."""
        logits: torch.Tensor = self.net(self.front(x).to(self.dtype))
        return logits.float()

    def extra_repr(self) -> str:
        """Name the precision, which is a part of what is computed."""
        return f"dtype={self.dtype}"


class RoundedClassifier(TorchClassifier):
    """A torch classifier whose weights were rounded to a type narrower than the one they are stored in."""

    @property
    def description(self) -> dict[str, str]:
        """What is run; the dtype tells weights from arithmetic."""
        return super().description | {"dtype": "float16 weights, float32 arithmetic"}


def float16_arithmetic(base: TorchClassifier) -> TorchClassifier:
    """Convert a classifier to float16 weights and arithmetic."""
    return _arithmetic(base, torch.float16)


def bfloat16_arithmetic(base: TorchClassifier) -> TorchClassifier:
    """Convert a classifier to bfloat16 weights and arithmetic."""
    return _arithmetic(base, torch.bfloat16)


def float16_weights(base: TorchClassifier) -> TorchClassifier:
    """Round the weights of a classifier to float16, ties to even, and compute in float32, as before."""
    # For processors without float16 convolutions: emulated ones are about ten times slower than float32.
    front, net = _split(copy_module(base))
    _check_range(net, torch.float16)
    for tensor in (*net.parameters(), *net.buffers()):
        if tensor.is_floating_point():
            tensor.data = tensor.data.half().to(tensor.dtype)
    module = torch.nn.Sequential(front, net)
    return RoundedClassifier(module, base.num_classes, preprocess=base.preprocess, device=base.device)


def _arithmetic(base: TorchClassifier, dtype: torch.dtype) -> TorchClassifier:
    front, net = _split(copy_module(base))
    _check_range(net, dtype)
    module = LowPrecision(front, net, dtype)
    return TorchClassifier(
        module, base.num_classes, preprocess=base.preprocess, device=base.device, input_dtype=torch.float32
    )  # which casts behind its front


def _split(module: torch.nn.Module) -> tuple[torch.nn.Module, torch.nn.Module]:
    """Split the leading parameter-free layers of a Sequential from the rest."""
    if type(module) is not torch.nn.Sequential:
        return torch.nn.Identity(), module
    first = next((i for i, layer in enumerate(module) if any(True for _ in layer.parameters())), 0)
    return module[:first], module[first:]


def _check_range(net: torch.nn.Module, dtype: torch.dtype) -> None:
    """Refuse values that the type would turn into infinities, so that every vote would be invalid."""
    if not any(parameter.is_floating_point() for parameter in net.parameters()):
        raise InvalidArgumentError("base has no floating-point parameters: there is nothing to round")
    largest = torch.finfo(dtype).max
    for name, tensor in net.state_dict().items():
        if tensor.is_floating_point() and tensor.numel() and (peak := float(tensor.abs().max())) > largest:
            short = str(dtype).removeprefix("torch.")
            raise InvalidArgumentError(f"base has |{name}| up to {peak:g}: {short} ends at {largest:g}")
