"""Where a training runs: the device, its precision, and the number of threads."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import nn

from smoothcert.errors import InvalidArgumentError

__all__ = ["fitting_threads", "placement"]

_SMALL_NETWORK = 50_000


def placement(device: str | torch.device | None, mixed_precision: bool | None = None) -> tuple[torch.device, bool]:
    """Choose the device, CUDA by default where there is one, and whether to compute in bfloat16.

    Parameters
    ----------
    device : str or torch.device, optional
        The device asked for.
    mixed_precision : bool, optional
        What was asked for; by default on CUDA devices that support it.

    Returns
    -------
    device : torch.device
    mixed_precision : bool

    Raises
    ------
    InvalidArgumentError
        When the device cannot be used.

    Examples
    --------
    >>> placement("cpu")
    (device(type='cpu'), False)
    """
    try:
        chosen = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        torch.empty(1, device=chosen)
    except (RuntimeError, AssertionError) as error:
        raise InvalidArgumentError(f"device is {device!r}, which cannot be used here: {error}") from error
    if mixed_precision is None:
        mixed_precision = chosen.type == "cuda" and torch.cuda.is_bf16_supported()
    return chosen, mixed_precision


@contextlib.contextmanager
def fitting_threads(module: nn.Module, device: torch.device) -> Iterator[None]:
    """Train a small network on one thread, whose steps are shorter than the wait for a second one.

    On two cores that others use as well, that is 10 times as fast.
    """
    threads = torch.get_num_threads()
    small = sum(parameter.numel() for parameter in module.parameters()) < _SMALL_NETWORK
    if small and device.type == "cpu":
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
