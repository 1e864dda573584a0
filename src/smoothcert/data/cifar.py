"""CIFAR-10 in two of its layouts: parquet files with encoded images, and the binary version."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from smoothcert.data.dataset import Dataset
from smoothcert.data.inputs import EncodedImages, UInt8Images
from smoothcert.errors import DataError

CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
"""Classes of CIFAR-10, in the order of its labels."""

PICKLED_FILE = "data_batch_1"

_SHAPE = (3, 32, 32)
_RECORD = 1 + 3 * 32 * 32
_BINARY_FILES = {"train": tuple(f"data_batch_{i}.bin" for i in range(1, 6)), "test": ("test_batch.bin",)}


def has_binary_files(folder: Path) -> bool:
    """Whether a file of the binary version is in `folder`."""
    return any((folder / name).is_file() for names in _BINARY_FILES.values() for name in names)


def read_cifar_binary(folder: Path, split: str) -> Dataset:
    """Read the binary version: records of 1 label byte and 3,072 bytes, red, green and blue planes by rows.

    References
    ----------
    https://www.cs.toronto.edu/~kriz/cifar.html, section "Binary version".
    """
    if split not in _BINARY_FILES:
        raise DataError(f"{folder} has no split {split!r}: CIFAR-10's binary version has 'train' and 'test'")
    files = [folder / name for name in _BINARY_FILES[split]]
    absent = [path.name for path in files if not path.is_file()]
    if absent:
        raise DataError(f"{folder} lacks {', '.join(absent)}: the {split} split needs {len(files)} file(s)")
    names_file = folder / "batches.meta.txt"
    classes = tuple(names_file.read_text().split()) if names_file.is_file() else CIFAR10_CLASSES
    records = np.concatenate([_read_records(path, len(classes)) for path in files])
    images = UInt8Images(records[:, 1:].reshape(-1, *_SHAPE))
    return Dataset(f"{folder.name}/{split}", images, records[:, 0].astype(np.int64), classes)


def _read_records(path: Path, num_classes: int) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    data = np.fromfile(path, np.uint8)
    if not data.size or data.size % _RECORD:
        raise DataError(
            f"{path} has {data.size} bytes, not a positive multiple of {_RECORD} (a label and 3x32x32 levels): "
            "it is truncated or another file, so download it again"
        )
    records = data.reshape(-1, _RECORD)
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
    import pyarrow.parquet as pq

    files = _parquet_files(folder, split)
    source = ", ".join(str(path) for path in files)
    try:
        table = pa.concat_tables([pq.read_table(path, columns=["img", "label"]) for path in files])
        labels = table["label"].combine_chunks()
        encoded = pa.chunked_array(chunk.field("bytes") for chunk in table["img"].chunks).combine_chunks()
    except (pa.ArrowException, OSError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{source} cannot be read as CIFAR-10 (img = {{bytes, path}}, label): {error}; download it again"
        ) from error
    if not pa.types.is_integer(labels.type) or not pa.types.is_binary(encoded.type):
        raise DataError(
            f"{source} has label of type {labels.type} and img.bytes of {encoded.type}: not integer, binary"
        )
    if not len(labels) or labels.null_count or encoded.null_count:
        raise DataError(f"{source} has no rows, or rows without an image or a label: download it again")
    classes = _class_names(table.schema.metadata or {})
    images = EncodedImages(encoded, _SHAPE, source)
    return Dataset(f"{folder.name}/{split}", images, labels.to_numpy().astype(np.int64), classes)


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
    except (KeyError, TypeError, ValueError):
        return CIFAR10_CLASSES
