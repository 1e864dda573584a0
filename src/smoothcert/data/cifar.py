"""CIFAR-10 in two of its layouts: parquet files with encoded images, and the binary version."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smoothcert.data.dataset import Dataset
from smoothcert.data.inputs import EncodedImages, UInt8Images
from smoothcert.errors import DataError, reading

CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
"""Classes of CIFAR-10, in the order of its labels."""

PICKLED_FILE = "data_batch_1"

_SHAPE = (3, 32, 32)
_RECORD = 1 + 3 * 32 * 32
_MAX_BINARY_BYTES = 1 << 28  # nine times a file of CIFAR-10
_MAX_NAMES_BYTES = 1 << 16
_REMEDY = "download it again"
# A page in Snappy has at most 21 times its bytes, whatever the footer says of it; others reach thousands.
_CODECS = ("UNCOMPRESSED", "SNAPPY")
_ROWS = 64  # of which each can be as large as a page: what is in memory before it is counted
_ALWAYS_BYTES, _INFLATION = 1 << 24, 16  # encoded images do not compress: copies of one image may
_COLUMNS = ["img.bytes", "label"]
# https://www.cs.toronto.edu/~kriz/cifar.html, section "Binary version".
_BINARY_FILES = {"train": tuple(f"data_batch_{i}.bin" for i in range(1, 6)), "test": ("test_batch.bin",)}


def has_binary_files(folder: Path) -> bool:
    """Whether a file of the binary version is in `folder`."""
    return any((folder / name).is_file() for names in _BINARY_FILES.values() for name in names)


def read_cifar_binary(folder: Path, split: str) -> Dataset:
    """Read the binary version: records of 1 label byte and 3,072 bytes, red, green and blue planes by rows."""
    if split not in _BINARY_FILES:
        raise DataError(f"{folder} has no split {split!r}: CIFAR-10's binary version has 'train' and 'test'")
    files = [folder / name for name in _BINARY_FILES[split]]
    absent = [path.name for path in files if not path.is_file()]
    if absent:
        raise DataError(f"{folder} lacks {', '.join(absent)}: the {split} split needs {len(files)} file(s)")
    classes = _names_in(folder / "batches.meta.txt")
    records = np.concatenate([_read_records(path, len(classes)) for path in files])
    images = UInt8Images(records[:, 1:].reshape(-1, *_SHAPE))
    return Dataset(f"{folder.name}/{split}", images, records[:, 0].astype(np.int64), classes)


def _names_in(path: Path) -> tuple[str, ...]:
    if not path.is_file():
        return CIFAR10_CLASSES
    with reading(path, DataError, _REMEDY), path.open(encoding="utf-8") as file:
        return tuple(file.read(_MAX_NAMES_BYTES).split())


def _read_records(path: Path, num_classes: int) -> NDArray[np.uint8]:
    with reading(path, DataError, _REMEDY):
        size = path.stat().st_size
        if not 0 < size <= _MAX_BINARY_BYTES or size % _RECORD:
            raise DataError(
                f"{path} has {size} bytes, not a positive multiple of {_RECORD} (a label and 3x32x32 levels) up "
                f"to {_MAX_BINARY_BYTES}: it is truncated or another file, so download it again"
            )
        records = np.fromfile(path, np.uint8).reshape(-1, _RECORD)
    wrong = np.flatnonzero(records[:, 0] >= num_classes)
    if wrong.size:
        raise DataError(
            f"{path} has the label {records[wrong[0], 0]} in record {wrong[0]}, but {num_classes} classes: "
            "it is damaged or another file, so download it again"
        )
    return records


def read_cifar_parquet(folder: Path, split: str) -> Dataset:
    """Read ``{split}-*.parquet`` with columns `img` = {bytes, path} and `label`; images stay encoded."""
    import pyarrow as pa

    files = _parquet_files(folder, split)
    source = ", ".join(str(path) for path in files)
    metadata: dict[bytes, bytes] = {}
    batches = []
    for path in files:
        with reading(path, DataError, f"it cannot be read as CIFAR-10 (img = {{bytes, path}}, label); {_REMEDY}"):
            batches += list(_batches(path, metadata))
    with reading(source, DataError, f"its files do not fit together; {_REMEDY}"):
        labels = pa.chunked_array([labels for labels, _ in batches]).combine_chunks()
        encoded = pa.chunked_array([images for _, images in batches]).combine_chunks()
    if not pa.types.is_integer(labels.type) or not pa.types.is_binary(encoded.type):
        raise DataError(
            f"{source} has label of type {labels.type} and img.bytes of {encoded.type}: not integer, binary"
        )
    if not len(labels) or labels.null_count or encoded.null_count:
        raise DataError(f"{source} has no rows, or rows without an image or a label: download it again")
    classes = _class_names(metadata)
    images = EncodedImages(encoded, _SHAPE, source)
    return Dataset(f"{folder.name}/{split}", images, labels.to_numpy().astype(np.int64), classes)


def _batches(path: Path, metadata: dict[bytes, bytes]) -> Iterator[tuple[Any, Any]]:
    """Yield labels and encoded images in small batches; stop where they are more than the file can hold."""
    import pyarrow.parquet as pq

    most, size = max(_ALWAYS_BYTES, _INFLATION * path.stat().st_size), 0
    if not path.is_file():
        raise DataError(f"{path} is not a regular file: {_REMEDY}")
    # Opened here: pyarrow takes no path that is not UTF-8.
    with path.open("rb") as opened, pq.ParquetFile(opened) as file:
        metadata.update(file.schema_arrow.metadata or {})
        _check_codecs(file.metadata, path)
        for batch in file.iter_batches(_ROWS, columns=_COLUMNS):
            labels, images = batch["label"], batch["img"].field("bytes")
            size += labels.nbytes + images.nbytes
            if size > most:
                raise DataError(f"{path} has rows of more than {most} bytes, which its size does not bear out")
            yield labels, images


def _check_codecs(metadata: Any, path: Path) -> None:
    groups = (metadata.row_group(i) for i in range(metadata.num_row_groups))
    columns = (group.column(i) for group in groups for i in range(group.num_columns))
    for column in columns:
        if column.path_in_schema in _COLUMNS and column.compression not in _CODECS:
            raise DataError(
                f"{path} has {column.path_in_schema} compressed by {column.compression}, which can inflate "
                "without bound: write it again with compression='snappy'"
            )


def _parquet_files(folder: Path, split: str) -> list[Path]:
    files = sorted(folder.glob(f"{split}-*.parquet"))
    if not files:
        splits = sorted({path.name.split("-")[0] for path in folder.glob("*-*.parquet")})
        raise DataError(
            f"{folder} has no {split}-*.parquet: give a split that is there ({', '.join(splits) or 'none'})"
        )
    counted = re.search(r"-of-(\d+)\.parquet$", files[0].name)
    if counted and int(counted[1]) != len(files):
        raise DataError(
            f"{folder} has {len(files)} of the {int(counted[1])} files of {split}: download the others"
        )
    return files


def _class_names(metadata: dict[bytes, bytes]) -> tuple[str, ...]:
    """Return the names that Hugging Face's `datasets` writes into the schema, else CIFAR-10's."""
    try:
        features: Any = json.loads(metadata[b"huggingface"])["info"]["features"]
        return tuple(str(name) for name in features["label"]["names"])
    except (KeyError, TypeError, ValueError, RecursionError):
        return CIFAR10_CLASSES
