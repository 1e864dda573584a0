"""Files of lines that are only added to, each line a JSON object with a checksum."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from smoothcert._files import append_to, read_lines
from smoothcert._records import is_int, parse_object
from smoothcert.errors import CacheCorruptError, reading

__all__ = ["append_line", "checked_line", "checked_records", "intact_records"]

_CHECKSUM = 16
_LONGEST = 1 << 23  # the keys of a part take a little more than half of it, where it holds the most that it can


def checked_line(record: dict[str, Any]) -> str:
    """Return a record as a line; its own checksum comes first, so that a flipped bit shows."""
    text = json.dumps(record, separators=(",", ":"), allow_nan=False)
    return f"{_checksum(text.encode()).decode()} {text}"


def append_line(folder: Path, name: str, record: dict[str, Any]) -> None:
    """Add a record to a file, durably; a line that a crash tore is cut off first."""
    append_to(folder, name, checked_line(record).encode(), _is_whole)


def checked_records(
    folder: Path, name: str, legal: Callable[[dict[str, Any]], bool]
) -> tuple[list[dict[str, Any]], bool]:
    """Read numbered records, and say whether a crash tore a last line, which never counted."""
    path = folder / name
    records: list[dict[str, Any]] = []
    for number, line in enumerate(read_lines(folder, name, longest=_LONGEST)):
        record = None
        if _is_whole(line):
            with reading(path):
                record = parse_object(line[_CHECKSUM:])
        elif not line.endswith(b"\n"):
            return records, True
        if record is None or not is_int(number, number + 1)(record.get("number")) or not legal(record):
            raise CacheCorruptError(
                f"{path} was changed in line {number + 1}: restore it, or certify into another folder"
            )
        records.append(record)
    return records, False


def intact_records(folder: Path, name: str) -> Iterator[dict[str, Any]]:
    """Yield the records that can be read, of lines that nothing depends on; older ones have no checksum."""
    for line in read_lines(folder, name, longest=_LONGEST):
        text = line[_CHECKSUM:] if _is_whole(line) else line
        try:
            yield parse_object(text)
        except (ValueError, RecursionError):
            continue


def _is_whole(line: bytes) -> bool:
    line = line.removesuffix(b"\n")
    return line[_CHECKSUM : _CHECKSUM + 1] == b" " and line[:_CHECKSUM] == _checksum(line[_CHECKSUM + 1 :])


def _checksum(text: bytes) -> bytes:
    return hashlib.sha256(text).hexdigest()[:_CHECKSUM].encode()
