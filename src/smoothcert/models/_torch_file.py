"""PyTorch's checkpoint files, read so that they can neither run code nor fill the memory."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import torch

from smoothcert.errors import CheckpointError

# The largest published checkpoint of a known architecture, with its optimizer, has 0.2 GB.
_MAX_BYTES = 2 << 30
_ZIP = b"PK\x03\x04"


class _NumpyScalar:
    """In place of NumPy's numbers, which trainings keep beside the weights and no model needs: holds nothing."""

    def __init__(self, *arguments: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass


# Nothing of NumPy is called with what a file holds.
_INERT: list[Any] = [
    (_NumpyScalar, name)
    for name in ("numpy.dtype", "numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")
]


def read_checked(path: Path) -> bytes:
    """Read a checkpoint file, unless it is something else that downloads leave behind."""
    try:
        size = path.stat().st_size
        if not path.is_file():
            raise CheckpointError(f"{path} is not a regular file: give a checkpoint file")
        if size > _MAX_BYTES:
            raise CheckpointError(f"{path} has {size} bytes, over {_MAX_BYTES}: no known architecture is so large")
        data = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from error
    start = data[:512].lstrip().lower()
    if not data:
        raise CheckpointError(f"{path} is empty: download it again")
    if start.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        raise CheckpointError(
            f"{path} looks like a web page: {len(data)} bytes of HTML, as download sites send instead of a file; "
            "download it again in a browser"
        )
    if start.startswith(b"version https://git-lfs"):
        raise CheckpointError(
            f"{path} is a Git LFS pointer of {len(data)} bytes: fetch the file with git lfs pull"
        )
    if len(data) < 128:
        raise CheckpointError(f"{path} has {len(data)} bytes, too few for a checkpoint: download it again")
    return data


def load_plain(data: bytes, path: Path) -> Any:
    """Return what is in a file of ``torch.save``, if it is tensors and plain Python objects."""
    if data.startswith(_ZIP):
        _refuse_inflating_records(data, path)
    elif data[:1] != b"\x80":
        raise CheckpointError(
            f"{path} ({len(data)} bytes) is neither a PyTorch nor a safetensors file: it starts with {data[:8]!r}"
        )
    try:
        with torch.serialization.safe_globals(_INERT):
            return torch.load(BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # a parser of hostile bytes can raise anything
        wanted = re.search(r"GLOBAL (\S+)", str(error))
        if wanted is not None:
            raise CheckpointError(
                f"{path} wants to run {wanted[1]}, which is no tensor data, and was not loaded: "
                "ask for a checkpoint of plain tensors, or re-save its state dict as safetensors"
            ) from error
        reason = f"{type(error).__name__}: {str(error)[-300:]}"
        raise CheckpointError(f"{path} ({len(data)} bytes) is damaged or no checkpoint: {reason}") from error


def parse_torch_file(data: bytes, path: Path) -> Mapping[Any, Any]:
    """Return the dict with `arch` and `state_dict` in a file of ``torch.save``."""
    content = load_plain(data, path)
    if not isinstance(content, Mapping) or not isinstance(content.get("state_dict"), Mapping):
        raise CheckpointError(f"{path} holds no dict with 'arch' and 'state_dict', but {_describe(content)}")
    if not isinstance(content.get("arch"), str):
        raise CheckpointError(
            f"{path} does not name its architecture: give arch (--arch), or re-save it with 'arch' beside "
            "'state_dict'"
        )
    return content


def _refuse_inflating_records(data: bytes, path: Path) -> None:
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            records = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError) as error:
        raise CheckpointError(f"{path} ({len(data)} bytes) is damaged: {error}; download it again") from error
    for record in records:
        if record.compress_type != zipfile.ZIP_STORED or record.file_size != record.compress_size:
            raise CheckpointError(
                f"{path} has the compressed record {record.filename!r}, which torch.save never writes and which "
                f"can inflate without bound ({record.compress_size} to {record.file_size} bytes): not loaded"
            )
    total = sum(record.file_size for record in records)
    if total > len(data):
        raise CheckpointError(
            f"{path} has records of {total} bytes together in a file of {len(data)}: they overlap, not loaded"
        )


def _describe(content: object) -> str:
    if isinstance(content, Mapping):
        tensors = sum(isinstance(value, torch.Tensor) for value in content.values())
        return f"a bare dict of {len(content)} entries, {tensors} of them tensors: give arch (--arch)"
    return f"a {type(content).__name__}"
