"""What image models do to their input before the network, as a layer behind the noise."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

from smoothcert.models.normalize import Normalization, Normalize

__all__ = ["Preprocess"]

Interpolation = Literal["nearest", "bilinear", "bicubic"]


class Preprocess(nn.Module):
    """Resize, crop, rescale and normalize images (b, c, h, w) in [0, 1].

    The noise is added at the resolution of the data and in its units, so that sigma and radii mean the same for
    every model; all this happens to the noisy image and is a part of the classifier.

    Parameters
    ----------
    normalization : Normalization or None
        Of the rescaled values.
    size : (int, int), optional
        Height and width that the network takes. Images that have them are not resized.
    resize : int or (int, int), optional
        The shorter side, or height and width, that others are scaled to before `size` is cut out of the centre;
        by default `size` itself.
    interpolation : {"nearest", "bilinear", "bicubic"}
        As Pillow does it: with antialiasing where images become smaller.
    scale, offset : float
        Values become ``scale * x + offset`` before the normalization.

    Examples
    --------
    >>> layer = Preprocess(Normalization((0.5,), (0.5,)), size=(4, 4))
    >>> layer(torch.ones(1, 1, 2, 2)).shape
    torch.Size([1, 1, 4, 4])
    """

    def __init__(
        self,
        normalization: Normalization | None,
        *,
        size: tuple[int, int] | None = None,
        resize: int | tuple[int, int] | None = None,
        interpolation: Interpolation = "bilinear",
        scale: float = 1.0,
        offset: float = 0.0,
    ) -> None:
        super().__init__()
        self.normalize = nn.Identity() if normalization is None else Normalize(normalization)
        self.size, self.resize, self.interpolation = size, resize if resize is not None else size, interpolation
        self.scale, self.offset = scale, offset

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Prepare a batch (b, c, h, w)."""
        if self.size is not None and tuple(x.shape[-2:]) != self.size:
            x = self._cut(self._resized(x))
        if (self.scale, self.offset) != (1.0, 0.0):
            x = self.scale * x + self.offset
        prepared: torch.Tensor = self.normalize(x)
        return prepared

    def extra_repr(self) -> str:
        """Return everything that is done: what identifies a model must show it."""
        return (
            f"size={self.size}, resize={self.resize}, interpolation={self.interpolation!r}, scale={self.scale}, "
            f"offset={self.offset}"
        )

    def _resized(self, x: torch.Tensor) -> torch.Tensor:
        height, width = x.shape[-2:]
        if isinstance(self.resize, tuple):
            target = self.resize
        else:
            short, side = min(height, width), self.resize or min(height, width)
            target = (side * height // short, side * width // short)
        # PyTorch's own bicubic kernel is not Pillow's; the one that it antialiases with is.
        pillows = self.interpolation == "bicubic" or target[0] < height or target[1] < width
        options = {} if self.interpolation == "nearest" else {"align_corners": False, "antialias": pillows}
        return nn.functional.interpolate(x, target, mode=self.interpolation, **options)

    def _cut(self, x: torch.Tensor) -> torch.Tensor:
        height, width = self.size or tuple(x.shape[-2:])
        top, left = (x.shape[-2] - height) // 2, (x.shape[-1] - width) // 2
        return x[..., top : top + height, left : left + width]
