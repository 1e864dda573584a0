"""Where PyTorch runs a module."""

from __future__ import annotations

import torch

from smoothcert.errors import InvalidArgumentError

__all__ = ["usable_device"]


def usable_device(device: str | torch.device) -> torch.device:
    """Return a device that tensors can be put on.

    Parameters
    ----------
    device : str or torch.device
        Such as ``"cpu"``, ``"cuda"`` or ``"cuda:1"``.

    Returns
    -------
    torch.device

    Raises
    ------
    InvalidArgumentError
        When PyTorch knows no such device, or has none here.

    Examples
    --------
    >>> usable_device("cpu")
    device(type='cpu')
    """
    try:
        chosen = torch.device(device)
    except Exception as error:  # each backend raises what it likes
        raise InvalidArgumentError(
            f"device is {str(device)!r}, which is none that PyTorch knows: give 'cpu', 'cuda', 'cuda:1' or 'mps'"
        ) from error
    try:
        torch.zeros(1, device=chosen).numpy(force=True)  # which the meta device, without values, refuses
    except Exception as error:
        said = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise InvalidArgumentError(
            f"device is {str(device)!r}, which cannot be used here ({said}): give 'cpu', or a device that this "
            "machine has"
        ) from error
    return chosen
