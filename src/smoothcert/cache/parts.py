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

from smoothcert.cache.files import read_regular
from smoothcert.cache.manifest import Manifest
from smoothcert.errors import CacheCorruptError, CacheMismatchError
from smoothcert.noise import KEY_BYTES

__all__ = ["CachedInput", "decode_part", "encode_part", "part_name"]

Votes = NDArray[np.uint8 | np.uint16]

# Votes are plain bytes to Parquet: Zstandard's Huffman coder does as well on them as on packed bits, and a list
# column would cost 34 bytes of memory a vote while it is encoded.
_COMPRESSION_LEVEL = 9
_BYTES_PER_ROW = 1 << 16  # what a row can have besides its votes, generously


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
        Every estimation vote, by sample index; the largest value of the type is an invalid vote.
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


def part_name(keys: list[bytes]) -> str:
    """Return the file name of the part that holds these inputs.

    Examples
    --------
    >>> part_name([bytes(32)])
    'part-66687aadf862bd776c8fc18b8e9f8e20.parquet'
    """
    return f"part-{hashlib.sha256(b''.join(keys)).hexdigest()[:32]}.parquet"


def encode_part(rows: list[CachedInput], manifest: Manifest) -> bytes:
    """Return the Parquet file of some inputs; the same rows give the same bytes.

    Raises
    ------
    CacheMismatchError
        When the cache's format is too old to say where votes start.
    """
    if manifest.format_version == 1 and any(row.start for row in rows):
        raise CacheMismatchError("the cache was begun by an older version: name another folder for these votes")
    dtype = _vote_dtype(manifest)
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


def decode_part(path: Path, sha256: str, size: int, keys: list[bytes], manifest: Manifest) -> list[CachedInput]:
    """Read a part, checking it against the index, the manifest and itself.

    Raises
    ------
    CacheCorruptError
        When the file is missing, changed, truncated, of another cache, or its votes and counts disagree.
    """
    data = read_regular(path, at_most=size)
    if len(data) != size or hashlib.sha256(data).hexdigest() != sha256:
        raise _damaged(path, f"its {len(data)} bytes are not the {size} that were written")
    try:
        file = pq.ParquetFile(io.BytesIO(data))
        metadata = file.metadata
        groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
        unpacked = sum(
            group.column(c).total_uncompressed_size for group in groups for c in range(group.num_columns)
        )
        # A few kilobytes can unpack to gigabytes: look at the footer before the data.
        if metadata.num_rows != len(keys) or unpacked > len(keys) * (_BYTES_PER_ROW + 8 * manifest.n):
            raise _damaged(path, f"it holds {metadata.num_rows} rows of {unpacked} bytes")
        if not file.schema_arrow.equals(_schema(manifest), check_metadata=True):
            raise _damaged(path, "its columns or its manifest's digest are others")
        table = file.read()
    except pa.ArrowException as error:
        raise _damaged(path, str(error)) from error
    rows = [_row(table, i, _vote_dtype(manifest)) for i in range(len(keys))]
    for row, key in zip(rows, keys, strict=True):
        _check_row(row, key, manifest, path)
    return rows


def _row(table: pa.Table, i: int, dtype: str) -> CachedInput:
    def values(name: str) -> NDArray[np.int64]:
        array: NDArray[np.int64] = table.column(name)[i].values.to_numpy()
        return array

    return CachedInput(
        key=table.column("key")[i].as_py(),
        top_class=table.column("top_class")[i].as_py(),
        selection_counts=values("selection_counts"),
        counts=values("counts"),
        p_lower=table.column("p_lower")[i].as_py(),
        votes=_votes(table.column("votes")[i].as_py(), dtype),
        start=table.column("start")[i].as_py() if "start" in table.column_names else 0,
    )


def _vote_dtype(manifest: Manifest) -> str:
    """Return the type of a stored vote, little-endian on every machine."""
    return "<u1" if manifest.num_classes < 255 else "<u2"


def _votes(data: bytes, dtype: str) -> Votes:
    # A length that is no multiple of the type leaves a vote missing, which the check of the row finds.
    whole = len(data) - len(data) % np.dtype(dtype).itemsize
    return np.frombuffer(data[:whole], dtype)


def _check_row(row: CachedInput, key: bytes, manifest: Manifest, path: Path) -> None:
    k = manifest.num_classes
    invalid = np.iinfo(row.votes.dtype).max
    fits = (
        row.key == key
        and len(row.votes) == manifest.n
        and len(row.counts) == len(row.selection_counts) == k
        and -1 <= row.top_class < k
        and bool(((row.votes < k) | (row.votes == invalid)).all())
        and bool((np.bincount(row.votes[row.votes < k], minlength=k) == row.counts).all())
        and bool((row.selection_counts >= 0).all())
        and int(row.selection_counts.sum()) <= manifest.n0
        and row.start >= 0
    )
    if not fits:
        raise _damaged(path, f"its votes and counts of input {key.hex()[:12]} disagree")


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
    return CacheCorruptError(
        f"{path} is damaged: {what}; restore it, or run `smoothcert cache repair {path.parent.parent}` "
        "and certify again"
    )
