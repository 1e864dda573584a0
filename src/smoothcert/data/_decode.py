"""From the bytes of an image file to its levels."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smoothcert.errors import DataError, InvalidArgumentError, import_extra, reading

IMAGE_SUFFIXES = (".jpeg", ".jpg", ".png", ".webp")
"""How the names of image files end, in lower case."""

MAX_IMAGE_BYTES = 1 << 27
"""The largest image file that is read."""

# Pillow knows some forty formats more, and starts Ghostscript for one of them.
_FORMATS = ("PNG", "JPEG", "WEBP")
_MAX_PIXELS = 1 << 26  # the largest image of ImageNet has 61 million
_ALWAYS_PIXELS = 1 << 22
_PIXELS_PER_BYTE = 64  # photographs have fewer than 20
_PNG, _PNG_BITS = b"\x89PNG\r\n\x1a\n", 24  # where a PNG says how many bits a level has


@dataclass(frozen=True, kw_only=True)
class Crop:
    """How images of a folder are brought to one shape: scale the shorter side, then cut out the centre."""

    resize: int | None = None  # pixels of the shorter side after bilinear scaling; ImageNet's is 256
    crop: int | None = None  # pixels of the side of the square that is cut out; ImageNet's is 224

    def __post_init__(self) -> None:
        for name, value in (("resize", self.resize), ("crop", self.crop)):
            if value is not None and value < 1:
                raise InvalidArgumentError(f"{name} is {value}: give a length in pixels, at least 1")
        if self.resize is not None and self.crop is not None and self.crop > self.resize:
            raise InvalidArgumentError(
                f"crop is {self.crop}, but the shorter side is resized to {self.resize}: give crop <= resize"
            )


def decode_image(
    data: bytes, name: str, crop: Crop | None = None, shape: tuple[int, ...] | None = None
) -> NDArray[np.uint8]:
    """Decode an image into levels, uint8 (3, height, width), unless its header says another shape than `shape`."""
    image_module = import_extra("PIL.Image", "images")
    crop = crop or Crop()
    with warnings.catch_warnings(), reading(name, DataError, "save the image again"):
        warnings.simplefilter("ignore")  # about sizes and transparency, which are dealt with here
        try:
            image = image_module.open(BytesIO(data), formats=_FORMATS)
        except image_module.UnidentifiedImageError as error:
            raise DataError(
                f"{name} cannot be decoded ({len(data)} bytes): it is no {', '.join(_FORMATS)} image"
            ) from error
        with image:
            _check(image, data, crop, name)
            width, height = _size_after(image.size, crop, name)
            if shape is not None:
                require_shape((3, height, width), shape, name)
            rgb = _cut(image.convert("RGB"), crop, image_module.Resampling.BILINEAR)
    return np.asarray(rgb, np.uint8).transpose(2, 0, 1)


def require_shape(found: tuple[int, ...], shape: tuple[int, ...], name: str) -> None:
    """Refuse an image of another shape than the others."""
    if found != shape:
        raise DataError(
            f"{name} has the shape {found}, but the others have {shape}: all images of a dataset have one "
            f"shape, so resize them first (image folders: resize=256, crop=224)"
        )


def _check(image: Any, data: bytes, crop: Crop, name: str) -> None:
    """Refuse what would not be decoded faithfully, or could fill the memory; only the header was read so far."""
    most = min(_MAX_PIXELS, max(_ALWAYS_PIXELS, _PIXELS_PER_BYTE * len(data)))
    for (width, height), limit in ((image.size, most), (_scaled(image.size, crop), _MAX_PIXELS)):
        if width * height > limit:
            raise DataError(
                f"{name} of {image.size[0]}x{image.size[1]} pixels in {len(data)} bytes would take "
                f"{width}x{height} pixels, over {limit}: make it smaller"
            )
    # Photographs with a second picture for the camera's own use (MPO) have a first one that is meant.
    if image.format in ("PNG", "WEBP") and getattr(image, "is_animated", False):
        raise DataError(f"{name} is an animation of {image.n_frames} frames: save the frame that is meant")
    if data.startswith(_PNG) and data[_PNG_BITS] > 8:
        raise DataError(
            f"{name} has {data[_PNG_BITS]} bits a level, which would be cut to 8: save 8-bit images, or a .npz "
            "file of floats in [0, 1]"
        )


def _size_after(size: tuple[int, int], crop: Crop, name: str) -> tuple[int, int]:
    """Return the width and height that an image has after scaling and cutting."""
    width, height = _scaled(size, crop)
    if crop.crop is None:
        return width, height
    if crop.crop > min(width, height):
        raise DataError(
            f"{name} is {width}x{height}, smaller than crop={crop.crop}: give resize={crop.crop} or more"
        )
    return crop.crop, crop.crop


def _scaled(size: tuple[int, int], crop: Crop) -> tuple[int, int]:
    if crop.resize is None:
        return size
    width, height = size
    short = max(1, min(width, height))
    # The longer side is rounded down, as in the usual evaluation of ImageNet models.
    return crop.resize * width // short, crop.resize * height // short


def _cut(image: Any, crop: Crop, bilinear: Any) -> Any:
    width, height = _scaled(image.size, crop)
    if crop.resize is not None:
        image = image.resize((width, height), bilinear)
    if crop.crop is not None:
        left, top = round((width - crop.crop) / 2), round((height - crop.crop) / 2)
        image = image.crop((left, top, left + crop.crop, top + crop.crop))
    return image
