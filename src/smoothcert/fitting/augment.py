"""Random shifts and flips of a batch of images."""

from __future__ import annotations

import torch
from torch.nn import functional

__all__ = ["random_crop_and_flip"]


def random_crop_and_flip(images: torch.Tensor, generator: torch.Generator, padding: int = 4) -> torch.Tensor:
    """Shift each image by up to `padding` pixels, zeros coming in, and mirror it with probability 1/2.

    Parameters
    ----------
    images : Tensor of float32, shape (b, c, h, w)
        Images in [0, 1], on any device.
    generator : torch.Generator
        On the CPU.
    padding : int
        The largest shift in each direction.

    Returns
    -------
    Tensor of float32, shape (b, c, h, w)

    Examples
    --------
    >>> images = torch.ones(2, 3, 4, 4)
    >>> random_crop_and_flip(images, torch.Generator(), padding=0).equal(images)
    True
    """
    b, _, height, width = images.shape
    down, right = torch.randint(2 * padding + 1, (2, b, 1), generator=generator)
    rows = down + torch.arange(height)
    columns = right + torch.arange(width)
    mirrored = torch.rand(b, 1, generator=generator) < 0.5
    columns = torch.where(mirrored, columns.flip(1), columns)
    padded = functional.pad(images, (padding, padding, padding, padding))
    batch = torch.arange(b)[:, None, None]
    index = [each.to(images.device) for each in (batch, rows[:, :, None], columns[:, None, :])]
    return padded[index[0], :, index[1], index[2]].permute(0, 3, 1, 2)
