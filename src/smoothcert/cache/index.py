"""The index of a cache: a line for each part, in order."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smoothcert.cache.files import read_regular
from smoothcert.errors import CacheCorruptError

__all__ = [
    "PartEntry",
    "checked_line",
    "checked_records",
    "decode_text",
    "index_line",
    "parse_line",
    "read_index",
    "whole_lines",
]

_PART_NAME = re.compile(r"part-[0-9a-f]{32}\.parquet")
_HEX64 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class PartEntry:
    """A line of the index: a part that was written whole.

    Attributes
    ----------
    name : str
        File name in ``parts/``.
    sha256 : str
        Hash of the file.
    size : int
        Bytes of the file.
    keys : list of bytes
        Keys of its inputs, in order.
    """

    name: str
    sha256: str
    size: int
    keys: list[bytes]


def index_line(number: int, entry: PartEntry) -> str:
    """Return a line of the index."""
    return checked_line(
        {
            "number": number,
            "part": entry.name,
            "sha256": entry.sha256,
            "bytes": entry.size,
            "keys": [key.hex() for key in entry.keys],
        }
    )


def read_index(path: Path) -> list[PartEntry]:
    """Read and check the index; CacheCorruptError names the line that was changed."""
    return [
        PartEntry(r["part"], r["sha256"], r["bytes"], [bytes.fromhex(key) for key in r["keys"]])
        for r in checked_records(path, _is_entry)
    ]


def checked_line(record: dict[str, Any]) -> str:
    """Return a numbered record as a line; its own checksum comes first, so that a flipped bit shows."""
    text = json.dumps(record, separators=(",", ":"))
    return f"{hashlib.sha256(text.encode()).hexdigest()[:16]} {text}"


def checked_records(path: Path, legal: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
    """Read what `checked_line` wrote; CacheCorruptError names the line that was changed."""
    if not path.exists():
        return []
    records = []
    for number, line in enumerate(whole_lines(path)):
        checksum, _, text = line.partition(" ")
        record = parse_line(text, path) if hashlib.sha256(text.encode()).hexdigest()[:16] == checksum else {}
        if record.get("number") != number or not legal(record):
            raise CacheCorruptError(
                f"{path} was changed in line {number + 1}: restore it, or certify into another folder"
            )
        records.append(record)
    return records


def _is_entry(record: dict[str, Any]) -> bool:
    return (
        isinstance(record.get("part"), str)
        and _PART_NAME.fullmatch(record["part"]) is not None
        and _HEX64.fullmatch(str(record.get("sha256"))) is not None
        and isinstance(record.get("bytes"), int)
        and isinstance(record.get("keys"), list)
        and all(_HEX64.fullmatch(str(key)) is not None for key in record["keys"])
    )


def whole_lines(path: Path) -> list[str]:
    """Return the whole lines; a last one without its end was torn by a crash and never counted."""
    text = decode_text(read_regular(path, at_most=1 << 32), path)
    return text[: text.rfind("\n") + 1].splitlines()


def parse_line(text: str, path: Path) -> dict[str, Any]:
    """Parse one JSON object; what is none has no fields."""
    try:
        record = json.loads(text)
    except ValueError as error:
        raise CacheCorruptError(f"{path} was changed: {error}") from error
    return record if isinstance(record, dict) else {}


def decode_text(data: bytes, path: Path) -> str:
    """Decode UTF-8, or say which file was changed."""
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise CacheCorruptError(f"{path} was changed: it is not text") from error
