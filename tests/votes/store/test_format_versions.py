from __future__ import annotations

import hashlib
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from forged_cache import manifest_of
from smoothcert.errors import CacheCorruptError, CacheMismatchError
from smoothcert.votes.store import CachedInput, CertificationCache, Manifest, Timing
from smoothcert.votes.store.index import PartEntry
from smoothcert.votes.store.parts import decode_part, encode_part

MANIFEST = manifest_of(n=4)
OLD_DIGEST = "2deac85adf602321ef8e981f661629982d62f2271426ce8a3859e290048dc18e"
"""Of the manifest as versions 1 and 2 of the format wrote it."""


def row(start: int) -> CachedInput:
    return CachedInput(
        key=bytes(32),
        top_class=-1,
        selection_counts=np.zeros(2, np.int64),
        counts=np.array([3, 1]),
        p_lower=0.0,
        votes=np.array([0, 0, 1, 0], np.uint8),
        start=start,
    )


def write(folder: Path, manifest: Manifest, start: int) -> CertificationCache:
    with CertificationCache.writing(folder, manifest) as store:
        store.append([row(start)], Timing(4, 0.1))
    return CertificationCache(folder)


def test_votes_remember_where_they_start(tmp_path: Path) -> None:
    paired = replace(MANIFEST, base="0" * 64)
    assert write(tmp_path / "c", paired, start=1 << 40)[bytes(32)].start == 1 << 40


def test_votes_that_others_are_paired_with_start_at_0(tmp_path: Path) -> None:
    store = write(tmp_path / "c", MANIFEST, start=5)
    with pytest.raises(CacheCorruptError, match="start at sample 5"):
        store[bytes(32)]


def test_caches_of_version_1_are_read(tmp_path: Path) -> None:
    """They have no column for the start and no other digest than they were written with."""
    store = write(tmp_path / "c", replace(MANIFEST, format_version=1), start=0)
    assert json.loads((tmp_path / "c" / "manifest.json").read_text())["format_version"] == 1
    assert store.manifest.format_version == 1
    assert store.manifest.digest == OLD_DIGEST
    assert store[bytes(32)].start == 0
    assert store.damaged() == []


@pytest.mark.parametrize(("version", "num_classes"), [(1, 2), (2, 2), (3, 2), (3, 300)])
def test_parts_have_the_columns_that_were_written_ever_since(
    tmp_path: Path, version: int, num_classes: int
) -> None:
    """Column by column, as another program could write them."""

    def required(name: str, kind: pa.DataType) -> pa.Field:
        return pa.field(name, kind, nullable=False)

    manifest = replace(MANIFEST, format_version=version, num_classes=num_classes)
    votes: list[int] = [0, num_classes - 1, 1, 0]
    counts = np.bincount(votes, minlength=num_classes)
    per_class = pa.list_(required("element", pa.int64()))
    columns = {
        required("key", pa.binary(32)): bytes(32),
        required("top_class", pa.int64()): -1,
        required("selection_counts", per_class): [0] * num_classes,
        required("counts", per_class): counts.tolist(),
        required("p_lower", pa.float64()): 0.0,
        required("votes", pa.binary()): np.array(votes, "<u1" if num_classes == 2 else "<u2").tobytes(),
        required("start", pa.int64()): 0,
    }
    if version == 1:
        columns.popitem()
    schema = pa.schema(list(columns), metadata={"smoothcert.manifest": manifest.digest})
    table = pa.table([[value] for value in columns.values()], schema=schema)
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd", use_dictionary=False, write_statistics=False)
    data, name = buffer.getvalue(), "part-66687aadf862bd776c8fc18b8e9f8e20.parquet"
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / name).write_bytes(data)
    entry = PartEntry(name, hashlib.sha256(data).hexdigest(), len(data), [bytes(32)])
    (found,) = decode_part(tmp_path, entry, manifest)
    assert found.votes.tolist() == votes
    assert found.counts.tolist() == counts.tolist()
    (again,) = pq.read_table(io.BytesIO(encode_part([found], manifest))).to_pylist()
    assert list(again.values()) == list(columns.values())


@pytest.mark.parametrize("starts", [[5], [0, 5], [5, 0]])
def test_version_1_cannot_say_where_votes_start(tmp_path: Path, starts: list[int]) -> None:
    rows = [replace(row(start), key=bytes([i] * 32)) for i, start in enumerate(starts)]
    with (
        CertificationCache.writing(tmp_path / "c", replace(MANIFEST, format_version=1)) as store,
        pytest.raises(CacheMismatchError, match="older version: name another folder"),
    ):
        store.append(rows, Timing(4, 0.1))
    assert len(CertificationCache(tmp_path / "c")) == 0


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "c", MANIFEST, start=0)
    path = tmp_path / "c" / "manifest.json"
    path.write_text(path.read_text().replace('"format_version": 3', '"format_version": 5'))
    with pytest.raises(CacheMismatchError, match="this version reads 'smoothcert-cache', 1 to 4"):
        CertificationCache(tmp_path / "c")
