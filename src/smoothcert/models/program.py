"""Programs that ``torch.export`` saved."""

from __future__ import annotations

import functools
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from smoothcert.classifiers import in_one_line, quiet
from smoothcert.errors import CheckpointError, reading

__all__ = ["load_program"]

_MAX_BYTES = 2 << 30
_RUNS = ("custom_obj_", "opaque_obj_", "aotinductor/", "executorch/")  # pickled objects and compiled code


def load_program(path: Path) -> torch.nn.Module:
    """Load a ``.pt2`` file: operators of PyTorch's and tensors, but no pickled objects and no compiled code.

    Raises
    ------
    CheckpointError
        When the file is damaged, or holds what would be run to load it.
    """
    with reading(path, CheckpointError, "give a file of torch.export.save"):
        if not path.is_file() or path.stat().st_size > _MAX_BYTES:
            raise CheckpointError(f"{path} is no regular file of at most {_MAX_BYTES} bytes: give a .pt2 file")
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    for name in names:
        if any(part in name for part in _RUNS):
            raise CheckpointError(
                f"{path} holds {name.rpartition('/')[2]!r}, which would be run to load it: export a program of "
                "PyTorch's operators and tensors alone"
            )
    try:
        with quiet(), _tensors_only():
            return torch.export.load(path).module()
    except Exception as error:  # whatever the parser makes of damage
        raise CheckpointError(
            f"{path} cannot be loaded ({in_one_line(error)[:300]}): save it with torch.export.save"
        ) from error


@contextmanager
def _tensors_only() -> Iterator[None]:
    """Let nothing be unpickled but tensors: ``torch.export.load`` asks for anything."""
    load = torch.load

    @functools.wraps(load)
    def plain(*arguments: Any, **options: Any) -> Any:
        return load(*arguments, **{**options, "weights_only": True})

    torch.load = plain
    try:
        yield
    finally:
        torch.load = load
