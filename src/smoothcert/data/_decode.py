"""From the bytes of an image file to its levels."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smoothcert.errors import DataError, InvalidArgumentError, import_extra


@dataclass(frozen=True, kw_only=True)
class Crop:
    """How images of a folder are brought to one shape: scale the shorter side, then cut out the centre.

    Attributes
    ----------
    resize : int, optional
        Length of the shorter side in pixels after bilinear scaling; ImageNet's is 256.
    crop : int, optional
        Side of the square cut out of the centre in pixels; ImageNet's is 224.
    """

    resize: int | None = None
    crop: int | None = None

    def __post_init__(self) -> None:
        for name, value in (("resize", self.resize), ("crop", self.crop)):
            if value is not None and value < 1:
                raise InvalidArgumentError(f"{name} is {value}: give a length in pixels, at least 1")
        if self.resize is not None and self.crop is not None and self.crop > self.resize:
            raise InvalidArgumentError(
                f"crop is {self.crop}, but the shorter side is resized to {self.resize}: give crop <= resize"
            )


def decode_image(data: bytes, name: str, crop: Crop | None = None) -> NDArray[np.uint8]:
    """Decode an image into levels, uint8 (3, height, width); `name` is what to call it in an error."""
    image_module = import_extra("PIL.Image", "images")
    try:
        with image_module.open(BytesIO(data)) as image:
            rgb = image.convert("RGB")
    except (OSError, SyntaxError, ValueError, EOFError, image_module.DecompressionBombError) as error:
        raise DataError(f"{name} cannot be decoded ({len(data)} bytes): {error}") from error
    if crop is not None:
        rgb = _cut(rgb, crop, name, image_module.Resampling.BILINEAR)
    return np.asarray(rgb, np.uint8).transpose(2, 0, 1)


def _cut(image: Any, crop: Crop, name: str, bilinear: Any) -> Any:
    width, height = image.size
    if crop.resize is not None:
        short = min(width, height)
        # The longer side is rounded down, as in the usual evaluation of ImageNet models.
        width, height = crop.resize * width // short, crop.resize * height // short
        image = image.resize((width, height), bilinear)
    if crop.crop is not None:
        if crop.crop > min(width, height):
            raise DataError(
                f"{name} is {width}x{height}, smaller than crop={crop.crop}: give resize={crop.crop} or more"
            )
        left, top = round((width - crop.crop) / 2), round((height - crop.crop) / 2)
        image = image.crop((left, top, left + crop.crop, top + crop.crop))
    return image
