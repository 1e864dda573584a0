"""Datasets in .npz files."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from smoothcert.data.dataset import Dataset
from smoothcert.data.inputs import ArrayInputs, Inputs, UInt8Images
from smoothcert.errors import DataError

_COLOUR_CHANNELS = (1, 3)


def read_npz(path: Path) -> Dataset:
    """Read arrays `x` (m, *shape), uint8 or float in [0, 1], and `y` (m,), integers; classes are 0 .. max(y)."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            missing = {"x", "y"} - set(arrays.files)
            if missing:
                raise DataError(
                    f"{path} has arrays {sorted(arrays.files)}, without {sorted(missing)}: give x and y"
                )
            x, y = arrays["x"], arrays["y"]
    except (ValueError, OSError, EOFError, BadZipFile, KeyError, TypeError) as error:
        raise DataError(f"{path} cannot be read as a .npz file of plain arrays: {error}") from error
    if x.ndim < 2 or y.shape != (len(x),):
        raise DataError(f"{path} has x of shape {x.shape} and y of shape {y.shape}: give (m, *shape) and (m,)")
    if not len(x):
        raise DataError(f"{path} has no inputs: give at least 1")
    if y.dtype.kind not in "iu":
        raise DataError(f"{path} has y of type {y.dtype}: give integers, the classes 0, 1, …")
    num_classes = max(int(y.max()) + 1, 2)
    return Dataset(path.stem, _inputs(x, path), y, tuple(str(c) for c in range(num_classes)))


def _inputs(x: NDArray[Any], path: Path) -> Inputs:
    if x.ndim == 4 and x.shape[1] not in _COLOUR_CHANNELS and x.shape[3] in _COLOUR_CHANNELS:
        raise DataError(f"{path} has x of shape {x.shape}, channels last: give x.transpose(0, 3, 1, 2)")
    if x.dtype == np.uint8:
        return UInt8Images(x)
    if x.dtype.kind != "f":
        raise DataError(f"{path} has x of type {x.dtype}: give uint8 levels or floats in [0, 1]")
    return ArrayInputs(x, str(path))
