"""Inputs that are read one by one, from data sets and lists of whatever form."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smoothcert._unit_range import layout_problem, range_problem
from smoothcert.errors import InvalidArgumentError
from smoothcert.sampling.labels import label_array, label_of_one
from smoothcert.sampling.values import depth, float_values, is_image, is_sequence

__all__ = [
    "RowsOnDemand",
    "columns_of",
    "is_row",
    "length_of",
    "parts_of_row",
    "require_shape",
    "require_unit_range",
]

_INPUTS = ("pixel_values", "image", "images", "img", "x", "inputs")
_LABELS = ("label", "labels", "fine_label", "y", "target", "targets")
_LOOK_FURTHER = 64  # inputs whose range says what the values are, where one leaves [0, 1]


class RowsOnDemand:
    """Inputs that a data set makes when they are asked for; each must come out as it did the first time.

    Making one reads every item once, for its form, its range and its label.

    Parameters
    ----------
    items : sequence
        Gives items 0 .. m - 1: an input, a pair of an input and a label, or a mapping with columns for them.

    Attributes
    ----------
    shape : tuple of int
        (m, *shape).
    labels : ndarray of int64, shape (m,), or None
        The items' labels, where all have one.

    Raises
    ------
    InvalidArgumentError
        When an item is no input in [0, 1], or of another shape than the first.
    """

    def __init__(self, items: Any) -> None:
        self._items = items
        self._digests: list[bytes] = []
        self.shape: tuple[int, ...] = (length_of(items), *self._read(0)[0].shape)
        labels: list[int | None] = []

        def rows() -> Iterator[NDArray[np.float32]]:
            for i in range(len(self)):
                row, label = self._read(i)
                require_shape(row.shape, self.shape[1:], i)
                self._digests.append(_digest(row))
                labels.append(label)
                yield row

        require_unit_range(rows())
        self.labels = None if None in labels else label_array(labels, len(self))

    def __len__(self) -> int:
        """Return their number m."""
        return self.shape[0]

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        """Yield the inputs one by one."""
        return (self[i] for i in range(len(self)))

    def __getitem__(self, index: int, /) -> NDArray[np.float32]:
        """Return one input, float32 of shape (*shape)."""
        i = range(len(self))[index]
        row, _ = self._read(i)
        # Noise and votes belong to the first reading; a random flip would put them beside another input.
        if _digest(row) != self._digests[i]:
            raise InvalidArgumentError(
                f"x[{i}] is another input each time it is read: leave random transforms out of the data set"
            )
        return row

    def _read(self, i: int) -> tuple[NDArray[np.float32], int | None]:
        value, label = parts_of_row(self._items[i], f"x[{i}]")
        row = float_values(value, f"x[{i}]")
        if row.ndim == 0 or row.size == 0:
            raise InvalidArgumentError(f"x[{i}] has shape {row.shape}: an input is an array, such as an image")
        if layout_problem((1, *row.shape)):
            raise InvalidArgumentError(
                f"x[{i}] has shape {row.shape}, channels last: give it with channels first, "
                "item.transpose(2, 0, 1)"
            )
        return row, label_of_one(label, f"x[{i}]")


def length_of(items: Any) -> int:
    """Return the number of items, at least 1."""
    try:
        m = len(items)
    except (TypeError, NotImplementedError) as error:
        raise InvalidArgumentError(
            f"x is of type {type(items).__name__}, without a length: give list(itertools.islice(x, m)), or a "
            "data set with __len__"
        ) from error
    if m == 0:
        raise InvalidArgumentError(f"x is an empty {type(items).__name__}: give at least one input")
    return m


def is_row(item: Any) -> bool:
    """Whether an item of a list is an input with a label, an image or text, rather than numbers."""
    if is_image(item) or isinstance(item, Mapping | str | bytes | PurePath):
        return True
    if not is_sequence(item) or len(item) != 2:
        return False
    return is_image(item[0]) or depth(item[0]) > depth(item[1]) == 0


def parts_of_row(item: Any, name: str) -> tuple[Any, Any]:
    """Return the input and the label, or None, of one item of a data set."""
    if isinstance(item, Mapping):
        return columns_of(item, name)
    if isinstance(item, str | bytes | PurePath):
        raise InvalidArgumentError(
            f"{name} is {item!r:.60}: give arrays or images; smoothcert.data.load_dataset reads a folder of images"
        )
    if isinstance(item, list) and len(item) == 2 and depth(item[0]) > depth(item[1]):
        return item[0], item[1]
    if not isinstance(item, tuple) or not item or depth(item[0]) == 0:  # a list is nested numbers otherwise
        return item, None
    if len(item) > 2:
        raise InvalidArgumentError(f"{name} has {len(item)} parts: give pairs of an input and a label")
    return (item[0], item[1]) if len(item) == 2 else (item[0], None)


def columns_of(columns: Mapping[str, Any], name: str) -> tuple[Any, Any]:
    """Return the column of inputs and the column of labels, or None."""
    key = next((key for key in _INPUTS if key in columns), None)
    value = columns if key is None else columns[key]
    if isinstance(value, Mapping) and "bytes" in value:
        raise InvalidArgumentError(
            f"{name} is an encoded image: decode the column, x.cast_column({key or 'img'!r}, datasets.Image())"
        )
    if key is None:
        known = ", ".join(map(str, list(columns)[:10]))
        raise InvalidArgumentError(
            f"{name} has {known} and none of {', '.join(_INPUTS)}: name the column of the inputs so, or give one "
            "of these by itself"
        )
    return value, next((columns[key] for key in _LABELS if key in columns), None)


def require_shape(shape: tuple[int, ...], first: tuple[int, ...], i: int) -> None:
    """Refuse input i where its shape is not that of the first."""
    if shape != first:
        raise InvalidArgumentError(
            f"x[{i}] has shape {shape}, but x[0] {first}: resize or crop the inputs to one shape, or certify each "
            "shape in a call of its own"
        )


def require_unit_range(rows: Iterable[NDArray[np.float32]]) -> None:
    """Refuse inputs that are not finite or not in [0, 1], with what their range says of them."""
    if isinstance(rows, np.ndarray) and rows.min() >= 0 and rows.max() <= 1:
        return
    remaining = enumerate(rows)
    for i, row in remaining:
        low, high = float(row.min()), float(row.max())
        if not (np.isfinite(low) and np.isfinite(high)):
            raise InvalidArgumentError(
                f"x[{i}] has NaN or infinite values: inputs are finite; repair it or leave it out"
            )
        if range_problem(low, high):
            for _, other in islice(remaining, _LOOK_FURTHER):
                low, high = min(low, float(other.min())), max(high, float(other.max()))
            raise InvalidArgumentError(f"x{f' from x[{i}] on' if i else ''} has {range_problem(low, high)}")


def _digest(row: NDArray[np.float32]) -> bytes:
    return hashlib.blake2b(row.tobytes(), digest_size=16).digest()
