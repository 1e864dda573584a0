"""What identifies a PyTorch module: a hash of all that it holds."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch

__all__ = ["module_fingerprint", "qualified_name"]


def module_fingerprint(
    module: torch.nn.Module, preprocess: Callable[[torch.Tensor], torch.Tensor] | None = None
) -> str:
    """Hash what a module computes: its structure, parameters, buffers and preprocessing.

    Parameters
    ----------
    module : torch.nn.Module
        The module; ``repr`` stands for its structure, and the code of traced and exported ones as well. Quantized
        tensors, packed weights and tensors of other libraries are hashed by what they consist of.
    preprocess : callable, optional
        Hashed by its qualified name, or like a module when it is one.

    Returns
    -------
    str
        SHA-256 in hexadecimal.

    Examples
    --------
    >>> import torch
    >>> a = torch.nn.Linear(2, 2)
    >>> module_fingerprint(a) == module_fingerprint(a), len(module_fingerprint(a))
    (True, 64)
    """
    digest = hashlib.sha256(f"{type(module).__qualname__}\n{module!r}\n".encode())
    for piece in _state(sorted(module.state_dict().items())):
        digest.update(piece)
    for name, part in module.named_modules():
        for piece in _traced(name, part):
            digest.update(piece)
    if isinstance(preprocess, torch.nn.Module):
        digest.update(module_fingerprint(preprocess).encode())
    else:
        digest.update(qualified_name(preprocess).encode())
    return digest.hexdigest()


def qualified_name(function: object) -> str:
    """Name a function, or show a module."""
    if function is None:
        return "none"
    if isinstance(function, torch.nn.Module):
        return repr(function)
    module = getattr(function, "__module__", "")
    return f"{module}.{getattr(function, '__qualname__', type(function).__qualname__)}"


def _state(items: Iterable[tuple[str, Any]]) -> Iterable[bytes]:
    """Yield what stands for named values: of a tensor its type, shape and bytes."""
    for name, value in items:
        if not isinstance(value, torch.Tensor):
            yield f"{name} {type(value).__qualname__}\n".encode()
            yield from _value(name, value)
            continue
        yield f"{name} {value.dtype} {tuple(value.shape)}\n".encode()
        if value.is_quantized:
            yield repr(value.qscheme()).encode()
            yield from _state(_quantized(value))
        elif hasattr(value, "__tensor_flatten__"):  # a tensor that another library made of several
            names, constants = value.__tensor_flatten__()
            yield f"{type(value).__qualname__} {constants!r}\n".encode()
            yield from _state((inner, getattr(value, inner)) for inner in names)
        else:
            yield value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()


def _value(name: str, value: Any) -> Iterable[bytes]:
    """Yield what stands for a value that is no tensor, such as packed weights or a layer's extra state."""
    if isinstance(value, torch.ScriptObject):
        value = value.__getstate__()
    if isinstance(value, Mapping):
        yield from _state((f"{name}.{key}", value[key]) for key in value)
    elif isinstance(value, (tuple, list)):
        yield from _state((f"{name}.{i}", inner) for i, inner in enumerate(value))
    else:
        yield f"{value!r}\n".encode()


def _quantized(value: torch.Tensor) -> Iterable[tuple[str, torch.Tensor]]:
    yield "levels", value.int_repr()
    if value.qscheme() in (torch.per_tensor_affine, torch.per_tensor_symmetric):
        yield "scale", torch.tensor([value.q_scale(), value.q_zero_point()], dtype=torch.float64)
    else:
        yield "scales", value.q_per_channel_scales()
        yield "zero_points", value.q_per_channel_zero_points()


def _traced(name: str, part: torch.nn.Module) -> Iterable[bytes]:
    """Yield what a traced part does and holds beside its state: its ``repr`` shows neither."""
    if isinstance(part, torch.fx.GraphModule):
        yield f"{name}\n{part.code}\n".encode()
        constants = {key: value for key, value in vars(part).items() if isinstance(value, torch.Tensor)}
        yield from _state(sorted(constants.items()))
    elif isinstance(part, torch.jit.ScriptModule) and not name:
        yield str(part.inlined_graph).encode()
