"""The certification cache: a folder with a manifest, an index and parts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from smoothcert.cache.files import append_line, locked, read_regular, write_atomic
from smoothcert.cache.index import PartEntry, decode_text, index_line, parse_line, read_index, whole_lines
from smoothcert.cache.manifest import Manifest
from smoothcert.cache.parts import CachedInput, decode_part, encode_part, part_name
from smoothcert.cache.rounds import ROUNDS_MANIFEST, RoundJournal
from smoothcert.errors import CacheCorruptError, CacheMismatchError, InvalidArgumentError

__all__ = ["CertificationCache", "Timing", "votes_manifest"]

_MANIFEST, _INDEX, _TIMINGS, _LOCK, _PARTS = "manifest.json", "index.jsonl", "timings.jsonl", ".lock", "parts"


@dataclass(frozen=True)
class Timing:
    """What sampling cost: kept beside the cache, since seconds are never reproducible.

    Attributes
    ----------
    samples : int
        Forward passes.
    seconds : float
        Wall-clock time.
    """

    samples: int
    seconds: float


class CertificationCache:
    """The votes of a certification, on disk.

    The folder holds ``manifest.json``, ``index.jsonl`` (a line for each part, in order, each with its checksum)
    and ``parts/*.parquet``. They are the cache: the same certification gives the same bytes, interrupted or not.
    Beside them lies ``timings.jsonl`` (seconds spent, for reports). Nothing in it is executable, and readers
    write nothing.

    Parameters
    ----------
    path : str or Path
        The folder.

    Raises
    ------
    CacheMismatchError
        When there is no cache.
    CacheCorruptError
        When the manifest or the index was changed.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        _refuse_rounds(self.path)
        if not (self.path / _MANIFEST).is_file():
            raise CacheMismatchError(
                f"{self.path} holds no certification cache: run certify with cache={str(path)!r}"
            )
        text = decode_text(read_regular(self.path / _MANIFEST, at_most=1 << 20), self.path / _MANIFEST)
        self.manifest = Manifest.from_json(text, str(self.path / _MANIFEST))
        self.entries = read_index(self.path / _INDEX)
        self._where = {key: entry for entry in self.entries for key in entry.keys}
        self._last: tuple[str, dict[bytes, CachedInput]] = ("", {})

    @classmethod
    @contextmanager
    def writing(cls, path: str | Path, manifest: Manifest) -> Iterator[CertificationCache]:
        """Open a cache to add to it, creating it when there is none; hold its lock meanwhile.

        Raises
        ------
        CacheMismatchError
            When the cache was made by another kind of call; names the field.
        CacheLockedError
            When another process writes it.
        CacheError
            When the folder cannot be written.
        """
        folder = Path(path)
        _refuse_rounds(folder)
        with locked(folder / _LOCK):
            if not (folder / _MANIFEST).is_file():
                if (folder / _INDEX).exists():
                    raise CacheCorruptError(f"{folder / _MANIFEST} is missing: restore it, or remove {folder}")
                with _creating(folder):
                    (folder / _PARTS).mkdir(exist_ok=True)
                write_atomic(folder / _MANIFEST, manifest.to_json().encode())
            cache = cls(folder)
            cache.manifest.require_same(manifest, str(folder))
            yield cache

    def __contains__(self, key: bytes) -> bool:
        """Tell whether an input's votes are there."""
        return key in self._where

    def __len__(self) -> int:
        """Return the number of inputs."""
        return len(self._where)

    @property
    def bytes_on_disk(self) -> int:
        """Bytes of all parts."""
        return sum(entry.size for entry in self.entries)

    @property
    def digest(self) -> str:
        """SHA-256 over the manifest and the index, hence over everything; pin it to recognise the cache."""
        index = "".join(index_line(i, entry) for i, entry in enumerate(self.entries))
        return hashlib.sha256(self.manifest.digest.encode() + index.encode()).hexdigest()

    def __getitem__(self, key: bytes) -> CachedInput:
        """Return what is kept of an input; its part is checked each time that it is read.

        Raises
        ------
        KeyError
            When the input is not in the cache.
        CacheCorruptError
            When the part is damaged.
        """
        entry = self._where[key]
        # Neighbours share a part, and are asked for one after the other.
        if self._last[0] != entry.name:
            self._last = (entry.name, {row.key: row for row in self.read(entry)})
        return self._last[1][key]

    def read(self, entry: PartEntry) -> list[CachedInput]:
        """Read one part.

        Raises
        ------
        CacheCorruptError
            When the part is damaged.
        """
        path = self.path / _PARTS / entry.name
        return decode_part(path, entry.sha256, entry.size, entry.keys, self.manifest)

    def require(self, keys: Sequence[bytes]) -> None:
        """Refuse inputs that are not in the cache.

        Raises
        ------
        CacheMismatchError
            Names the first missing one and how many there are.
        """
        missing = [i for i, key in enumerate(keys) if key not in self]
        if missing:
            raise CacheMismatchError(
                f"x[{missing[0]}] is not in {self.path} ({len(missing)} of {len(keys)} inputs are not): certify "
                "them into the cache first, finish an interrupted run, or give the inputs that it was made with"
            )

    def append(self, rows: list[CachedInput], timing: Timing) -> None:
        """Add inputs in one part, durably: after this call a crash does not lose them."""
        data = encode_part(rows, self.manifest)
        keys = [row.key for row in rows]
        entry = PartEntry(part_name(keys), hashlib.sha256(data).hexdigest(), len(data), keys)
        write_atomic(self.path / _PARTS / entry.name, data)
        append_line(
            self.path / _TIMINGS,
            json.dumps({"part": entry.name, "samples": timing.samples, "seconds": round(timing.seconds, 4)}),
        )
        append_line(self.path / _INDEX, index_line(len(self.entries), entry))
        self.entries.append(entry)
        self._where.update(dict.fromkeys(keys, entry))

    def timing(self) -> Timing:
        """Return what the parts of this cache cost in total; a part sampled twice counts once."""
        path = self.path / _TIMINGS
        if not path.exists():
            return Timing(0, 0.0)
        known = {entry.name for entry in self.entries}
        spent: dict[str, Timing] = {}
        for line in whole_lines(path):
            record = parse_line(line, path)
            spent[str(record.get("part"))] = Timing(
                int(record.get("samples", 0)), float(record.get("seconds", 0.0))
            )
        parts = [timing for name, timing in spent.items() if name in known]
        return Timing(sum(t.samples for t in parts), sum(t.seconds for t in parts))

    def damaged(self) -> list[tuple[PartEntry, CacheCorruptError]]:
        """Read every part and return those that are damaged, with the reason."""
        found = []
        for entry in self.entries:
            try:
                self.read(entry)
            except CacheCorruptError as error:
                found.append((entry, error))
        return found

    def drop(self, entries: list[PartEntry]) -> None:
        """Forget parts, so that certify samples them again."""
        dropped = {entry.name for entry in entries}
        with locked(self.path / _LOCK):
            self.entries = [entry for entry in self.entries if entry.name not in dropped]
            lines = "".join(index_line(i, entry) + "\n" for i, entry in enumerate(self.entries))
            write_atomic(self.path / _INDEX, lines.encode())
            for name in dropped:
                (self.path / _PARTS / name).unlink(missing_ok=True)
        self._where = {key: entry for entry in self.entries for key in entry.keys}


def votes_manifest(path: str | Path) -> Manifest:
    """Return the manifest of kept votes, those of a certification cache or of a procedure that samples in rounds.

    Raises
    ------
    CacheMismatchError
        When there are none.
    CacheCorruptError
        When the manifest was changed.
    """
    folder = Path(path)
    return (RoundJournal(folder) if (folder / ROUNDS_MANIFEST).exists() else CertificationCache(folder)).manifest


def _refuse_rounds(folder: Path) -> None:
    if (folder / ROUNDS_MANIFEST).exists():
        raise CacheMismatchError(
            f"{folder} holds votes of a procedure that samples in rounds, such as certify(..., radius=...), "
            "not n votes of each input: give another folder"
        )


@contextmanager
def _creating(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InvalidArgumentError(f"cache is {str(folder)!r}, which cannot be made: {error.strerror}") from error
