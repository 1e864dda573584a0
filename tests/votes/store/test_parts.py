"""A part takes no more memory than the manifest says, whatever its footer does."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forged_cache import World, manifest_of
from smoothcert.errors import CacheCorruptError
from smoothcert.votes.store import CachedInput, CertificationCache, Manifest
from smoothcert.votes.store.index import PartEntry, part_name
from smoothcert.votes.store.pages import require_pages
from smoothcert.votes.store.parts import decode_part, encode_part, rows_at_most

HUGE = 50_000_000


def varint(value: int, length: int = 0) -> bytes:
    """Encode as Thrift does, or in more bytes than it takes."""
    value, out = value << 1, bytearray()
    while value >= 128 or len(out) + 1 < length:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def lying(data: bytes, said: int) -> bytes:
    """Let the footer of a file say that its columns of votes unpack to less."""
    real = pq.ParquetFile(io.BytesIO(data)).metadata.row_group(0).column(5).total_uncompressed_size
    start = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    found = varint(real)
    footer = data[start:].replace(found, varint(said, len(found)))
    assert footer != data[start:]
    return data[:start] + footer


def planted(world: World, data: bytes) -> tuple[PartEntry, Manifest]:
    store = CertificationCache(world.cache)
    entry = replace(store.entries[0], sha256=hashlib.sha256(data).hexdigest(), size=len(data))
    (world.cache / "parts" / entry.name).write_bytes(data)
    return entry, store.manifest


def peak_of(call: Callable[[], Any]) -> int:
    """Return the bytes that Arrow allocates at a time at most."""
    before = pa.default_memory_pool()
    pool = pa.proxy_memory_pool(before)
    pa.set_memory_pool(pool)
    try:
        with pytest.raises(CacheCorruptError, match="part-"):
            call()
    finally:
        pa.set_memory_pool(before)
    return int(pool.max_memory() or 0)


def table_of(world: World, **columns: Any) -> pa.Table:
    store = CertificationCache(world.cache)
    table = pq.read_table(world.cache / "parts" / store.entries[0].name)
    for name, values in columns.items():
        i = table.schema.get_field_index(name)
        table = table.set_column(i, table.schema.field(i), pa.array(values, table.schema.field(i).type))
    return table


def written(table: pa.Table, **options: Any) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, **{"compression": "zstd", "use_dictionary": False, **options})
    return buffer.getvalue()


def test_a_lying_footer_fills_no_memory(world: World) -> None:
    """A few kB that unpack to 150 MB, while the footer says 60 kB."""
    votes = [bytes(HUGE)] * 3
    data = lying(written(table_of(world, votes=votes), write_statistics=False), 60_050)
    assert len(data) < 100_000
    assert pq.ParquetFile(io.BytesIO(data)).metadata.row_group(0).column(5).total_uncompressed_size == 60_050
    entry, manifest = planted(world, data)
    assert peak_of(lambda: decode_part(world.cache, entry, manifest)) < 10_000_000


@pytest.mark.parametrize(
    "options",
    [
        {"use_dictionary": True},
        {"row_group_size": 1},
        {"use_dictionary": False, "column_encoding": {"votes": "DELTA_BYTE_ARRAY"}},
        {"data_page_version": "2.0", "column_encoding": {"start": "DELTA_BINARY_PACKED"}},
    ],
)
def test_a_part_is_of_the_one_form_that_is_written(world: World, options: dict[str, Any]) -> None:
    entry, manifest = planted(world, written(table_of(world), **options))
    with pytest.raises(CacheCorruptError, match="damaged"):
        decode_part(world.cache, entry, manifest)


def test_the_same_rows_are_read_when_another_writer_wrote_them(world: World) -> None:
    before = CertificationCache(world.cache)
    rows = before.read(before.entries[0])
    entry, manifest = planted(world, written(table_of(world), write_statistics=False, compression="snappy"))
    for row, again in zip(rows, decode_part(world.cache, entry, manifest), strict=True):
        np.testing.assert_array_equal(row.votes, again.votes)


def test_a_claimed_size_is_refused_before_the_file_is_read(world: World) -> None:
    """A file of holes takes no place on disk, and an index can say anything."""
    entry = CertificationCache(world.cache).entries[0]
    manifest = CertificationCache(world.cache).manifest
    with (world.cache / "parts" / entry.name).open("r+b") as file:
        file.truncate(1 << 33)
    with pytest.raises(CacheCorruptError, match="cannot be"):
        decode_part(world.cache, replace(entry, size=1 << 33), manifest)
    with (world.cache / "index.jsonl").open("r+b") as file:
        file.truncate(1 << 33)
    with pytest.raises(CacheCorruptError, match="has a line of more than"):
        CertificationCache(world.cache)
    with (world.cache / "manifest.json").open("r+b") as file:
        file.truncate(1 << 33)
    with pytest.raises(CacheCorruptError, match="bytes, more than"):
        CertificationCache(world.cache)


def test_a_manifest_of_a_petabyte_is_an_error(world: World) -> None:
    store = CertificationCache(world.cache)
    entry = store.entries[0]
    for change in ({"n": 1 << 39}, {"num_classes": 65534}, {"n": 1 << 39, "num_classes": 65534}):
        with pytest.raises(CacheCorruptError, match="damaged"):
            decode_part(world.cache, entry, replace(store.manifest, **change))  # type: ignore[arg-type]


def test_no_part_is_written_that_is_too_large_to_read(world: World) -> None:
    manifest = replace(CertificationCache(world.cache).manifest, n=10, num_classes=60_000)
    assert rows_at_most(manifest) < 200
    row = CachedInput(
        key=bytes(32),
        top_class=-1,
        selection_counts=np.zeros(60_000, np.int64),
        counts=np.bincount([7] * 10, minlength=60_000),
        p_lower=0.0,
        votes=np.full(10, 7, np.uint16),
    )
    rows = [replace(row, key=i.to_bytes(32, "little")) for i in range(rows_at_most(manifest) + 1)]
    folder = world.cache.parent / "many"
    with CertificationCache.writing(folder, manifest) as store:
        store.append(rows, sc_timing())
    again = CertificationCache(folder)
    assert [len(entry.keys) for entry in again.entries] == [rows_at_most(manifest), 1]
    assert again.read(again.entries[1])[0].key == rows[-1].key


@pytest.mark.parametrize(("most", "sizes"), [(1, [1] * 7), (350, [3, 3, 1])])
def test_a_part_of_the_largest_size_is_read(
    most: int, sizes: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which is one input at least, however many votes it has."""
    monkeypatch.setattr("smoothcert.votes.store.parts._MOST_BYTES", most)
    row = CachedInput(
        key=bytes(32),
        top_class=-1,
        selection_counts=np.zeros(2, np.int64),
        counts=np.array([0, 10]),
        p_lower=0.0,
        votes=np.ones(10, np.uint8),
    )
    keys = [i.to_bytes(32, "little") for i in range(7)]
    with CertificationCache.writing(tmp_path / "c", manifest_of(n=10, num_classes=2)) as store:
        store.append([replace(row, key=key) for key in keys], sc_timing())
    again = CertificationCache(tmp_path / "c")
    assert [len(entry.keys) for entry in again.entries] == sizes
    assert [again[key].key for key in keys] == keys
    assert again.damaged() == []


def test_votes_in_another_order_are_not_those_that_were_written(tmp_path: Path) -> None:
    """A part of the same length and the same counts, with nothing wrong in it but its checksum."""
    row = CachedInput(
        key=bytes(32),
        top_class=-1,
        selection_counts=np.zeros(2, np.int64),
        counts=np.array([3, 1]),
        p_lower=0.0,
        votes=np.array([0, 0, 1, 0], np.uint8),
    )
    manifest = manifest_of(n=4, num_classes=2)
    data, other = (encode_part([replace(row, votes=votes)], manifest) for votes in (row.votes, row.votes[::-1]))
    assert len(data) == len(other)
    (tmp_path / "parts").mkdir()
    entry = PartEntry(part_name([row.key]), hashlib.sha256(data).hexdigest(), len(data), [row.key])
    for content, said in ((other, entry), (data, replace(entry, size=len(data) + 1))):
        (tmp_path / "parts" / entry.name).write_bytes(content)
        with pytest.raises(CacheCorruptError, match=f"are not the {said.size} that were written"):
            decode_part(tmp_path, said, manifest)
    (found,) = decode_part(tmp_path, entry, manifest)
    np.testing.assert_array_equal(found.votes, row.votes)


def sc_timing() -> Any:
    from smoothcert.votes.store import Timing

    return Timing(10, 0.1)


@settings(max_examples=30, deadline=None)
@given(n=st.integers(1, 3000), k=st.integers(2, 400), rows=st.integers(1, 20), seed=st.integers(0, 2**32 - 1))
def test_every_part_that_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, n: int, k: int, rows: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    found = []
    for i in range(rows):
        votes: Any = rng.integers(0, k, n).astype(np.uint8 if k < 255 else np.uint16)
        votes[rng.random(n) < 0.1] = np.iinfo(votes.dtype).max
        counts = np.bincount(votes[votes < k], minlength=k)
        found.append(
            CachedInput(
                key=i.to_bytes(32, "little"),
                top_class=-1,
                selection_counts=np.zeros(k, np.int64),
                counts=counts,
                p_lower=0.0,
                votes=votes,
            )
        )
    manifest, keys = manifest_of(n=n, num_classes=k), [row.key for row in found]
    data = encode_part(found, manifest)
    folder = tmp_path_factory.mktemp("part")
    Path(folder / "parts").mkdir()
    (folder / "parts" / part_name(keys)).write_bytes(data)
    entry = PartEntry(part_name(keys), hashlib.sha256(data).hexdigest(), len(data), keys)
    for row, again in zip(found, decode_part(folder, entry, manifest), strict=True):
        np.testing.assert_array_equal(row.votes, again.votes)
        np.testing.assert_array_equal(row.counts, again.counts)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60), st.integers(4, 30))
def test_arbitrary_bytes_in_place_of_a_page_are_an_error(noise: bytes, at: int) -> None:
    rows = [
        CachedInput(
            key=bytes(32),
            top_class=-1,
            selection_counts=np.zeros(2, np.int64),
            counts=np.array([3, 0]),
            p_lower=0.0,
            votes=np.zeros(3, np.uint8),
        )
    ]
    data = encode_part(rows, manifest_of(n=3, num_classes=2))
    changed = data[:at] + noise + data[at + len(noise) :]
    column = pq.ParquetFile(io.BytesIO(data)).metadata.row_group(0).column(0)
    try:
        require_pages(changed, column, 1, 1000)
    except (ValueError, IndexError, KeyError, TypeError, RecursionError):
        return
    require_pages(data, column, 1, 1000)
