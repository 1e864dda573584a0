"""Lazy arrays of inputs: compact in memory, float32 in [0, 1] on access."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smoothcert._unit_range import from_levels, range_problem
from smoothcert.data._decode import MAX_IMAGE_BYTES, Crop, decode_image
from smoothcert.errors import DataError, reading

__all__ = ["ArrayInputs", "EncodedImages", "FolderImages", "Images", "LazyInputs", "UInt8Images"]

_IN_MEMORY_BYTES = 2 << 30


class LazyInputs(ABC):
    """A read-only array (m, *shape) of float32 in [0, 1] whose values are made when they are looked at.

    An int gives one input (*shape); a slice, an array of ints or an array of m bools gives several (k, *shape).

    Attributes
    ----------
    shape : tuple of int
        (m, *shape).
    dtype : numpy.dtype
        Always float32.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[np.float32] = np.dtype(np.float32)

    def __len__(self) -> int:
        """Return the number of inputs m."""
        return self.shape[0]

    def __getitem__(self, index: int | np.integer | slice | ArrayLike) -> NDArray[np.float32]:
        """Return one input (*shape) for an int, else several (k, *shape)."""
        rows = np.arange(len(self))[index]  # type: ignore[index]
        values = self._read(np.atleast_1d(rows))
        return values if np.ndim(rows) else values[0]

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        """Go through the inputs, one at a time."""
        return (self[i] for i in range(len(self)))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Make all of them at once, for ``numpy.asarray``."""
        values = self[:]
        return values if dtype is None else values.astype(dtype)

    @abstractmethod
    def select(self, indices: NDArray[np.int64]) -> LazyInputs:
        """Return the inputs at these positions, as lazy as before."""

    def in_memory(self) -> LazyInputs:
        """Decode all inputs once, into the most compact array, where that leaves room for the rest."""
        return self

    @abstractmethod
    def _read(self, indices: NDArray[np.int64]) -> NDArray[np.float32]: ...


class ArrayInputs(LazyInputs):
    """LazyInputs that are already numbers in [0, 1].

    Parameters
    ----------
    values : ndarray of float, shape (m, *shape)
        The inputs.
    source : str
        What to call them in an error.

    Raises
    ------
    DataError
        When a value is NaN, infinite or outside [0, 1].

    Examples
    --------
    >>> import numpy as np
    >>> inputs = ArrayInputs(np.linspace(0, 1, 6).reshape(3, 2))
    >>> inputs.shape, inputs[1:].dtype
    ((3, 2), dtype('float32'))
    >>> ArrayInputs(np.array([[0.0, 255.0]]), source="scan.npz")
    Traceback (most recent call last):
        ...
    smoothcert.errors.DataError: scan.npz has values in [0, 255], but inputs are in [0, 1]: they look like 8-bit
    levels, so divide by 255, and give sigma in the new units
    """

    def __init__(self, values: NDArray[np.floating], source: str = "the array") -> None:
        _check_unit_range(values, source)
        self._values = values.astype(np.float32)
        self.shape = self._values.shape

    def select(self, indices: NDArray[np.int64]) -> ArrayInputs:
        """Return the inputs at these positions."""
        return ArrayInputs(self._values[indices])

    def _read(self, indices: NDArray[np.int64]) -> NDArray[np.float32]:
        return self._values[indices]


def _check_unit_range(values: NDArray[np.floating], source: str) -> None:
    finite = np.isfinite(values)
    if not finite.all():
        where = np.unravel_index(int(np.argmin(finite)), values.shape)
        position = tuple(int(i) for i in where)
        raise DataError(f"{source} has the value {values[where]} at {position}: inputs are finite, in [0, 1]")
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
    if problem := range_problem(low, high):
        raise DataError(f"{source} has {problem}")


class Images(LazyInputs):
    """Images of 256 levels, scaled to k / 255 on access."""

    @abstractmethod
    def pixels(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return the levels of the images at these positions, uint8 (k, *shape)."""

    def in_memory(self) -> Images:
        """Decode all images once, into 8 bits a value, unless those are more than 2 GiB."""
        if math.prod(self.shape) > _IN_MEMORY_BYTES:
            return self
        return UInt8Images(self.pixels(np.arange(len(self))))

    def _read(self, indices: NDArray[np.int64]) -> NDArray[np.float32]:
        return from_levels(self.pixels(indices))


class UInt8Images(Images):
    """Decoded images, one byte a value in memory.

    Parameters
    ----------
    levels : ndarray of uint8, shape (m, *shape)
        The levels k.

    Examples
    --------
    >>> import numpy as np
    >>> images = UInt8Images(np.array([[[[0, 51, 255]]]], np.uint8))
    >>> images[0]
    array([[[0. , 0.2, 1. ]]], dtype=float32)
    """

    def __init__(self, levels: NDArray[np.uint8]) -> None:
        self._levels = levels
        self.shape = levels.shape

    def select(self, indices: NDArray[np.int64]) -> UInt8Images:
        """Return the images at these positions."""
        return UInt8Images(self._levels[indices])

    def in_memory(self) -> UInt8Images:
        """Return itself: these images are decoded."""
        return self

    def pixels(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return the levels at these positions."""
        return self._levels[indices]


class EncodedImages(Images):
    """PNG, JPEG or WebP bytes in memory, decoded on access.

    Parameters
    ----------
    encoded : pyarrow.BinaryArray
        One encoded image per row.
    shape : (int, int, int)
        (3, height, width) of every image.
    source : str
        What to call them in an error.
    rows : ndarray of int64, shape (m,), optional
        Their row numbers in `source`, for errors.
    """

    def __init__(
        self, encoded: Any, shape: tuple[int, int, int], source: str, rows: NDArray[np.int64] | None = None
    ) -> None:
        self._encoded = encoded
        self._source = source
        self._rows = np.arange(len(encoded)) if rows is None else rows
        self.shape = (len(encoded), *shape)

    def select(self, indices: NDArray[np.int64]) -> EncodedImages:
        """Return the images at these positions, still encoded."""
        shape = (self.shape[1], self.shape[2], self.shape[3])
        return EncodedImages(self._encoded.take(indices), shape, self._source, self._rows[indices])

    def pixels(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Decode the images at these positions."""
        levels = np.empty((len(indices), *self.shape[1:]), np.uint8)
        for row, i in enumerate(indices.tolist()):
            name = f"image {self._rows[i]} of {self._source}"
            levels[row] = decode_image(self._encoded[i].as_py(), name, shape=self.shape[1:])
        return levels


class FolderImages(Images):
    """PNG, JPEG or WebP files, read and decoded on access.

    Parameters
    ----------
    paths : sequence of Path
        One file per image; there is at least one.
    crop : Crop, optional
        How to bring images to one shape.

    Raises
    ------
    DataError
        When the first image cannot be decoded; for the others that, or another shape, shows on access.
    """

    def __init__(self, paths: Sequence[Path], crop: Crop | None = None) -> None:
        self._paths = tuple(paths)
        self._crop = crop
        self.shape = (len(paths), *self._decode(0).shape)

    def select(self, indices: NDArray[np.int64]) -> FolderImages:
        """Return the images at these positions, still in their files."""
        chosen = object.__new__(FolderImages)
        chosen._paths = tuple(self._paths[i] for i in indices.tolist())
        chosen._crop = self._crop
        chosen.shape = (len(chosen._paths), *self.shape[1:])
        return chosen

    def pixels(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Read and decode the images at these positions."""
        levels = np.empty((len(indices), *self.shape[1:]), np.uint8)
        for row, i in enumerate(indices.tolist()):
            levels[row] = self._decode(i, self.shape[1:])
        return levels

    def _decode(self, i: int, shape: tuple[int, ...] | None = None) -> NDArray[np.uint8]:
        path = self._paths[i]
        with reading(path, DataError, "restore it"), path.open("rb") as file:
            data = file.read(MAX_IMAGE_BYTES + 1)
        if len(data) > MAX_IMAGE_BYTES:
            raise DataError(f"{path} has more than {MAX_IMAGE_BYTES} bytes: it is no image, or make it smaller")
        return decode_image(data, str(path), self._crop, shape)
