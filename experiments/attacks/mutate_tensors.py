"""Damage to models, states and data by somebody who knows their formats."""

from __future__ import annotations

import io
import json
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from attacks.mutate_bytes import Mutator
from attacks.mutate_json import RECORD_MUTATORS

__all__ = [
    "ARRAY_MUTATORS",
    "IMAGE_MUTATORS",
    "SAFETENSORS_MUTATORS",
    "TABLE_MUTATORS",
    "TORCH_MUTATORS",
    "VOTES_MUTATORS",
]

_HUGE = 1 << 30


def _safetensors_header(path: Path, random: Random) -> None:
    """Change the header: names, shapes, offsets, or the metadata and what JSON they hold."""
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    change = RECORD_MUTATORS[random.choice(sorted(RECORD_MUTATORS))]
    metadata = header.get("__metadata__")
    if metadata and random.random() < 0.7:
        name = random.choice(sorted(metadata))
        try:
            inner = json.loads(metadata[name])
        except ValueError:
            inner = metadata[name]
        if isinstance(inner, (dict, list)) and inner:
            metadata[name] = json.dumps(change({"": inner}, random).get("", None))
        else:
            metadata[name] = random.choice(
                ("", "nan", "-1", "1e999", "[]", "null", "99999999999", "x" * 5000, "[" * 50_000)
            )
    else:
        header = change(header, random)
    text = json.dumps(header).encode(errors="surrogatepass")
    path.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])


def _safetensors_values(path: Path, random: Random) -> None:
    """Overwrite a number of a tensor."""
    data = bytearray(path.read_bytes())
    begin = 8 + int.from_bytes(data[:8], "little")
    at = begin + 4 * random.randrange((len(data) - begin) // 4)
    data[at : at + 4] = struct.pack("<f", random.choice((float("nan"), float("inf"), 1e38, -1e38, 0.0, 1.0)))
    path.write_bytes(bytes(data))


SAFETENSORS_MUTATORS: dict[str, Mutator] = {"header": _safetensors_header, "values": _safetensors_values}


def _torch_content(path: Path, random: Random) -> None:
    content: dict[str, Any] = torch.load(path, weights_only=True)
    state = content["state_dict"]
    name = random.choice(sorted(state))
    wrong: list[Any] = [None, -1, 10**30, float("nan"), float("inf"), -0.5, "", "resnet50", [], {}, [[]] * 5, True]
    tensors: list[Callable[[], torch.Tensor]] = [
        lambda: torch.zeros(1).expand(_HUGE, 64),
        lambda: torch.zeros(1).expand(state[name].shape),
        lambda: state[name].double(),
        lambda: state[name].to(torch.int64),
        lambda: state[name].to(torch.complex64),
        lambda: state[name].to_sparse(),
        lambda: state[name] * float("nan"),
        lambda: state[name][:1],
        lambda: torch.empty(state[name].shape, device="meta"),
        lambda: torch.zeros(0),
    ]
    how = random.randrange(5)
    if how == 0:
        content[random.choice(("arch", "epoch", "sigma", "state_dict"))] = random.choice(wrong)
    elif how == 1:
        state[name] = random.choice(tensors)()
    elif how == 2:
        del state[name]
    elif how == 3:
        state[random.choice(("extra", "0.mean", 5, "1.fc.weight", "\x1b[31m"))] = random.choice(tensors)()
    else:
        del content[random.choice(sorted(content))]
    torch.save(content, path)


TORCH_MUTATORS: dict[str, Mutator] = {"content": _torch_content}


def _arrays(path: Path, random: Random) -> None:
    with np.load(path) as file:
        x, y = file["x"], file["y"]
    changes: list[Callable[[], dict[str, Any]]] = [
        lambda: {"x": x, "y": np.where(np.arange(len(y)) == 0, 10**8, y)},
        lambda: {"x": x, "y": np.where(np.arange(len(y)) == 0, 2**62, y)},
        lambda: {"x": x, "y": -y - 1},
        lambda: {"x": x, "y": y.astype(np.float64)},
        lambda: {"x": x, "y": y[:, None]},
        lambda: {"x": x, "y": np.uint64(2**64 - 1) - y.astype(np.uint64)},
        lambda: {"x": np.zeros((len(y), 1, 8192, 8192), np.uint8), "y": y},
        lambda: {"x": np.zeros((len(y), 1, 4096, 8192), np.float16), "y": y},
        lambda: {"x": x.astype(np.float32), "y": y},
        lambda: {"x": x / np.float64(255) + random.choice((0.0, np.nan, np.inf, 1e-9, 1.0)), "y": y},
        lambda: {"x": x.astype(np.int64), "y": y},
        lambda: {"x": x.astype(np.longdouble) / 255, "y": y},
        lambda: {"x": x[:0], "y": y[:0]},
        lambda: {"x": x.astype(object), "y": y},
        lambda: {"x": x.astype("S4"), "y": y},
        lambda: {"x": np.zeros((len(y), 0, 8), np.uint8), "y": y},
        lambda: {"y": y},
        lambda: {"x": x, "y": y, "z": np.zeros((1 << 28), np.uint8)},
    ]
    np.savez_compressed(path, **random.choice(changes)())


def _array_header(path: Path, random: Random) -> None:
    """Let an array's header claim another shape or type than there is data for."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = random.choice(sorted(members))
    data = members[name]
    length = int.from_bytes(data[8:10], "little")
    header = random.choice(
        (
            "{'descr': '<f8', 'fortran_order': False, 'shape': (1125899906842624,), }",
            "{'descr': '|u1', 'fortran_order': False, 'shape': (2147483648, 1, 8, 8), }",
            "{'descr': '|u1', 'fortran_order': False, 'shape': (-6, 1, 8, 8), }",
            "{'descr': '<i8', 'fortran_order': True, 'shape': (6,), }",
            "{'descr': '|O', 'fortran_order': False, 'shape': (6,), }",
            "{'descr': [('a', '<i8')], 'fortran_order': False, 'shape': (6,), }",
            "{'descr': '<U2147483647', 'fortran_order': False, 'shape': (6,), }",
            "{'descr': '<i8'",
            "(" * 2000,
            "{'descr': '<i8', 'fortran_order': False, 'shape': (" + "1," * 100 + "), }",
        )
    ).encode()
    members[name] = data[:8] + len(header).to_bytes(2, "little") + header + data[10 + length :]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in members.items():
            archive.writestr(member, content)


ARRAY_MUTATORS: dict[str, Mutator] = {"arrays": _arrays, "array header": _array_header}

_EPS = b"""%!PS-Adobe-3.0 EPSF-3.0
%%BoundingBox: 0 0 32 32
%%EndComments
0 0 32 32 rectfill
%%EOF
"""


def _png(width: int, height: int, mode: int = 0, rows: bytes | None = None) -> bytes:
    """Return a PNG file that claims a size; its rows are black unless given."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    if rows is None:
        rows = bytes((width // 8 + 1) * height)
    header = struct.pack(">IIBBBBB", width, height, 1 if mode == 0 else 8, mode, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )


def _hostile_image(random: Random) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    kinds: list[Callable[[], bytes]] = [
        lambda: _EPS,
        lambda: _png(9000, 9000),
        lambda: _png(1 << 30, 1 << 30, rows=b""),
        lambda: _png(0, 0, rows=b""),
        lambda: _png(32, 32, mode=2, rows=b"\0"),
    ]
    kind = random.randrange(len(kinds) + 4)
    if kind < len(kinds):
        return kinds[kind]()
    Image.new("RGB", (31, 32)).save(buffer, ("gif", "tiff", "bmp", "webp")[kind - len(kinds)])
    return buffer.getvalue()


def _image(path: Path, random: Random) -> None:
    path.write_bytes(_hostile_image(random))


IMAGE_MUTATORS: dict[str, Mutator] = {"another image": _image}


def _table(path: Path, random: Random) -> None:
    """Change images, labels or the layout of CIFAR-10 in Parquet."""
    rows = pq.read_table(path).to_pylist()
    row = random.choice(rows)
    how = random.randrange(7)
    if how == 0:
        row["img"]["bytes"] = random.choice((b"", _hostile_image(random), None))
    elif how == 1:
        row["label"] = random.choice((-1, 10, 10**9, None))
    elif how == 2:
        rows = []
    table = pa.Table.from_pylist(rows) if rows else pq.read_table(path).slice(0, 0)
    if how == 3:
        table = table.drop_columns([random.choice(table.column_names)])
    elif how == 4:
        table = table.set_column(0, "img", pa.array([r["img"]["bytes"] for r in rows]))
    elif how == 5:
        table = table.set_column(1, "label", pa.array([float(r["label"]) for r in rows]))
    elif how == 6:
        names = random.choice((["a"], [], {"a": 1}, None, ["\x1b[31m"] * 10, "abcdefghij"))
        features = {"info": {"features": {"label": {"names": names}}}}
        table = table.replace_schema_metadata({"huggingface": json.dumps(features)})
    pq.write_table(table, path)


TABLE_MUTATORS: dict[str, Mutator] = {"table": _table}


def _journal_votes(path: Path, random: Random) -> None:
    """Decompress a piece of a journal, change votes, compress it again."""
    votes = bytearray(pa.CompressedInputStream(pa.BufferReader(path.read_bytes()), "zstd").read())
    how = random.randrange(5)
    if how == 0:
        votes[random.randrange(len(votes))] = random.choice((0, 1, 2, 3, 254, 255))
    elif how == 1:
        votes[:] = bytes([random.randrange(3)]) * len(votes)
    elif how == 2:
        del votes[random.randrange(len(votes)) :]
    elif how == 3:
        votes += bytes(random.choice((1, 1000, 300 << 20)))
    else:
        votes.reverse()
    path.write_bytes(pa.compress(bytes(votes), codec="zstd", asbytes=True))


VOTES_MUTATORS: dict[str, Mutator] = {"votes": _journal_votes}
