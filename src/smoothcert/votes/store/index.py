"""The index of a cache: a line for each part, in order."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smoothcert._records import is_hex, is_int, is_list
from smoothcert.errors import CacheCorruptError
from smoothcert.votes.store.lines import checked_line, checked_records

__all__ = ["INDEX", "PARTS", "PartEntry", "entry_record", "index_line", "part_name", "read_index"]

INDEX, PARTS = "index.jsonl", "parts"

_PART_NAME = re.compile(r"part-[0-9a-f]{32}\.parquet")
_is_size, _is_keys = is_int(0, 1 << 34), is_list(is_hex)


@dataclass(frozen=True)
class PartEntry:
    """A line of the index: a part that was written whole, or the place of one that `repair` dropped.

    Attributes
    ----------
    name : str
        File name in ``parts/``.
    sha256 : str
        Hash of the file; empty for a dropped one.
    size : int
        Bytes of the file; 0 for a dropped one.
    keys : list of bytes
        Keys of its inputs, in order.
    """

    name: str
    sha256: str
    size: int
    keys: list[bytes]

    @property
    def dropped(self) -> bool:
        """Whether it keeps the place of a part that is to be sampled again."""
        return self.size == 0


def part_name(keys: list[bytes]) -> str:
    """Return the file name of the part that holds these inputs.

    Examples
    --------
    >>> part_name([bytes(32)])
    'part-66687aadf862bd776c8fc18b8e9f8e20.parquet'
    """
    return f"part-{hashlib.sha256(b''.join(keys)).hexdigest()[:32]}.parquet"


def entry_record(number: int, entry: PartEntry) -> dict[str, Any]:
    """Return the fields of a line of the index."""
    return {
        "number": number,
        "part": entry.name,
        "sha256": entry.sha256,
        "bytes": entry.size,
        "keys": [key.hex() for key in entry.keys],
    }


def index_line(number: int, entry: PartEntry) -> str:
    """Return a line of the index."""
    return checked_line(entry_record(number, entry))


def read_index(folder: Path) -> tuple[list[PartEntry], bool]:
    """Read and check the index, and say whether a crash tore its last line."""
    records, torn = checked_records(folder, INDEX, _is_entry)
    entries = [
        PartEntry(r["part"], r["sha256"], r["bytes"], [bytes.fromhex(key) for key in r["keys"]]) for r in records
    ]
    seen: set[bytes] = set()
    for number, entry in enumerate(entries):
        if part_name(entry.keys) != entry.name:
            raise CacheCorruptError(
                f"{folder / INDEX} was changed in line {number + 1}: its part has another name"
            )
        if entry.dropped:
            continue
        expected = len(seen) + len(entry.keys)
        seen.update(entry.keys)
        if len(seen) != expected:
            raise CacheCorruptError(f"{folder / INDEX} was changed: line {number + 1} repeats inputs")
    return entries, torn


def _is_entry(record: dict[str, Any]) -> bool:
    whole = is_hex(record.get("sha256"))
    return (
        isinstance(record.get("part"), str)
        and _PART_NAME.fullmatch(record["part"]) is not None
        and _is_size(record.get("bytes"))
        and (whole if record["bytes"] else record.get("sha256") == "")
        and _is_keys(record.get("keys"))
        and record["keys"] != []
    )
