"""The certification cache: a folder with a manifest, an index and parts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from smoothcert._files import locked, read_regular, write_atomic
from smoothcert._folders import exists, make_folder, remove_file
from smoothcert.bounds import MAX_COUNT
from smoothcert.errors import CacheCorruptError, CacheMismatchError, reading
from smoothcert.votes.store.index import INDEX, PARTS, PartEntry, entry_record, index_line, part_name, read_index
from smoothcert.votes.store.journal import ROUNDS_MANIFEST
from smoothcert.votes.store.lines import append_line
from smoothcert.votes.store.manifest import Manifest
from smoothcert.votes.store.parts import CachedInput, decode_part, encode_part, rows_at_most
from smoothcert.votes.store.timings import Timing, note_timing, total_timing

__all__ = ["MANIFEST", "CertificationCache"]

MANIFEST = "manifest.json"
_LOCK = ".lock"
_NOT_DAMAGE = (PermissionError, MemoryError)


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
    starts : tuple of int, optional
        Sample indices at which votes may start. By default 0 for a cache that is paired with no other, and
        anything for one that is.

    Raises
    ------
    CacheMismatchError
        When there is no cache.
    CacheCorruptError
        When the manifest or the index was changed.
    """

    def __init__(self, path: str | Path, starts: tuple[int, ...] | None = None) -> None:
        self.path = Path(path)
        _refuse_rounds(self.path)
        if not exists(self.path, MANIFEST):
            raise CacheMismatchError(
                f"{self.path} holds no certification cache: run certify with cache={str(path)!r}"
            )
        data = read_regular(self.path, MANIFEST, at_most=1 << 20)
        with reading(self.path / MANIFEST):
            self.manifest = Manifest.from_json(data.decode(), str(self.path / MANIFEST))
        if self.manifest.n > MAX_COUNT:
            raise CacheCorruptError(
                f"{self.path / MANIFEST}: n is {self.manifest.n}, bounds take at most {MAX_COUNT} votes"
            )
        self._starts = (0,) if starts is None and not self.manifest.base else starts
        self._lines, self.torn = read_index(self.path)
        self._places = [number for number, entry in enumerate(self._lines) if entry.dropped]
        self.entries = [entry for entry in self._lines if not entry.dropped]
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
        with locked(folder, _LOCK, PARTS):
            if not exists(folder, MANIFEST):
                if exists(folder, INDEX):
                    raise CacheCorruptError(f"{folder / MANIFEST} is missing: restore it, or remove {folder}")
                make_folder(folder, PARTS)
                write_atomic(folder, MANIFEST, manifest.to_json().encode())
            cache = cls(folder)
            cache.manifest.require_same(manifest, str(folder))
            yield cache

    def __repr__(self) -> str:
        made = self.manifest
        return (
            f"CertificationCache({str(self.path)!r}: {len(self)} inputs, n = {made.n:,}, n0 = {made.n0:,}, "
            f"alpha = {made.alpha:g}, sigma = {made.sigma:g}, noise = {made.noise_law!r})"
        )

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
        index = "".join(index_line(i, entry) for i, entry in enumerate(self._lines))
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
        return decode_part(self.path, entry, self.manifest, self._starts)

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
        """Add inputs, durably: after this call a crash does not lose them.

        They make one part, apart from those that `repair` dropped, which come back at their place.
        """
        left = {row.key: row for row in rows}
        for number in self._places:
            keys = self._waiting(self._lines[number])
            if keys and all(key in left for key in keys):
                self._write([left.pop(key) for key in keys], timing, number)
                timing = Timing(0, 0.0)
        self._places = [number for number in self._places if self._lines[number].dropped]
        rest, size = list(left.values()), rows_at_most(self.manifest)
        for start in range(0, len(rest), size):
            self._write(rest[start : start + size], timing, len(self._lines))
            timing = Timing(0, 0.0)

    def _write(self, rows: list[CachedInput], timing: Timing, number: int) -> None:
        """Write a part, then the line of the index that makes it count."""
        data, keys = encode_part(rows, self.manifest), [row.key for row in rows]
        entry = PartEntry(part_name(keys), hashlib.sha256(data).hexdigest(), len(data), keys)
        write_atomic(self.path, f"{PARTS}/{entry.name}", data)
        note_timing(self.path, entry.name, timing)
        if number == len(self._lines):
            append_line(self.path, INDEX, entry_record(number, entry))
            self._lines.append(entry)
        else:
            self._replace([*self._lines[:number], entry, *self._lines[number + 1 :]])
        self.entries.append(entry)
        self._where.update(dict.fromkeys(keys, entry))

    def _replace(self, lines: list[PartEntry]) -> None:
        """Write another index."""
        text = "".join(index_line(number, entry) + "\n" for number, entry in enumerate(lines))
        write_atomic(self.path, INDEX, text.encode())
        self._lines = lines

    def _waiting(self, entry: PartEntry) -> list[bytes]:
        return [key for key in entry.keys if key not in self._where]

    def timing(self) -> Timing:
        """Return what the parts of this cache cost in total; a part sampled twice counts once."""
        return total_timing(self.path, [entry.name for entry in self.entries])

    @property
    def dropped(self) -> list[PartEntry]:
        """Parts that `repair` dropped and certify has not sampled again."""
        return [entry for number in self._places if self._waiting(entry := self._lines[number])]

    def damaged(self) -> list[tuple[PartEntry, CacheCorruptError]]:
        """Read every part and return those that are damaged, with the reason."""
        found = []
        for entry in self.entries:
            try:
                self.read(entry)
            except CacheCorruptError as error:
                found.append((entry, error))
        return found

    @classmethod
    def repair(cls, path: str | Path) -> list[PartEntry]:
        """Drop the damaged parts of a cache, so that certify samples them again, to the same place in the index.

        Returns
        -------
        list of PartEntry
            What was dropped.

        Raises
        ------
        CacheError
            When there is no cache, its manifest or index is damaged, or another process writes it.
        """
        folder = cls(path).path
        with locked(folder, _LOCK, PARTS):
            cache = cls(folder)
            # What cannot be read for another reason may be whole.
            found = [e for e, error in cache.damaged() if not isinstance(error.__cause__, _NOT_DAMAGE)]
            names = {entry.name for entry in found}
            if found:
                # The index comes first: after a crash in between, files are there that nothing names.
                cache._replace([replace(e, sha256="", size=0) if e.name in names else e for e in cache._lines])
            for entry in found:
                remove_file(folder, f"{PARTS}/{entry.name}")
        return found


def _refuse_rounds(folder: Path) -> None:
    if exists(folder, ROUNDS_MANIFEST):
        raise CacheMismatchError(
            f"{folder} holds votes of a procedure that samples in rounds, such as certify_at_radius, "
            "not n votes of each input: give another folder"
        )
