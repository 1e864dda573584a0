"""Weights that an ONNX model keeps in files beside it: read from its own folder alone, and put inside."""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from smoothcert._folders import open_folder, open_in
from smoothcert.errors import CheckpointError, import_extra, reading

__all__ = ["MAX_BYTES", "embed_weights", "external_tensors"]

MAX_BYTES = 2**31 - 1  # a protobuf cannot be larger
_REMEDY = "save it again with all weights inside, as by onnx.save_model(onnx.load(path), new_path)"

_PACKED = ("int4", "int2", "float4", "float6")  # several values in a byte


@dataclass(frozen=True)
class _Range:
    """Where a tensor's bytes are said to lie."""

    tensor: Any
    location: str
    start: int
    size: int

    @property
    def stop(self) -> int:
        return self.start + self.size


def external_tensors(model: Any) -> list[Any]:
    """List the tensors of a model whose values are in another file, wherever they are named."""
    onnx = import_extra("onnx", "onnx")
    tensors = _inside(model, onnx.TensorProto)
    return [tensor for tensor in tensors if tensor.data_location == onnx.TensorProto.EXTERNAL]


def embed_weights(path: Path, model: Any, tensors: list[Any]) -> bytes:
    """Read the tensors' values from files in the folder of the model's, and return the model with them inside."""
    # All claims are compared with each other and with the files' sizes before anything is read.
    ranges = [_claimed(path, tensor) for tensor in tensors]
    total = model.ByteSize() + sum(each.size for each in ranges)
    if total > MAX_BYTES:
        raise CheckpointError(f"{path} has {total} bytes with its weights: an ONNX model has at most {MAX_BYTES}")
    _refuse_overlaps(path, ranges)
    with ExitStack() as opened:
        files = {name: _open(path, name, opened) for name in dict.fromkeys(each.location for each in ranges)}
        for each in ranges:
            have = os.fstat(files[each.location]).st_size
            if each.stop > have:
                raise CheckpointError(
                    f"{path} says that tensor {each.tensor.name!r} ends at byte {each.stop} of {each.location!r}, "
                    f"which has {have} bytes: restore that file"
                )
        for each in ranges:
            _fill(path, each, files[each.location])
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def _claimed(path: Path, tensor: Any) -> _Range:
    """Return where a tensor's bytes are, checked as far as the model alone tells."""
    onnx = import_extra("onnx", "onnx")
    said = {entry.key: entry.value for entry in tensor.external_data}
    location = said.get("location", "")
    # A name, or folders and a name: no "..", no root, nothing that a system may read in two ways.
    if any(part in ("", ".", "..") for part in location.split("/")) or "\\" in location or "\0" in location:
        raise CheckpointError(
            f"{path} keeps weights at {location!r}, which is no plain name of a file in its folder: {_REMEDY}"
        )
    with reading(path, CheckpointError, _REMEDY):
        dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
        start, length = int(said.get("offset", "0")), int(said.get("length", "-1"))
    packed = dtype.kind == "O" or any(bits in dtype.name for bits in _PACKED)
    if packed or any(size < 0 for size in tensor.dims):
        raise CheckpointError(f"{path} keeps tensor {tensor.name!r} of type {dtype} in another file: {_REMEDY}")
    size = math.prod(tensor.dims) * dtype.itemsize
    if start < 0 or length != (size if "length" in said else -1):
        raise CheckpointError(
            f"{path} says that tensor {tensor.name!r} has {length} bytes from byte {start} of {location!r}, but "
            f"its type and shape need {size}: {_REMEDY}"
        )
    return _Range(tensor, location, start, size)


def _refuse_overlaps(path: Path, ranges: list[_Range]) -> None:
    """Refuse two tensors of the same bytes: a small file could name its own ones again and again."""
    ordered = sorted((each for each in ranges if each.size), key=lambda each: (each.location, each.start))
    for one, other in pairwise(ordered):
        if one.location == other.location and one.stop > other.start:
            raise CheckpointError(
                f"{path} puts tensors {one.tensor.name!r} and {other.tensor.name!r} on the same bytes of "
                f"{one.location!r}: {_REMEDY}"
            )


def _open(path: Path, location: str, opened: ExitStack) -> int:
    """Open a file below the model's folder, following no link."""
    place, remedy = path.parent / location, f"put the file itself there, or, with all files at hand, {_REMEDY}"
    with reading(place, CheckpointError, remedy), open_folder(path.parent, location) as (folder, name):
        descriptor = open_in(name, os.O_RDONLY | os.O_NONBLOCK, folder)
    opened.callback(os.close, descriptor)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise CheckpointError(f"{path} keeps weights at {location!r}, which is not a regular file: {_REMEDY}")
    return descriptor


def _fill(path: Path, each: _Range, descriptor: int) -> None:
    """Put a tensor's bytes inside."""
    with reading(path.parent / each.location, CheckpointError):
        chunks, done = [], 0
        while done < each.size and (chunk := os.pread(descriptor, each.size - done, each.start + done)):
            chunks.append(chunk)
            done += len(chunk)
    if done < each.size:
        raise CheckpointError(f"{path.parent / each.location} became shorter while it was read: restore it")
    each.tensor.raw_data = b"".join(chunks)
    each.tensor.ClearField("external_data")
    each.tensor.ClearField("data_location")


def _inside(message: Any, kind: type) -> Iterator[Any]:
    """Yield all messages of a kind inside another, wherever they are."""
    pending = [message]
    while pending:
        found = pending.pop()
        if isinstance(found, kind):
            yield found
            continue
        for field, value in found.ListFields():
            if field.message_type is not None:
                pending += value if isinstance(value, Sequence) else [value]
