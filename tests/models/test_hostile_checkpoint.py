"""Checkpoints that were made to run code, to take memory or to say two things: none of them loads."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from smoothcert.errors import CheckpointError
from smoothcert.models import (
    load_checkpoint,
)


def _save(path: Path, state: Mapping[str, object], arch: str = "digits_conv", **more: Any) -> Path:
    torch.save({"arch": arch, "state_dict": state, **more}, path)
    return path


class _Payload:
    """Runs a command when it is unpickled carelessly."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (self.command,)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_checkpoint_that_runs_code_is_refused_and_does_not_run(tmp_path: Path, zipped: bool) -> None:
    marker = tmp_path / "it-ran"
    path = tmp_path / "evil.pth.tar"
    content = {"arch": "digits_conv", "state_dict": {"1.fc.bias": _Payload(f"touch {marker}")}, "pad": "x" * 200}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointError, match=r"evil\.pth\.tar wants to run posix\.system"):
        load_checkpoint(path)
    assert not marker.exists()


def test_compressed_records_are_refused(tmp_path: Path, digits_state: dict[str, torch.Tensor]) -> None:
    plain = _save(tmp_path / "a.pth", {**digits_state, "1.fc.weight": torch.zeros(10, 512)})
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(tmp_path / "b.pth", "w", zipfile.ZIP_DEFLATED) as bomb:
        for record in source.infolist():
            bomb.writestr(record.filename, source.read(record))
    with pytest.raises(CheckpointError, match="compressed record"):
        load_checkpoint(tmp_path / "b.pth")


def test_overlapping_records_are_refused(tmp_path: Path) -> None:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a/data/0", bytes(5000))
        first = archive.infolist()[0]
        for i in range(1, 10):
            copy = zipfile.ZipInfo(f"a/data/{i}")
            copy.CRC, copy.file_size, copy.compress_size = first.CRC, first.file_size, first.compress_size
            copy.header_offset = 0
            archive.filelist.append(copy)
    path = tmp_path / "a.pth"
    path.write_bytes(buffer.getvalue())
    with pytest.raises(CheckpointError, match=r"overlap|damaged"):
        load_checkpoint(path)


def test_storages_larger_than_the_file_are_refused(tmp_path: Path) -> None:
    for zipped in (True, False):
        path = tmp_path / f"{zipped}.pth"
        state = {f"1.{i}": torch.zeros(5) for i in range(9)}
        torch.save({"arch": "digits_conv", "state_dict": state}, path, _use_new_zipfile_serialization=zipped)
        # The number 5 as a byte becomes a number of four bytes: 2^31 - 1 values in a file of a few kB.
        five, many = b"K\x05", b"J\xff\xff\xff\x7f"
        if zipped:
            with zipfile.ZipFile(path) as source:
                records = {info.filename: source.read(info) for info in source.infolist()}
            with zipfile.ZipFile(path, "w") as target:
                for name, data in records.items():
                    target.writestr(name, data.replace(five, many) if name.endswith(".pkl") else data)
        else:
            path.write_bytes(path.read_bytes().replace(five, many))
        with pytest.raises(CheckpointError, match=r"\.pth"):
            load_checkpoint(path)


@pytest.mark.parametrize("nested", ["[" * 10**5, '{"a":' * 10**5])
def test_deep_json_in_a_header_or_in_metadata_is_refused(tmp_path: Path, nested: str) -> None:
    path = tmp_path / "a.safetensors"
    for header in ('{"__metadata__":' + nested, nested):
        path.write_bytes(len(header).to_bytes(8, "little") + header.encode() + bytes(200))
        with pytest.raises(CheckpointError, match=r"a\.safetensors"):
            load_checkpoint(path)
    metadata = {"smoothcert": "1", "arch": "digits_conv", "num_classes": "10", "input_shape": nested}
    save_file({"a": torch.zeros(100)}, path, metadata | {"mean": "[0.3]", "std": "[0.4]"})
    with pytest.raises(CheckpointError, match=r"a\.safetensors"):
        load_checkpoint(path)
