"""Damage to the parts of a cache by somebody who knows what is in them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from attacks.mutate_bytes import Mutator, NotApplicableError

__all__ = ["PARQUET_MUTATORS"]

Row = dict[str, Any]
_BOMB_BYTES = 300 << 20
_INTEGERS = (0, 1, 2, -1, 3, 200, 10**6, 2**62, -(2**62), 2**63 - 1)


def _on_cells(change: Callable[[Row, Random], None]) -> Mutator:
    def mutate(path: Path, random: Random) -> None:
        table = pq.read_table(path)
        rows = table.to_pylist()
        change(random.choice(rows), random)
        _write(path, rows, table.schema)

    return mutate


def _write(path: Path, rows: list[Row], schema: pa.Schema) -> None:
    try:
        table = pa.Table.from_pylist(rows, schema=schema)
    except (pa.ArrowException, OverflowError) as error:
        raise NotApplicableError from error
    pq.write_table(table, path, compression="zstd", use_dictionary=False, write_statistics=False)


def _top_class(row: Row, random: Random) -> None:
    row["top_class"] = random.choice(_INTEGERS)


def _selection_counts(row: Row, random: Random) -> None:
    counts = list(row["selection_counts"])
    i = random.randrange(len(counts))
    how = random.randrange(6)
    if how == 0:
        random.shuffle(counts)
    elif how == 1:
        counts[i] = random.choice(_INTEGERS)
    elif how == 2:  # the sum wraps to what it was
        counts[i] += 2**63 - 1
        counts[i - 1] += 1
        counts = [(c + 2**63) % 2**64 - 2**63 for c in counts]
    elif how == 3:
        counts = [2**62, 2**62, 2**62, 2**62][: len(counts)]
    elif how == 4:
        counts = counts[:-1]
    else:
        counts = []
    row["selection_counts"] = counts


def _counts(row: Row, random: Random) -> None:
    counts = list(row["counts"])
    how = random.randrange(4)
    if how == 0:
        random.shuffle(counts)
    elif how == 1:
        counts[random.randrange(len(counts))] = random.choice(_INTEGERS)
    elif how == 2:
        counts = counts[:-1]
    else:
        counts.append(0)
    row["counts"] = counts


def _p_lower(row: Row, random: Random) -> None:
    row["p_lower"] = random.choice(
        (0.0, 0.5, 0.999, 1.0, 2.0, -1.0, float("nan"), float("inf"), row["p_lower"] + 1e-6)
    )


def _start(row: Row, random: Random) -> None:
    row["start"] = random.choice((1, -1, 100, 200, 399, 400, 401, 2**40, 2**62, 2**63 - 1, -(2**63)))


def _votes(row: Row, random: Random) -> None:
    votes = bytearray(row["votes"])
    how = random.randrange(6)
    if how == 0:
        votes[random.randrange(len(votes))] = random.choice((0, 1, 2, 3, 254, 255))
    elif how == 1:
        votes[:] = bytes([random.randrange(3)]) * len(votes)
    elif how == 2:
        votes.reverse()
    elif how == 3:
        del votes[random.randrange(len(votes)) :]
    elif how == 4:
        votes += b"\0" * random.choice((1, 1000))
    else:
        votes[:] = b"\xff" * len(votes)
    row["votes"] = bytes(votes)


def _other_votes(row: Row, random: Random) -> None:
    """Change votes, and everything that follows from them: another cache, as good as the first."""
    votes = np.frombuffer(row["votes"], np.uint8).copy()
    k = len(row["counts"])
    votes[random.randrange(len(votes)) :] = random.randrange(k)
    row["votes"] = votes.tobytes()
    row["counts"] = np.bincount(votes[votes < k], minlength=k).tolist()


def _lied_claims(row: Row, random: Random) -> None:
    """Claim another class and bound than the votes give."""
    row["top_class"] = random.randrange(len(row["counts"]))
    row["p_lower"] = 0.999


def _key(row: Row, random: Random) -> None:
    row["key"] = random.choice((bytes(32), random.randbytes(32)))


def _rows(path: Path, random: Random) -> None:
    table = pq.read_table(path)
    rows = table.to_pylist()
    how = random.randrange(4)
    if how == 0:
        rows += rows[:1]
    elif how == 1:
        rows = rows[1:]
    elif how == 2 and len(rows) > 1:
        rows.reverse()
    else:
        rows *= 1000
    _write(path, rows, table.schema)


def _schema(path: Path, random: Random) -> None:
    """Store the same under another schema."""
    table = pq.read_table(path)
    name = random.choice(table.column_names)
    i = table.column_names.index(name)
    how = random.randrange(6)
    if how == 0:
        table = table.drop_columns([name])
    elif how == 1:
        table = table.append_column("extra", pa.array([0] * len(table)))
    elif how == 2:
        field = table.schema.field(i)
        empty = pa.array([None] * len(table), field.type)
        table = table.set_column(i, pa.field(name, field.type, nullable=True), empty)
    elif how == 3:
        table = table.replace_schema_metadata({b"smoothcert.manifest": random.randbytes(32).hex().encode()})
    elif how == 4:
        table = table.replace_schema_metadata(None)
    else:
        values = [[v] for v in table.column(i).to_pylist()]
        table = table.set_column(i, name, pa.array(values))
    pq.write_table(table, path)


def _layout(path: Path, random: Random) -> None:
    """Store the same rows by other means of the format."""
    table = pq.read_table(path)
    how = random.choice(("none", "gzip", "snappy", "brotli", "lz4"))
    pq.write_table(table, path, compression=how, use_dictionary=random.random() < 0.5, row_group_size=1)


def _bomb(path: Path, random: Random) -> None:
    """Store votes that take kilobytes here and hundreds of megabytes in memory; the footer may lie about it."""
    table = pq.read_table(path)
    rows = table.to_pylist()
    rows[0]["votes"] = bytes(_BOMB_BYTES)
    _write(path, rows, table.schema)
    if random.random() < 0.75:
        _lie_about_sizes(path, random.choice((100, 5000)))


def _lie_about_sizes(path: Path, size: int) -> None:
    """Replace every huge total_uncompressed_size in the footer, of Thrift's compact protocol, by a small one."""
    data = path.read_bytes()
    length = int.from_bytes(data[-8:-4], "little")
    footer = data[-8 - length : -8]
    for column in range(pq.read_metadata(path).num_columns):
        group = pq.read_metadata(path).row_group(0)
        for true in (group.column(column).total_uncompressed_size, group.total_byte_size):
            if true > 1 << 20:
                wanted = _varint(2 * true)
                footer = footer.replace(wanted, _padded(2 * size, len(wanted)))
    path.write_bytes(data[: -8 - length] + footer + data[-8:])


def _varint(value: int) -> bytes:
    found = bytearray()
    while value >= 128:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])


def _padded(value: int, length: int) -> bytes:
    """Encode a number in more bytes than it needs, which readers accept."""
    short = bytearray(_varint(value))
    short[-1] |= 128
    return bytes(short) + b"\x80" * (length - len(short) - 1) + b"\x00"


PARQUET_MUTATORS: dict[str, Mutator] = {
    "top_class": _on_cells(_top_class),
    "selection_counts": _on_cells(_selection_counts),
    "counts": _on_cells(_counts),
    "p_lower": _on_cells(_p_lower),
    "start": _on_cells(_start),
    "votes": _on_cells(_votes),
    "votes and counts": _on_cells(_other_votes),
    "class and bound": _on_cells(_lied_claims),
    "key": _on_cells(_key),
    "rows": _rows,
    "schema": _schema,
    "layout": _layout,
    "bomb": _bomb,
}
