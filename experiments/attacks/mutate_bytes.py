"""Damage that knows nothing of a file's format: bytes, blocks and lines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random

__all__ = ["BYTE_MUTATORS", "LINE_MUTATORS", "Mutator", "NotApplicableError"]

Mutator = Callable[[Path, Random], None]
"""Changes a file in place."""


class NotApplicableError(Exception):
    """A file offers nothing that this mutator could change."""


def _span(data: bytes, random: Random) -> tuple[int, int]:
    """Choose a block of any scale, from one byte to everything."""
    if not data:
        raise NotApplicableError
    length = min(len(data), 1 << random.randrange(len(data).bit_length() + 1))
    start = random.randrange(len(data) - length + 1)
    return start, start + length


def _on_bytes(change: Callable[[bytes, Random], bytes]) -> Mutator:
    def mutate(path: Path, random: Random) -> None:
        path.write_bytes(change(path.read_bytes(), random))

    return mutate


def _flip_bits(data: bytes, random: Random) -> bytes:
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 1, 2, 8))):
        i, _ = _span(data, random)
        changed[i] ^= 1 << random.randrange(8)
    return bytes(changed)


def _change_bytes(data: bytes, random: Random) -> bytes:
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 16))):
        changed[_span(data, random)[0]] = random.randrange(256)
    return bytes(changed)


def _truncate(data: bytes, random: Random) -> bytes:
    lost = min(len(data), 1 << random.randrange(len(data).bit_length() + 1))
    return data[: random.choice((len(data) - lost, lost))]


def _insert(data: bytes, random: Random) -> bytes:
    at, count = random.randrange(len(data) + 1), 1 << random.randrange(12)
    return data[:at] + random.choice((random.randbytes(count), bytes(count), b"\xff" * count)) + data[at:]


def _delete(data: bytes, random: Random) -> bytes:
    start, stop = _span(data, random)
    return data[:start] + data[stop:]


def _duplicate(data: bytes, random: Random) -> bytes:
    start, stop = _span(data, random)
    return data[:stop] + data[start:stop] + data[stop:]


def _swap(data: bytes, random: Random) -> bytes:
    if len(data) < 2:
        raise NotApplicableError
    length = min(len(data) // 2, 1 << random.randrange(len(data).bit_length()))
    a = random.randrange(len(data) - 2 * length + 1)
    b = random.randrange(a + length, len(data) - length + 1)
    return data[:a] + data[b : b + length] + data[a + length : b] + data[a : a + length] + data[b + length :]


def _zero(data: bytes, random: Random) -> bytes:
    start, stop = _span(data, random)
    return data[:start] + bytes(stop - start) + data[stop:]


def _huge_number(data: bytes, random: Random) -> bytes:
    """Overwrite an aligned word by a huge length, as binary formats have them."""
    at = random.randrange(max(1, len(data) // 4)) * 4
    word = random.choice(
        (b"\xff" * 8, b"\xff" * 7 + b"\x7f", b"\x00\x00\x00\x40", b"\xff\xff\xff\x7f", b"\x80" * 4)
    )
    return data[:at] + word + data[at + len(word) :]


def _append(data: bytes, random: Random) -> bytes:
    return data + random.choice((b"\n", b" ", b"\x00", b"\r\n", b"garbage", bytes(1 << 16)))


def _prepend(data: bytes, random: Random) -> bytes:
    return (
        random.choice((b"\xef\xbb\xbf", b"\n", b"\x00", b"PK\x03\x04", b"\x80\x02", b"%!PS-Adobe-3.0 EPSF-3.0\n"))
        + data
    )


def _text(data: bytes, random: Random) -> bytes:
    return random.choice((b"null", b"[]", b"{}", b"5", b'"text"', b"NaN", b"\xff\xfe", b"<html>", b"[" * 200_000))


BYTE_MUTATORS: dict[str, Mutator] = {
    "flip bits": _on_bytes(_flip_bits),
    "change bytes": _on_bytes(_change_bytes),
    "truncate": _on_bytes(_truncate),
    "insert a block": _on_bytes(_insert),
    "delete a block": _on_bytes(_delete),
    "duplicate a block": _on_bytes(_duplicate),
    "swap blocks": _on_bytes(_swap),
    "zero a block": _on_bytes(_zero),
    "huge word": _on_bytes(_huge_number),
    "append": _on_bytes(_append),
    "prepend": _on_bytes(_prepend),
    "other content": _on_bytes(_text),
    "empty": _on_bytes(lambda _data, _random: b""),
}


def _on_lines(change: Callable[[list[bytes], Random], list[bytes]]) -> Mutator:
    def mutate(path: Path, random: Random) -> None:
        lines = path.read_bytes().splitlines(keepends=True)
        if not lines:
            raise NotApplicableError
        path.write_bytes(b"".join(change(lines, random)))

    return mutate


def _delete_lines(lines: list[bytes], random: Random) -> list[bytes]:
    i = random.randrange(len(lines))
    return lines[:i] + lines[i + random.randrange(1, len(lines) + 1) :]


def _duplicate_line(lines: list[bytes], random: Random) -> list[bytes]:
    i, j = random.randrange(len(lines)), random.randrange(len(lines) + 1)
    return [*lines[:j], lines[i], *lines[j:]]


def _swap_lines(lines: list[bytes], random: Random) -> list[bytes]:
    i, j = random.randrange(len(lines)), random.randrange(len(lines))
    changed = list(lines)
    changed[i], changed[j] = lines[j], lines[i]
    return changed


def _tear(lines: list[bytes], random: Random) -> list[bytes]:
    return [*lines[:-1], lines[-1][: random.randrange(len(lines[-1]))]]


LINE_MUTATORS: dict[str, Mutator] = {
    "delete lines": _on_lines(_delete_lines),
    "duplicate a line": _on_lines(_duplicate_line),
    "swap lines": _on_lines(_swap_lines),
    "keep the first lines": _on_lines(lambda lines, random: lines[: random.randrange(len(lines))]),
    "tear the last line": _on_lines(_tear),
    "lose the last newline": _on_lines(lambda lines, _: [*lines[:-1], lines[-1].rstrip(b"\n")]),
    "blank line": _on_lines(lambda lines, random: [*lines, random.choice((b"\n", b"{}\n", b"0 {}\n"))]),
    "other line ends": _on_lines(lambda lines, _: [line.replace(b"\n", b"\r\n") for line in lines]),
}
