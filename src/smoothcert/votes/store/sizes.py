"""How many samples of each input, kept beside the votes for a call that continues."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smoothcert._folders import exists
from smoothcert._records import RecordFormat, is_hex, is_int, is_list
from smoothcert.errors import CacheError, CacheMismatchError

__all__ = ["SIZES_FILE", "kept_sizes"]

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
    inputs = hashlib.sha256(b"".join(keys)).hexdigest()
    record = replace(_FORMAT, at_most=_FORMAT.at_most + 32 * len(keys))
    if not exists(folder, SIZES_FILE):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CacheError(f"{folder} cannot be made: {error.strerror}; name another folder") from error
        record.write(folder, SIZES_FILE, {"inputs": inputs, "n": sizes.tolist()})
        return sizes
    kept = record.read(folder, SIZES_FILE)
    if kept["inputs"] != inputs or len(kept["n"]) != len(sizes):
        raise CacheMismatchError(f"{folder} was made with other inputs: give the same, or another folder")
    return np.array(kept["n"], dtype=np.int64)
