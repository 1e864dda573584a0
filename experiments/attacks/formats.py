"""What somebody who knows the files' formats can do: change a file and recompute every checksum that tells."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

__all__ = ["checked_line", "lines_of", "seal", "seal_record"]

Record = dict[str, Any]
_HEADER = {"format", "format_version", "digest"}
_TYPES = {"F32": "torch.float32", "F64": "torch.float64", "I64": "torch.int64", "U8": "torch.uint8"}
_DIGEST_OF_PARTS = b"smoothcert.manifest"


def canonical_digest(fields: Any) -> str:
    """Return the SHA-256 of JSON fields, as all records have it."""
    return hashlib.sha256(json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def seal_record(record: Record) -> Record:
    """Recompute the digest of a record that has one."""
    if "digest" not in record:
        return record
    return {**record, "digest": canonical_digest({k: v for k, v in record.items() if k not in _HEADER})}


def checked_line(record: Record) -> str:
    """Return a record as a line with its checksum."""
    text = json.dumps(record, separators=(",", ":"))
    return f"{hashlib.sha256(text.encode()).hexdigest()[:16]} {text}"


def lines_of(path: Path) -> list[Record]:
    """Read the records of a file of checked lines, without checking them."""
    return [json.loads(line.partition(" ")[2]) for line in path.read_text().splitlines()]


def seal(path: Path) -> None:
    """Recompute all checksums and digests that cover a file which was changed, up to the folder's root.

    Raises
    ------
    ValueError, KeyError, TypeError, OSError
        When what was changed leaves nothing that could be sealed.
    """
    name = path.name
    if name.endswith(".jsonl"):
        _write_lines(path, lines_of(path))
    elif name == "manifest.json":
        _write(path, _sealed(path))
        _stamp(path.parent)
    elif name == "rounds.json":
        record = _read(path)
        record["votes"] = seal_record(record["votes"])
        _write(path, seal_record(record))
    elif name.endswith(".parquet"):
        _enter(path.parents[1] / "index.jsonl", path, lambda r: r["part"] == name)
    elif name.endswith(".votes"):
        _enter(path.parents[1] / "rounds.jsonl", path, lambda r: f"{r['number']:06d}.votes" == name)
    elif name == "surrogate.safetensors":
        record = _read(path.with_name("surrogate.json"))
        _write(path.with_name("surrogate.json"), {**record, "weights": _sha256(path)})
        seal(path.with_name("surrogate.json"))
    elif name == "surrogate.json":
        _write(path, _sealed(path))
        calibration = path.with_name("calibration.json")
        if calibration.exists():
            _write(calibration, {**_read(calibration), "surrogate": _read(path)["digest"]})
            seal(calibration)
    elif name.endswith("-state.safetensors"):
        _seal_state(path)
    elif name == "guided-plan.json":
        _seal_plan(path)
    elif name.endswith(".json"):
        _write(path, _sealed(path))


def _seal_plan(path: Path) -> None:
    """Let the journal beside a plan name the plan that is there now."""
    record = seal_record(_read(path))
    _write(path, record)
    sizes = b"".join(int(n).to_bytes(8, "little", signed=True) for n in record["n"])
    journal = path.with_name("rounds.json")
    rounds = _read(journal)
    rounds["procedure"]["plan"] = hashlib.sha256(sizes).hexdigest()
    _write(journal, seal_record(rounds))


def _seal_state(path: Path) -> None:
    """Recompute the digest that a state has among its metadata."""
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    tensors, metadata = header, header.pop("__metadata__")
    if "digest" not in metadata:
        return
    del metadata["digest"]
    found = hashlib.sha256(json.dumps(metadata, sort_keys=True).encode())
    for name, about in sorted(tensors.items()):
        begin, end = (8 + length + offset for offset in about["data_offsets"])
        found.update(f"{name} {_TYPES[about['dtype']]} {tuple(about['shape'])} ".encode() + data[begin:end])
    text = json.dumps({"__metadata__": {**metadata, "digest": found.hexdigest()}, **tensors}).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])


def _stamp(folder: Path) -> None:
    """Write a manifest's digest into the parts, their hashes into the index, and the digest into candidates."""
    digest = _read(folder / "manifest.json")["digest"]
    records = lines_of(folder / "index.jsonl")
    for record in records:
        path = folder / "parts" / record["part"]
        table = pq.read_table(path)
        metadata = {**(table.schema.metadata or {}), _DIGEST_OF_PARTS: digest.encode()}
        pq.write_table(table.replace_schema_metadata(metadata), path, compression="zstd")
        record.update(sha256=_sha256(path), bytes=path.stat().st_size)
    _write_lines(folder / "index.jsonl", records)
    for manifest in folder.glob("candidates/*/manifest.json"):
        _write(manifest, {**_read(manifest), "base": digest})
        seal(manifest)
    for journal in folder.glob("candidates/*/rounds.json"):
        rounds = _read(journal)
        rounds["votes"]["base"] = digest
        _write(journal, rounds)
        seal(journal)


def _enter(index: Path, path: Path, is_it: Callable[[Record], bool]) -> None:
    records = lines_of(index)
    for record in filter(is_it, records):
        record.update(sha256=_sha256(path), bytes=path.stat().st_size)
    _write_lines(index, records)


def _sealed(path: Path) -> Record:
    return seal_record(_read(path))


def _read(path: Path) -> Record:
    record: Record = json.loads(path.read_text())
    return record


def _write(path: Path, record: Record) -> None:
    path.write_text(json.dumps(record, indent=2, sort_keys=True) + "\n")


def _write_lines(path: Path, records: list[Record]) -> None:
    path.write_text("".join(checked_line(record) + "\n" for record in records))


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
