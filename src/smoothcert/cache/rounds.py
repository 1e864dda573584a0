"""The journal of a procedure that samples in rounds: its votes on disk, in the order it asked for them."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from smoothcert.cache.files import append_line, locked, read_regular, write_atomic
from smoothcert.cache.index import checked_line, checked_records, decode_text, parse_line
from smoothcert.cache.manifest import Manifest
from smoothcert.errors import CacheCorruptError, CacheError, CacheMismatchError

__all__ = ["ROUNDS_MANIFEST", "RoundJournal", "Setting"]

ROUNDS_MANIFEST = "rounds.json"
_INDEX, _LOCK, _PARTS, _CACHE_MANIFEST = "rounds.jsonl", ".lock", "rounds", "manifest.json"
_FORMAT, _VERSION = "smoothcert-rounds", 1
_COMPRESSION = "zstd"
_HEX64 = re.compile(r"[0-9a-f]{64}")

Votes = NDArray[np.uint8 | np.uint16]
Setting = str | int | float


@dataclass(frozen=True)
class _Entry:
    """A line of the index: votes that were written whole, and the digest of what was asked for."""

    request: str
    sha256: str
    size: int
    votes: int


class RoundJournal:
    """Votes of a procedure that decides from earlier votes which ones it asks for next.

    The folder holds ``rounds.json`` (what the votes are votes of, the procedure's settings and the inputs),
    ``rounds.jsonl`` (a line for each piece of a round, with its checksum and the digest of the request) and
    ``rounds/*.votes`` (the votes, a byte or two each, compressed with Zstandard). Such a procedure is a function
    of its settings, its inputs and the votes, so that a repeated call asks for the same in the same order: it
    gets what is here and samples the rest. Nothing in the folder is executable.

    Parameters
    ----------
    path : Path
        The folder.

    Raises
    ------
    CacheMismatchError
        When the folder is no journal.
    CacheCorruptError
        When a file of it was changed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        file = path / ROUNDS_MANIFEST
        if not file.is_file():
            raise CacheMismatchError(f"{path} holds no votes of a procedure that samples in rounds")
        fields = _checked(parse_line(decode_text(read_regular(file, at_most=1 << 20), file), file), file)
        self.manifest = Manifest.from_json(json.dumps(fields["votes"]), str(file))
        self.procedure: dict[str, Setting] = fields["procedure"]
        self.inputs: str = fields["inputs"]
        self.entries = [
            _Entry(r["request"], r["sha256"], r["bytes"], r["votes"])
            for r in checked_records(path / _INDEX, _is_entry)
        ]

    @classmethod
    @contextmanager
    def writing(
        cls, path: str | Path, manifest: Manifest, procedure: Mapping[str, Setting], keys: list[bytes]
    ) -> Iterator[RoundJournal]:
        """Open a journal to go on with it, creating it when there is none; hold its lock meanwhile.

        Parameters
        ----------
        path : str or Path
            The folder.
        manifest : Manifest
            What the votes are votes of.
        procedure : mapping of str to str, int or float
            The procedure's name and every setting that decides what it asks for.
        keys : list of bytes
            Keys of the inputs, in order: which samples are taken may depend on all of them.

        Raises
        ------
        CacheMismatchError
            When the folder is a certification cache, or another call's journal; names what differs.
        CacheLockedError
            When another process writes it.
        CacheError
            When the folder cannot be written.
        """
        folder = Path(path)
        if (folder / _CACHE_MANIFEST).exists():
            raise CacheMismatchError(
                f"{folder} is a certification cache, and {procedure.get('name', 'this')} keeps another kind of "
                "votes: give it a folder of its own"
            )
        inputs = hashlib.sha256(b"".join(keys)).hexdigest()
        with locked(folder / _LOCK):
            if not (folder / ROUNDS_MANIFEST).is_file():
                if (folder / _INDEX).exists():
                    raise CacheCorruptError(
                        f"{folder / ROUNDS_MANIFEST} is missing: restore it, or remove {folder}"
                    )
                _create(folder, manifest, dict(procedure), inputs)
            journal = cls(folder)
            journal._require_same(manifest, dict(procedure), inputs)
            yield journal

    def __len__(self) -> int:
        """Return the number of pieces."""
        return len(self.entries)

    def read(self, number: int, request: str, votes: int) -> Votes:
        """Return the votes of one piece.

        Parameters
        ----------
        number : int
            Which one, in order.
        request : str
            Digest of what is asked for, SHA-256 in hexadecimal.
        votes : int
            How many votes that is.

        Returns
        -------
        ndarray of uint8 or uint16, shape (votes,)

        Raises
        ------
        CacheMismatchError
            When something else was asked for when the journal was written.
        CacheCorruptError
            When the piece is damaged.
        """
        entry, path = self.entries[number], self._part(number)
        if (entry.request, entry.votes) != (request, votes):
            raise CacheMismatchError(
                f"{self.path} holds other samples than this call asks for, from piece {number} on: another "
                "version wrote it, or what the call reads beside it has changed; use another folder"
            )
        data = read_regular(path, at_most=entry.size)
        if hashlib.sha256(data).hexdigest() != entry.sha256:
            raise _damaged(path)
        dtype = self._dtype
        try:
            plain = pa.decompress(data, votes * dtype.itemsize, codec=_COMPRESSION, asbytes=True)
        except (pa.ArrowException, OSError) as error:
            raise _damaged(path) from error
        found: Votes = np.frombuffer(plain, dtype)
        legal = (found < self.manifest.num_classes) | (found == np.iinfo(dtype).max)
        if len(found) != votes or not legal.all():
            raise _damaged(path)
        return found

    def append(self, request: str, votes: Votes) -> None:
        """Add the next piece, durably: after this call a crash does not lose it."""
        data = pa.compress(votes.astype(self._dtype).tobytes(), codec=_COMPRESSION, asbytes=True)
        entry = _Entry(request, hashlib.sha256(data).hexdigest(), len(data), len(votes))
        number = len(self.entries)
        write_atomic(self._part(number), data)
        record = {
            "number": number,
            "request": entry.request,
            "sha256": entry.sha256,
            "bytes": entry.size,
            "votes": entry.votes,
        }
        append_line(self.path / _INDEX, checked_line(record))
        self.entries.append(entry)

    @property
    def _dtype(self) -> np.dtype[Any]:
        """Type of a stored vote, little-endian on every machine."""
        return np.dtype("<u1" if self.manifest.num_classes < 255 else "<u2")

    def _part(self, number: int) -> Path:
        return self.path / _PARTS / f"{number:06d}.votes"

    def _require_same(self, manifest: Manifest, procedure: dict[str, Setting], inputs: str) -> None:
        """Refuse another call than the one that began this journal."""
        for name in sorted(set(procedure) | set(self.procedure), key=lambda name: (name != "name", name)):
            have, want = self.procedure.get(name), procedure.get(name)
            if have != want:
                raise CacheMismatchError(
                    f"{self.path} was made with {name} = {have!r}, but the call has {want!r}: "
                    "use the same, or another folder"
                )
        self.manifest.require_same(manifest, str(self.path))
        if inputs != self.inputs:
            raise CacheMismatchError(
                f"{self.path} was made with other inputs, or in another order: give the same, or another folder"
            )


def _create(folder: Path, manifest: Manifest, procedure: dict[str, Setting], inputs: str) -> None:
    fields: dict[str, Any] = {
        "format": _FORMAT,
        "format_version": _VERSION,
        "votes": json.loads(manifest.to_json()),
        "procedure": procedure,
        "inputs": inputs,
    }
    fields["digest"] = _digest(fields)
    try:
        (folder / _PARTS).mkdir(exist_ok=True)
    except OSError as error:
        raise CacheError(f"cannot write {folder}: {error.strerror}; choose another folder") from error
    write_atomic(folder / ROUNDS_MANIFEST, (json.dumps(fields, indent=2, sort_keys=True) + "\n").encode())


def _checked(fields: dict[str, Any], file: Path) -> dict[str, Any]:
    """Check the manifest's fields, types and digest."""
    digest = fields.pop("digest", None)
    if (fields.get("format"), fields.get("format_version")) != (_FORMAT, _VERSION):
        raise CacheMismatchError(f"{file} is not of format {_FORMAT} {_VERSION}, which this version reads")
    procedure, inputs = fields.get("procedure"), fields.get("inputs")
    legal = (
        set(fields) == {"format", "format_version", "votes", "procedure", "inputs"}
        and isinstance(procedure, dict)
        and all(isinstance(value, Setting) for value in procedure.values())
        and isinstance(inputs, str)
        and digest == _digest(fields)
    )
    if not legal:
        raise CacheCorruptError(f"{file} was changed: restore it, or use another folder")
    return fields


def _digest(fields: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _is_entry(record: dict[str, Any]) -> bool:
    counts = record.get("bytes"), record.get("votes")
    return all(_HEX64.fullmatch(str(record.get(name))) for name in ("request", "sha256")) and all(
        isinstance(count, int) and 0 < count < 1 << 40 for count in counts
    )


def _damaged(path: Path) -> CacheCorruptError:
    return CacheCorruptError(f"{path} is damaged: restore it, or remove {path.parent.parent} and begin again")
