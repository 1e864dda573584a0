"""Small JSON records that carry their own digest, and an exact schema to check them against."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from smoothcert._files import read_regular, write_atomic
from smoothcert.errors import CacheCorruptError, CacheError, CacheMismatchError, SmoothcertError, reading

__all__ = [
    "Legal",
    "RecordFormat",
    "digest_of",
    "is_bool",
    "is_hex",
    "is_int",
    "is_list",
    "is_number",
    "is_share",
    "is_text",
    "parse_object",
]

Legal = Callable[[Any], bool]

_HEX64 = re.compile(r"[0-9a-f]{64}")
_HEADER = {"format", "format_version", "digest"}


@dataclass(frozen=True, kw_only=True)
class RecordFormat:
    """A kind of record: a JSON object with the format's name and version, the fields, and their digest."""

    name: str
    version: int  # that is written; all from 1 on are read
    legal: Mapping[str, Legal]  # every field
    optional: Mapping[str, Any] = field(default_factory=dict)  # what fields are that older records lack
    bare: bool = False  # records of version 1 had neither name, version nor digest
    at_most: int = 1 << 20  # bytes
    unreadable: type[SmoothcertError] = CacheCorruptError  # for damage
    other: type[SmoothcertError] = CacheMismatchError  # for another format or version
    unwritable: type[SmoothcertError] = CacheError

    def encode(self, fields: Mapping[str, Any]) -> bytes:
        """Return the record as JSON text; ValueError when it holds NaN or an infinity."""
        header = {"format": self.name, "format_version": self.version, "digest": digest_of(fields)}
        return (json.dumps({**header, **fields}, indent=2, sort_keys=True, allow_nan=False) + "\n").encode()

    def write(self, folder: Path, name: str, fields: Mapping[str, Any]) -> None:
        """Write the record atomically, see `smoothcert._files.write_atomic`."""
        write_atomic(folder, name, self.encode(fields), self.unwritable)

    def read(self, folder: Path, name: str) -> dict[str, Any]:
        """Read and check a record; what older records lack is added."""
        path = folder / name
        data = read_regular(folder, name, at_most=self.at_most, error=self.unreadable)
        with reading(path, self.unreadable):
            fields = parse_object(data)
        header = {key: fields.pop(key) for key in _HEADER & set(fields)}
        bare, digest = self.bare and not header, header.pop("digest", None)
        named = header.get("format"), header.get("format_version")
        if not bare and (named[0] != self.name or type(named[1]) is not int or not 0 < named[1] <= self.version):
            raise self.other(f"{path} has format {named}: this version reads {self.name!r}, 1 to {self.version}")
        self._check_fields(fields, path)
        # Some of version 1 hashed the name and the version too.
        if not bare and digest not in (digest_of(fields), digest_of({**header, **fields})):
            raise self.unreadable(f"{path} was changed: its digest does not match its content; restore it")
        return {**self.optional, **fields}

    def _check_fields(self, fields: dict[str, Any], path: Path) -> None:
        odd = (set(fields) - set(self.legal)) | (set(self.legal) - set(fields) - set(self.optional))
        if odd:
            text = ", ".join(sorted(odd))[:300]
            raise self.unreadable(f"{path} was changed: it has missing or unknown fields: {text}; restore it")
        for key, value in fields.items():
            if not self.legal[key](value):
                text = ascii(value)[:100]
                raise self.unreadable(f"{path} was changed: {key} is {text}, which is not legal; restore it")


def digest_of(fields: Mapping[str, Any]) -> str:
    """Return the SHA-256 of JSON fields, in hexadecimal."""
    return hashlib.sha256(json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def parse_object(data: bytes | str) -> dict[str, Any]:
    """Parse one JSON object; ValueError for anything else, NaN and infinities included.

    Examples
    --------
    >>> parse_object(b'{"gamma": 0.99}')
    {'gamma': 0.99}
    >>> parse_object(b'{"gamma": NaN}')
    Traceback (most recent call last):
        ...
    ValueError: NaN is not JSON
    """
    text = data.decode() if isinstance(data, bytes) else data
    found = json.loads(text, parse_constant=_refuse, parse_float=_finite)
    if not isinstance(found, dict):
        raise ValueError(f"it holds no JSON object, but a {type(found).__name__}")
    return found


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _refuse(text)


def is_int(low: int, high: int) -> Legal:
    """Accept whole numbers in [low, high)."""
    return lambda v: type(v) is int and low <= v < high


def is_number(low: float, high: float) -> Legal:
    """Accept numbers in (low, high]."""
    return lambda v: type(v) in (int, float) and low < v <= high


def is_list(legal: Legal) -> Legal:
    """Accept lists of legal elements."""
    return lambda v: isinstance(v, list) and all(map(legal, v))


def is_share(v: Any) -> bool:
    """Accept a float in (0, 1)."""
    return type(v) is float and 0 < v < 1


def is_bool(v: Any) -> bool:
    """Accept true and false."""
    return isinstance(v, bool)


def is_text(v: Any) -> bool:
    """Accept text of a sensible length."""
    return isinstance(v, str) and len(v) < 4096


def is_hex(v: Any) -> bool:
    """Accept a SHA-256 in hexadecimal."""
    return isinstance(v, str) and _HEX64.fullmatch(v) is not None
