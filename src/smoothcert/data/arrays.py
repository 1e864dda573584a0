"""Datasets in .npz files."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

import numpy as np
from numpy.typing import NDArray

from smoothcert._unit_range import layout_problem
from smoothcert.data.dataset import MAX_CLASSES, Dataset
from smoothcert.data.inputs import ArrayInputs, LazyInputs, UInt8Images
from smoothcert.errors import DataError, reading

_ALWAYS_BYTES = 1 << 26
_INFLATION = 64  # zlib reaches 1032 on nothing but zeros; 8-bit digits reach 6
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def read_npz(path: Path) -> Dataset:
    """Read arrays `x` (m, *shape), uint8 or float in [0, 1], and `y` (m,), integers; classes are 0 .. max(y)."""
    with reading(path, DataError, "give a .npz file of plain arrays x and y"), ZipFile(path) as archive:
        if missing := {"x", "y"} - {name.removesuffix(".npy") for name in archive.namelist()}:
            raise DataError(f"{path} has arrays without {sorted(missing)}: give x and y")
        most = max(_ALWAYS_BYTES, _INFLATION * path.stat().st_size)
        for name, kinds, remedy in (
            ("x", "fu", "give uint8 levels or floats in [0, 1]"),
            ("y", "iu", "give integers, the classes 0, 1, …"),
        ):
            _check_header(archive, name, kinds, remedy, most, path)
        x, y = (_read(archive, name) for name in ("x", "y"))
    if x.ndim < 2 or y.shape != (len(x),):
        raise DataError(f"{path} has x of shape {x.shape} and y of shape {y.shape}: give (m, *shape) and (m,)")
    if not x.size:
        raise DataError(f"{path} has x of shape {x.shape}, no inputs: give at least 1")
    least, most = int(y.min()), int(y.max())
    if least < 0 or most >= MAX_CLASSES:
        odd = least if least < 0 else most
        raise DataError(f"{path} has the label {odd} in y: give classes 0 .. {MAX_CLASSES - 1}")
    num_classes = max(most + 1, 2)
    return Dataset(path.stem, _inputs(x, path), y, tuple(str(c) for c in range(num_classes)))


def _check_header(archive: ZipFile, name: str, kinds: str, remedy: str, most: int, path: Path) -> None:
    """Refuse an array of another type or size than it may have, before there is memory for it."""
    member = archive.getinfo(f"{name}.npy")
    if member.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        raise DataError(f"{path} has {name} in a compression that numpy.savez never writes: save it again")
    if member.file_size > most:
        raise DataError(
            f"{path} has {name} of {member.file_size} bytes, over {most}, packed into {member.compress_size}: "
            "save it by numpy.savez, which does not compress"
        )
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        if version not in _HEADERS:
            raise DataError(f"{path} has {name} in format {version}: give a plain array")
        shape, _, dtype = _HEADERS[version](file)
        size = member.file_size - file.tell()
    if dtype.hasobject or dtype.kind not in kinds:
        raise DataError(f"{path} has {name} of type {dtype}, and takes plain arrays: {remedy}")
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != size:
        raise DataError(f"{path} has {name} of shape {shape} and type {dtype} in {size} bytes: it is damaged")


def _read(archive: ZipFile, name: str) -> NDArray[Any]:
    with archive.open(f"{name}.npy") as file:
        array: NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
    return array


def _inputs(x: NDArray[Any], path: Path) -> LazyInputs:
    if problem := layout_problem(x.shape):
        raise DataError(f"{path} has x of {problem}")
    if x.dtype == np.uint8:
        return UInt8Images(x)
    if x.dtype.kind != "f":
        raise DataError(f"{path} has x of type {x.dtype}: give uint8 levels or floats in [0, 1]")
    return ArrayInputs(x, str(path))
