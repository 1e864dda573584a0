"""Labels of a cache's inputs, where they came with them: comparisons then need no data set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smoothcert._folders import exists
from smoothcert._records import RecordFormat, is_hex, is_int, is_list

__all__ = ["keep_labels", "read_labels"]

_LABELS = "labels.json"
_FORMAT = RecordFormat(
    name="smoothcert-labels",
    version=1,
    legal={"keys": is_list(is_hex), "labels": is_list(is_int(-1, 1 << 16))},
    at_most=1 << 28,
)


def keep_labels(cache: Path, keys: list[bytes], labels: NDArray[np.int64]) -> None:
    """Write the labels of inputs beside their votes, with those that are there."""
    known = read_labels(cache)
    mine = dict(zip(keys, labels.tolist(), strict=True))
    if not mine.items() <= known.items():
        known |= mine
        fields = {"keys": [key.hex() for key in known], "labels": list(known.values())}
        _FORMAT.write(cache, _LABELS, fields)


def read_labels(cache: Path) -> dict[bytes, int]:
    """Read the labels of a cache's inputs by key, as far as they are known.

    Raises
    ------
    CacheCorruptError
        When they were changed.
    """
    if not exists(cache, _LABELS):
        return {}
    fields = _FORMAT.read(cache, _LABELS)
    return dict(zip(map(bytes.fromhex, fields["keys"]), fields["labels"], strict=False))
