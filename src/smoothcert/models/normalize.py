"""Normalization inside the model, so that the noise is added in front of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn

from smoothcert.errors import InvalidArgumentError

__all__ = ["CIFAR10", "DIGITS", "IMAGENET", "Normalization", "Normalize"]


@dataclass(frozen=True)
class Normalization:
    """Constants of (x - mean) / std, one per channel, in the units of inputs in [0, 1].

    Attributes
    ----------
    mean, std : tuple of float
        Finite; the standard deviations are positive.

    Examples
    --------
    >>> Normalization((0.5,), (0.0,))
    Traceback (most recent call last):
        ...
    smoothcert.errors.InvalidArgumentError: normalization has mean (0.5,) and std (0.0,): give one finite mean and
    one finite, positive std per channel
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        finite = all(math.isfinite(value) for value in (*self.mean, *self.std))
        if not self.mean or len(self.mean) != len(self.std) or not finite or min(self.std) <= 0:
            raise InvalidArgumentError(
                f"normalization has mean {self.mean} and std {self.std}: give one finite mean and one finite, "
                "positive std per channel"
            )


CIFAR10 = Normalization((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))
"""Constants of the published CIFAR-10 checkpoints."""

IMAGENET = Normalization((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Constants of the published ImageNet checkpoints."""

DIGITS = Normalization((0.3053,), (0.3761,))
"""Mean and standard deviation of all values of scikit-learn's digits."""


class Normalize(nn.Module):
    """Apply (x - mean) / std per channel; it has no parameters and nothing in the state dict.

    Parameters
    ----------
    normalization : Normalization
        The constants.

    Examples
    --------
    >>> layer = Normalize(Normalization((0.5,), (0.25,)))
    >>> layer(torch.ones(1, 1, 1, 2))
    tensor([[[[2., 2.]]]])
    >>> layer
    Normalize(mean=(0.5,), std=(0.25,))
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, normalization: Normalization) -> None:
        super().__init__()
        self.normalization = normalization
        for name, values in (("mean", normalization.mean), ("std", normalization.std)):
            self.register_buffer(name, torch.tensor(values, dtype=torch.float32).view(-1, 1, 1), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalize a batch (b, c, h, w).

        Raises
        ------
        InvalidArgumentError
            When it has other channels than there are constants: PyTorch would repeat grey images for each.
        """
        channels = len(self.normalization.mean)
        if x.ndim != 4 or x.shape[1] != channels:
            raise InvalidArgumentError(
                f"the model normalizes images of {channels} channels, but gets a batch of shape {tuple(x.shape)}: "
                f"give x of shape (m, {channels}, height, width), a single image as x[None], and grey images to "
                "a colour model as np.repeat(x, 3, axis=1)"
            )
        return (x - self.mean) / self.std

    def extra_repr(self) -> str:
        """Return the constants, in full: what identifies a model must show them, for the state dict does not."""
        return f"mean={self.normalization.mean}, std={self.normalization.std}"
