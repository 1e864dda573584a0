from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

import kinds
from smoothcert.errors import CheckpointError, InvalidArgumentError
from smoothcert.models import load_model


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("programs") / "net.pt2"
    with kinds.quietly():
        torch.export.save(kinds.program(kinds.small_net()), file)
    return file


def with_record(source: Path, target: Path, name: str, data: bytes) -> Path:
    """Copy an archive with one more record."""
    target.write_bytes(source.read_bytes())
    with zipfile.ZipFile(target, "a") as archive:
        archive.writestr(f"{archive.namelist()[0].partition('/')[0]}/{name}", data)
    return target


def test_a_program_gives_the_modules_logits(saved: Path) -> None:
    x = kinds.images(5)
    classifier = load_model(str(saved), num_classes=10).classifier
    with torch.no_grad():
        assert np.allclose(classifier.logits(x.numpy()), kinds.small_net()(x).numpy(), atol=1e-6)
    assert classifier.fingerprint == load_model(str(saved), num_classes=10).classifier.fingerprint


def test_a_program_for_one_size_of_batch_is_refused(tmp_path: Path) -> None:
    with kinds.quietly():
        torch.export.save(kinds.program(kinds.small_net(), free=False), tmp_path / "fixed.pt2")
    with pytest.raises(InvalidArgumentError, match=r"batches of 4 alone: export it with dynamic_shapes"):
        load_model(str(tmp_path / "fixed.pt2"), num_classes=10)


@pytest.mark.parametrize(
    "name", ["data/constants/custom_obj_0", "data/aotinductor/model/kernel.so", "data/weights/opaque_obj_1"]
)
def test_what_would_be_run_is_not_loaded(saved: Path, tmp_path: Path, name: str) -> None:
    file = with_record(saved, tmp_path / "bad.pt2", name, b"anything")
    with pytest.raises(CheckpointError, match=rf"holds '{name.rpartition('/')[2]}', which would be run"):
        load_model(str(file), num_classes=10)


def test_a_pickle_in_place_of_tensors_is_not_loaded(saved: Path, tmp_path: Path) -> None:
    class Runs:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "ran",))

    bad = io.BytesIO()
    torch.save({"w": Runs()}, bad)
    with zipfile.ZipFile(saved) as archive, zipfile.ZipFile(tmp_path / "bad.pt2", "w") as other:
        for name in archive.namelist():
            data = archive.read(name)
            if name.endswith("model_weights_config.json"):
                assert b'"use_pickle":' in data
                data = re.sub(rb'"use_pickle":\s*false', b'"use_pickle": true', data)
            other.writestr(name, bad.getvalue() if name.endswith("weight_0") else data)
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        load_model(str(tmp_path / "bad.pt2"), num_classes=10)
    assert not (tmp_path / "ran").exists()


def test_damage_is_named(saved: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.pt2"
    cut.write_bytes(saved.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match=r"cut\.pt2"):
        load_model(str(cut), num_classes=10)
    with zipfile.ZipFile(tmp_path / "other.pt2", "w") as archive:
        archive.writestr("a/readme", "no program")
    with pytest.raises(CheckpointError, match=r"other.pt2 cannot be loaded .*torch.export.save"):
        load_model(str(tmp_path / "other.pt2"), num_classes=10)


def test_torch_load_is_as_it_was(saved: Path) -> None:
    before = torch.load
    load_model(str(saved), num_classes=10)
    assert torch.load is before
