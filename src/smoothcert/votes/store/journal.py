"""The journal of a procedure that samples in rounds: its votes on disk, in the order it asked for them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from smoothcert._files import locked, read_regular, write_atomic
from smoothcert._folders import exists, make_folder
from smoothcert._records import RecordFormat, is_hex, is_int, is_text
from smoothcert.errors import CacheCorruptError, CacheMismatchError, reading
from smoothcert.sampling import invalid_vote, stored_dtype
from smoothcert.votes.store.lines import append_line, checked_records
from smoothcert.votes.store.manifest import Manifest

__all__ = ["ROUNDS_MANIFEST", "RoundJournal", "Setting"]

ROUNDS_MANIFEST = "rounds.json"
_INDEX, _LOCK, _PARTS, _CACHE_MANIFEST = "rounds.jsonl", ".lock", "rounds", "manifest.json"
_COMPRESSION = "zstd"
_is_count = is_int(1, 1 << 24)  # of votes or bytes in a piece, of which 2**16 are written at a time

Votes = NDArray[np.uint8 | np.uint16]
Setting = str | int | float

_FORMAT = RecordFormat(
    name="smoothcert-rounds",
    version=2,  # version 1 hashed its name too
    legal={
        "votes": lambda v: isinstance(v, dict),
        "procedure": lambda v: isinstance(v, dict) and all(map(_is_setting, v.values())),
        "inputs": is_hex,
    },
)


def _is_setting(v: Any) -> bool:
    return is_text(v) or type(v) in (int, float)


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
    ``rounds/*.votes`` (the votes, a byte or two each, compressed with Zstandard). A repeated call asks for the
    same in the same order: it gets what is here and samples the rest. Nothing in the folder is executable.

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
        if not exists(file):
            raise CacheMismatchError(f"{path} holds no votes of a procedure that samples in rounds")
        fields = _FORMAT.read(path, ROUNDS_MANIFEST)
        with reading(file):
            self.manifest = Manifest.from_json(json.dumps(fields["votes"]), str(file))
        self.procedure: dict[str, Setting] = fields["procedure"]
        self.inputs: str = fields["inputs"]
        records, self.torn = checked_records(path, _INDEX, _is_entry)
        self.entries = [_Entry(r["request"], r["sha256"], r["bytes"], r["votes"]) for r in records]

    @classmethod
    @contextmanager
    def writing(
        cls, path: str | Path, manifest: Manifest, procedure: Mapping[str, Setting], keys: list[bytes]
    ) -> Iterator[RoundJournal]:
        """Open a journal to go on with it, creating it when there is none; hold its lock meanwhile.

        The keys are in order: which samples are taken may depend on all inputs.

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
        if exists(folder, _CACHE_MANIFEST):
            raise CacheMismatchError(
                f"{folder} is a certification cache, and {procedure.get('name', 'this')} keeps another kind of "
                "votes: give it a folder of its own"
            )
        inputs = hashlib.sha256(b"".join(keys)).hexdigest()
        with locked(folder, _LOCK, _PARTS):
            if not exists(folder, ROUNDS_MANIFEST):
                if exists(folder, _INDEX):
                    raise CacheCorruptError(
                        f"{folder / ROUNDS_MANIFEST} is missing: restore it, or remove {folder}"
                    )
                fields = {"votes": json.loads(manifest.to_json()), "procedure": dict(procedure), "inputs": inputs}
                make_folder(folder, _PARTS)
                _FORMAT.write(folder, ROUNDS_MANIFEST, fields)
            journal = cls(folder)
            journal._require_same(manifest, dict(procedure), inputs)
            yield journal

    def __len__(self) -> int:
        """Return the number of pieces."""
        return len(self.entries)

    @property
    def digest(self) -> str:
        """SHA-256 over what the votes are votes of and the index, hence over everything."""
        index = "".join(entry.request + entry.sha256 for entry in self.entries)
        return hashlib.sha256((self.manifest.digest + self.inputs + index).encode()).hexdigest()

    def read(self, number: int, request: str, votes: int) -> Votes:
        """Return the votes of one piece, which `request`, a SHA-256 in hexadecimal, asked for.

        Raises
        ------
        CacheMismatchError
            When something else was asked for when the journal was written.
        CacheCorruptError
            When the piece is damaged.
        """
        entry, path = self.entries[number], self.path / _part(number)
        if (entry.request, entry.votes) != (request, votes):
            raise CacheMismatchError(
                f"{self.path} holds other samples than this call asks for, from piece {number} on: another "
                "version wrote it, or what the call reads beside it has changed; use another folder"
            )
        data = read_regular(self.path, _part(number), at_most=entry.size)
        if hashlib.sha256(data).hexdigest() != entry.sha256:
            raise _damaged(path)
        dtype = stored_dtype(self.manifest.num_classes)
        with reading(path, remedy=_remedy(path)):
            plain = pa.decompress(data, votes * dtype.itemsize, codec=_COMPRESSION, asbytes=True)
            found: Votes = np.frombuffer(plain, dtype)
        legal = (found < self.manifest.num_classes) | (found == invalid_vote(self.manifest.num_classes))
        if len(found) != votes or not legal.all():
            raise _damaged(path)
        return found

    def damaged(self) -> list[CacheCorruptError]:
        """Read every piece and return what is wrong with those that are damaged."""
        found = []
        for number, entry in enumerate(self.entries):
            try:
                self.read(number, entry.request, entry.votes)
            except CacheCorruptError as error:
                found.append(error)
        return found

    def append(self, request: str, votes: Votes) -> None:
        """Add the next piece, durably: after this call a crash does not lose it."""
        data = pa.compress(
            votes.astype(stored_dtype(self.manifest.num_classes)).tobytes(), codec=_COMPRESSION, asbytes=True
        )
        entry = _Entry(request, hashlib.sha256(data).hexdigest(), len(data), len(votes))
        number = len(self.entries)
        write_atomic(self.path, _part(number), data)
        record = {
            "number": number,
            "request": entry.request,
            "sha256": entry.sha256,
            "bytes": entry.size,
            "votes": entry.votes,
        }
        append_line(self.path, _INDEX, record)
        self.entries.append(entry)

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


def _part(number: int) -> str:
    return f"{_PARTS}/{number:06d}.votes"


def _is_entry(record: dict[str, Any]) -> bool:
    return all(is_hex(record.get(name)) for name in ("request", "sha256")) and all(
        _is_count(record.get(name)) for name in ("bytes", "votes")
    )


def _damaged(path: Path) -> CacheCorruptError:
    return CacheCorruptError(f"{path} is damaged: {_remedy(path)}")


def _remedy(path: Path) -> str:
    return f"restore it, or remove {path.parent.parent} and begin again"
