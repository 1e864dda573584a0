"""How many samples of each input, kept beside the votes for a call that continues."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smoothcert._folders import exists
from smoothcert._records import RecordFormat, is_hex, is_int, is_list
from smoothcert.errors import CacheError, CacheMismatchError

__all__ = ["SIZES_FILE", "kept_sizes", "read_sizes"]

SIZES_FILE = "guided-plan.json"

_FORMAT = RecordFormat(
    name="smoothcert-guided-plan",
    version=2,
    bare=True,
    legal={"inputs": is_hex, "n": is_list(is_int(0, 10**8 + 1))},
)


def kept_sizes(folder: Path, keys: list[bytes], sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the numbers that a folder keeps for these inputs; keep the given ones where it has none.

    Raises
    ------
    CacheError
        When the folder was made with other inputs, its file was changed, or it cannot be written.
    """
    inputs, kept = hashlib.sha256(b"".join(keys)).hexdigest(), read_sizes(folder, len(keys))
    if kept is None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CacheError(f"{folder} cannot be made: {error.strerror}; name another folder") from error
        _format(len(keys)).write(folder, SIZES_FILE, {"inputs": inputs, "n": sizes.tolist()})
        return sizes
    if kept["inputs"] != inputs or len(kept["n"]) != len(sizes):
        raise CacheMismatchError(f"{folder} was made with other inputs: give the same, or another folder")
    return np.array(kept["n"], dtype=np.int64)


def read_sizes(folder: Path, inputs: int) -> dict[str, Any] | None:
    """Read and check the numbers that a folder keeps for so many inputs; None where it keeps none."""
    return _format(inputs).read(folder, SIZES_FILE) if exists(folder, SIZES_FILE) else None


def _format(inputs: int) -> RecordFormat:
    return replace(_FORMAT, at_most=_FORMAT.at_most + 32 * inputs)
