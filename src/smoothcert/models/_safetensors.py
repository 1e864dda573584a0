"""Safetensors files whose bytes follow from their content."""

from __future__ import annotations

import json
from collections.abc import Mapping

import torch
from safetensors.torch import save

__all__ = ["format_safetensors"]

_LENGTH = 8
_ALIGNMENT = 8


def format_safetensors(tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str]) -> bytes:
    """Return the bytes of a safetensors file, the same for the same content.

    The library writes metadata in an order that changes from process to process, so they are put in front of its
    header here, sorted by name.

    Parameters
    ----------
    tensors : mapping of str to Tensor
        On any device, in any layout of memory.
    metadata : mapping of str to str
        Texts to keep beside them.

    Returns
    -------
    bytes

    References
    ----------
    https://huggingface.co/docs/safetensors, section "Format".

    Examples
    --------
    >>> data = format_safetensors({"a": torch.zeros(2)}, {"sigma": "0.25", "arch": "digits_conv"})
    >>> data[8:].partition(b"}")[0]
    b'{"__metadata__":{"arch":"digits_conv","sigma":"0.25"'
    """
    # Safetensors wants tensors that are contiguous and share no memory.
    plain = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }
    data = save(plain)
    end = _LENGTH + int.from_bytes(data[:_LENGTH], "little")
    header = {"__metadata__": dict(sorted(metadata.items())), **json.loads(data[_LENGTH:end])}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    return len(text).to_bytes(_LENGTH, "little") + text + data[end:]
