"""What comes before the first step: the call is checked, and a network gets its weights."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
from torch import nn

from smoothcert.classifiers import usable_device
from smoothcert.errors import InvalidArgumentError
from smoothcert.fitting.optimization import stream_seed
from smoothcert.models import Normalization, build_model

__all__ = ["check_start", "fresh_model"]


def check_start(
    *, seed: int, out: str | Path | None, device: str | torch.device | None
) -> tuple[Path | None, torch.device]:
    """Check what every optimization is called with.

    Parameters
    ----------
    seed : int
        At least 0.
    out : str or Path, optional
        The folder of the result, which is made.
    device : str or torch.device, optional
        Where to compute; a CUDA device by default if there is one.

    Returns
    -------
    out : Path or None
    device : torch.device

    Raises
    ------
    InvalidArgumentError
        When the seed is negative, the folder cannot be written, or the device cannot be used.

    Examples
    --------
    >>> check_start(seed=0, out=None, device="cpu")
    (None, device(type='cpu'))
    """
    if seed < 0:
        raise InvalidArgumentError(f"seed is {seed}: give at least 0")
    folder = None if out is None else Path(out)
    try:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise InvalidArgumentError(f"out={folder} cannot be written: {error}") from error
    return folder, usable_device(device or ("cuda" if torch.cuda.is_available() else "cpu"))


def fresh_model(
    arch: str, outputs: int, shape: tuple[int, ...], normalization: Normalization | None, *, seed: int, source: str
) -> nn.Sequential:
    """Build a model with weights that are a function of the seed.

    Parameters
    ----------
    arch, outputs, normalization
        As for `build_model`.
    shape : tuple of int
        Shape of one input.
    seed : int
        Seed of the weights.
    source : str
        What has such inputs, for the message.

    Returns
    -------
    torch.nn.Sequential

    Raises
    ------
    InvalidArgumentError
        When the inputs are no images, or an argument is not as described.

    Examples
    --------
    >>> one, other = (fresh_model("digits_conv", 10, (1, 8, 8), None, seed=3, source="x") for _ in range(2))
    >>> torch.equal(one[1].fc.weight, other[1].fc.weight)
    True
    """
    if len(shape) != 3:
        raise InvalidArgumentError(f"{source} has inputs of shape {shape}: {arch} takes (channels, height, width)")
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(stream_seed(seed, 0, "weights"))
        return build_model(arch, outputs, (shape[0], shape[1], shape[2]), normalization)
