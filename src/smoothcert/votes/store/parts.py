"""Parts of a cache: Parquet files with the counts and votes of a few inputs each."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from smoothcert._files import read_regular
from smoothcert.bounds import lower_confidence_bound
from smoothcert.errors import CacheCorruptError, CacheMismatchError, reading
from smoothcert.noise import KEY_BYTES
from smoothcert.sampling import count_votes, invalid_vote, most_voted, stored_dtype, votes_for
from smoothcert.votes.store.index import PARTS, PartEntry
from smoothcert.votes.store.manifest import Manifest
from smoothcert.votes.store.pages import require_pages

__all__ = ["CachedInput", "decode_part", "encode_part", "rows_at_most"]

Votes = NDArray[np.uint8 | np.uint16]
Counts = NDArray[np.int64]

# Votes are plain bytes to Parquet: Zstandard's Huffman coder does as well on them as on packed bits, and a list
# column would cost 34 bytes of memory a vote while it is encoded.
_COMPRESSION_LEVEL = 9
_MOST_BYTES = 1 << 27  # of a part when unpacked, unless it holds a single row
_SMALL = 1 << 16  # a footer's bytes, generously
_SCIPY_DIFFERS = 1e-9  # its last bits may differ between releases; a claim that follows from the counts does not


@dataclass(frozen=True, kw_only=True)
class CachedInput:
    """What is kept of one input.

    Attributes
    ----------
    key : bytes
        The input's key, 32 bytes.
    top_class : int
        The class selected by the n0 selection votes; -1 when there was no selection.
    selection_counts : ndarray of int64, shape (k,)
        Selection votes per class.
    counts : ndarray of int64, shape (k,)
        Estimation votes per class; invalid votes are missing from the sum.
    p_lower : float
        Lower confidence bound on the probability of `top_class` at the manifest's alpha.
    votes : ndarray of uint8 or uint16, shape (n,)
        Every estimation vote, by sample index; the largest value of the type is an invalid vote. Each input has n
        of them, or a number of its own where the manifest's spread says so.
    start : int
        Sample index of the first estimation vote.
    """

    key: bytes
    top_class: int
    selection_counts: NDArray[np.int64]
    counts: NDArray[np.int64]
    p_lower: float
    votes: Votes
    start: int = 0

    @property
    def count(self) -> int:
        """Estimation votes for the top class; 0 when there was no selection."""
        return int(self.counts[self.top_class]) if self.top_class >= 0 else 0


def rows_at_most(manifest: Manifest) -> int:
    """Return how many inputs a part can hold, so that it can be read without filling the memory."""
    return max(1, _MOST_BYTES // sum(_bytes_per_row(manifest).values()))


def encode_part(rows: list[CachedInput], manifest: Manifest) -> bytes:
    """Return the Parquet file of some inputs; the same rows give the same bytes."""
    if manifest.format_version == 1 and any(row.start for row in rows):
        raise CacheMismatchError("the cache was begun by an older version: name another folder for these votes")
    dtype = stored_dtype(manifest.num_classes)
    columns = {
        "key": [row.key for row in rows],
        "top_class": [row.top_class for row in rows],
        "selection_counts": [row.selection_counts for row in rows],
        "counts": [row.counts for row in rows],
        "p_lower": [row.p_lower for row in rows],
        "votes": [row.votes.astype(dtype).tobytes() for row in rows],
        "start": [row.start for row in rows],
    }
    schema = _schema(manifest)
    table = pa.table({name: columns[name] for name in schema.names}, schema=schema)
    buffer = io.BytesIO()
    pq.write_table(
        table,
        buffer,
        compression="zstd",
        compression_level=_COMPRESSION_LEVEL,
        use_dictionary=False,
        write_statistics=False,
        row_group_size=len(rows),
    )
    return buffer.getvalue()


def decode_part(
    folder: Path, entry: PartEntry, manifest: Manifest, starts: tuple[int, ...] | None = None
) -> list[CachedInput]:
    """Read a part, checked against index, manifest and itself; its votes start at one of `starts`, or anywhere."""
    path, rows = folder / PARTS / entry.name, len(entry.keys)
    unpacked = sum(_bytes_per_row(manifest).values()) * rows
    if rows > rows_at_most(manifest) or entry.size > unpacked + unpacked // 8 + _SMALL:
        raise _damaged(path, f"{rows} rows in {entry.size} bytes cannot be")
    data = read_regular(folder, f"{PARTS}/{entry.name}", at_most=entry.size)
    if len(data) != entry.size or hashlib.sha256(data).hexdigest() != entry.sha256:
        raise _damaged(path, f"its {len(data)} bytes are not the {entry.size} that were written")
    with reading(path, remedy=_remedy(path)):
        table = _table(data, rows, manifest, path)
        found = _rows(table, manifest)
    _check(found, entry.keys, manifest, starts, path)
    return _derived(found, manifest, path)


def _table(data: bytes, rows: int, manifest: Manifest, path: Path) -> pa.Table:
    # A few kilobytes can unpack to gigabytes: look at footer and pages before the data.
    file = pq.ParquetFile(pa.BufferReader(data), thrift_string_size_limit=_SMALL, thrift_container_size_limit=256)
    found, schema = file.metadata, _schema(manifest)
    if (found.num_row_groups, found.num_rows, found.num_columns) != (1, rows, len(schema.names)):
        raise _damaged(path, f"it holds {found.num_rows} rows in {found.num_row_groups} groups, not {rows} in one")
    if found.row_group(0).num_rows != rows or not file.schema_arrow.equals(schema, check_metadata=True):
        raise _damaged(path, "its columns or its manifest's digest are others")
    for i, (name, size) in enumerate(_bytes_per_row(manifest).items()):
        values = rows * (manifest.num_classes if name in ("selection_counts", "counts") else 1)
        require_pages(data, found.row_group(0).column(i), values, rows * size + rows * size // 8 + _SMALL)
    return file.read(use_threads=False)


def _bytes_per_row(manifest: Manifest) -> dict[str, int]:
    """Return what each column takes for an input when it is unpacked, in order."""
    votes = manifest.sizes[-1] * stored_dtype(manifest.num_classes).itemsize
    counts = 8 * manifest.num_classes
    found = {"key": KEY_BYTES, "top_class": 8, "selection_counts": counts, "counts": counts, "p_lower": 8}
    return {**found, "votes": 4 + votes, **({"start": 8} if manifest.format_version > 1 else {})}


def _rows(table: pa.Table, manifest: Manifest) -> list[CachedInput]:
    def per_class(name: str) -> list[Counts]:
        lists = table.column(name).combine_chunks()
        return np.split(lists.flatten().to_numpy(), lists.offsets.to_numpy()[1:-1])

    dtype, columns = stored_dtype(manifest.num_classes), {name: table.column(name) for name in table.column_names}
    starts = columns["start"].to_pylist() if "start" in columns else [0] * len(table)
    kept = [scalar.as_buffer() for scalar in columns["votes"]]
    width = np.dtype(dtype).itemsize
    if any(len(each) % width or len(each) // width not in manifest.sizes for each in kept):
        raise ValueError("votes are missing")
    plain = (columns[name].to_pylist() for name in ("key", "top_class", "p_lower"))
    votes = (np.frombuffer(each, dtype) for each in kept)
    return [
        CachedInput(
            key=key, top_class=top, selection_counts=selection, counts=counts, p_lower=p, votes=vote, start=start
        )
        for key, top, p, selection, counts, vote, start in zip(
            *plain, per_class("selection_counts"), per_class("counts"), votes, starts, strict=True
        )
    ]


def _check(
    rows: list[CachedInput], keys: list[bytes], manifest: Manifest, starts: tuple[int, ...] | None, path: Path
) -> None:
    """Check each input's counts against its votes and the manifest."""
    k, n0 = manifest.num_classes, manifest.n0
    for row, key in zip(rows, keys, strict=True):
        selection, invalid = row.selection_counts, invalid_vote(k)
        fits = (
            row.key == key
            and len(row.counts) == len(selection) == k
            and bool((count_votes(row.votes, k) == row.counts).all())
            and int(row.counts.sum()) + int(np.count_nonzero(row.votes == invalid)) == len(row.votes)
            and bool(((selection >= 0) & (selection <= n0)).all())  # so that their sum cannot wrap around
            and int(selection.sum()) <= n0
        )
        if not fits:
            raise _damaged(path, f"its votes and counts of input {key.hex()[:12]} disagree")
        if row.start < 0 or (starts is not None and row.start not in starts):
            raise _damaged(path, f"its votes of input {key.hex()[:12]} start at sample {row.start}")


def _derived(rows: list[CachedInput], manifest: Manifest, path: Path) -> list[CachedInput]:
    """Derive top class and bound from the counts: a file is not trusted about what follows from its votes."""
    selection, counts = (np.stack([getattr(row, name) for row in rows]) for name in ("selection_counts", "counts"))
    top_class = most_voted(selection)
    n = np.array([max(1, len(row.votes)) for row in rows])  # without votes, none of one
    bounds = np.asarray(lower_confidence_bound(votes_for(top_class, counts), n, manifest.alpha))
    for row, top, bound in zip(rows, top_class, bounds, strict=True):
        if row.top_class != top or not abs(row.p_lower - bound) <= _SCIPY_DIFFERS:
            raise CacheCorruptError(
                f"{path} claims class {row.top_class} with p_lower = {row.p_lower:.6g} for input "
                f"{row.key.hex()[:12]}, but its votes give {top} and {bound:.6g}: do not use this cache"
            )
    return rows


def _schema(manifest: Manifest) -> pa.Schema:
    fields = [
        pa.field("key", pa.binary(KEY_BYTES), nullable=False),
        pa.field("top_class", pa.int64(), nullable=False),
        pa.field("selection_counts", pa.list_(pa.field("element", pa.int64(), nullable=False)), nullable=False),
        pa.field("counts", pa.list_(pa.field("element", pa.int64(), nullable=False)), nullable=False),
        pa.field("p_lower", pa.float64(), nullable=False),
        pa.field("votes", pa.binary(), nullable=False),
    ]
    if manifest.format_version > 1:
        fields.append(pa.field("start", pa.int64(), nullable=False))
    return pa.schema(fields, metadata={"smoothcert.manifest": manifest.digest})


def _damaged(path: Path, what: str) -> CacheCorruptError:
    return CacheCorruptError(f"{path} is damaged: {what}; {_remedy(path)}")


def _remedy(path: Path) -> str:
    return f"restore it, or run `smoothcert cache repair {path.parent.parent}` and certify again"
