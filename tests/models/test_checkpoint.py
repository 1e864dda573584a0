"""Checkpoints: published layouts load exactly, hostile and damaged files do not load at all."""

from __future__ import annotations

import json
import os
import warnings
import zipfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from smoothcert.data import load_dataset
from smoothcert.errors import CheckpointError, InvalidArgumentError
from smoothcert.models import (
    CIFAR10,
    DIGITS,
    LoadedModel,
    Normalization,
    build_model,
    load_checkpoint,
    save_checkpoint,
)
from smoothcert.models._safetensors import format_safetensors
from smoothcert.models.checkpoint import read_safetensors

CHECKPOINT = Path("models", "cifar10", "resnet20", "noise_0.50", "checkpoint.pth.tar")


@pytest.fixture(scope="module")
def digits_state() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return dict(build_model("digits_conv").state_dict())


@pytest.fixture(scope="module")
def cifar_state() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return dict(build_model("cifar_resnet20").state_dict())


def _save(path: Path, state: Mapping[str, object], arch: str = "digits_conv", **more: Any) -> Path:
    torch.save({"arch": arch, "state_dict": state, **more}, path)
    return path


def _renamed(state: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {prefix + name.removeprefix("1."): tensor for name, tensor in state.items()}


def test_the_published_layout_loads_and_classifies_noisy_images(shared: Path) -> None:
    model = load_checkpoint(shared / CHECKPOINT)
    assert (model.arch, model.num_classes, model.input_shape) == ("cifar_resnet20", 10, (3, 32, 32))
    assert (model.normalization, model.sigma, model.epoch) == (CIFAR10, None, 14)
    assert not model.module.training
    data = load_dataset(shared / "data" / "cifar10", limit=100)
    noise = np.random.default_rng(0).normal(0, 0.5, data.inputs.shape)
    noisy = torch.from_numpy((data.inputs[:] + noise).astype(np.float32))
    with torch.inference_mode():
        accuracy = np.mean(model.module(noisy).argmax(1).numpy() == data.labels)
    # 100 images: the standard deviation of an accuracy near 0.6 is 0.05; chance is 0.1.
    assert accuracy > 0.4


@pytest.mark.parametrize("prefix", ["1.", "1.module.", "module.1.", "module.1.module."])
def test_prefixes_of_parallel_training_change_nothing(
    tmp_path: Path, cifar_state: dict[str, torch.Tensor], prefix: str
) -> None:
    model = load_checkpoint(_save(tmp_path / "a.pth.tar", _renamed(cifar_state, prefix), "cifar_resnet20"))
    reference = build_model("cifar_resnet20")
    reference.load_state_dict(cifar_state)
    x = torch.rand(4, 3, 32, 32)
    with torch.inference_mode():
        assert torch.equal(model.module(x), reference.eval()(x))


def test_a_network_without_normalization_needs_one_given(
    tmp_path: Path, digits_state: dict[str, torch.Tensor]
) -> None:
    path = _save(tmp_path / "a.pth", _renamed(digits_state, ""))
    with pytest.raises(CheckpointError, match=r"names start with 'conv1\.weight'.*pass normalization"):
        load_checkpoint(path)
    none = Normalization((0.0,), (1.0,))
    model = load_checkpoint(path, normalization=none)
    assert model.normalization == none
    x = torch.rand(2, 1, 8, 8)
    assert torch.equal(model.module(x), model.module[1](x))
    with pytest.raises(InvalidArgumentError, match="has its own normalization"):
        load_checkpoint(_save(path, digits_state), normalization=none)


def test_another_normalization_layer_is_refused(tmp_path: Path, digits_state: dict[str, torch.Tensor]) -> None:
    path = _save(tmp_path / "a.pth", {"0.means": torch.zeros(1), **digits_state})
    with pytest.raises(CheckpointError, match=r"0\.means.*another normalization"):
        load_checkpoint(path)


def test_old_and_narrow_checkpoints_load(tmp_path: Path, cifar_state: dict[str, torch.Tensor]) -> None:
    old = {name: tensor for name, tensor in cifar_state.items() if not name.endswith("num_batches_tracked")}
    path = tmp_path / "old.pth.tar"
    content = {"arch": "cifar_resnet20", "state_dict": old, "epoch": 90, "optimizer": {"state": {}, "lr": 0.1}}
    torch.save(content, path, _use_new_zipfile_serialization=False)
    model = load_checkpoint(path)
    assert model.epoch == 90
    assert torch.equal(model.module.state_dict()["1.fc.weight"], cifar_state["1.fc.weight"])
    half = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in cifar_state.items()}
    widened = load_checkpoint(_save(path, half, "cifar_resnet20")).module.state_dict()["1.fc.weight"]
    assert torch.equal(widened, cifar_state["1.fc.weight"].half().float())


def test_the_number_of_classes_is_that_of_the_last_layer(tmp_path: Path) -> None:
    state = build_model("digits_conv", num_classes=4).state_dict()
    assert load_checkpoint(_save(tmp_path / "a.pth", state, sigma=0.25)).num_classes == 4


def test_loading_leaves_the_random_state_alone(tmp_path: Path, digits_state: dict[str, torch.Tensor]) -> None:
    path = _save(tmp_path / "a.pth", digits_state)
    before = torch.get_rng_state()
    load_checkpoint(path)
    assert torch.equal(torch.get_rng_state(), before)


def test_another_architecture_is_described(tmp_path: Path, cifar_state: dict[str, torch.Tensor]) -> None:
    path = _save(tmp_path / "a.pth", cifar_state, "cifar_resnet56")
    with pytest.raises(CheckpointError, match=r"weights of cifar_resnet56: missing 1\.layer1\.3\.conv1\.weight"):
        load_checkpoint(path)
    path = _save(tmp_path / "b.pth", cifar_state)
    with pytest.raises(
        CheckpointError, match=r"missing 1\.conv1\.bias.*; unexpected 1\.bn1\.weight.*and \d+ more"
    ):
        load_checkpoint(path)
    path = _save(tmp_path / "c.pth", {**cifar_state, "1.conv1.weight": torch.zeros(16, 1, 3, 3)}, "cifar_resnet20")
    with pytest.raises(
        CheckpointError, match=r"1\.conv1\.weight has shape \(16, 1, 3, 3\) instead of \(16, 3, 3, 3\)"
    ):
        load_checkpoint(path)
    path = _save(
        tmp_path / "d.pth", {**cifar_state, "1.fc.bias": torch.zeros(10, dtype=torch.int8)}, "cifar_resnet20"
    )
    with pytest.raises(CheckpointError, match=r"1\.fc\.bias is torch\.int8 instead of torch\.float32"):
        load_checkpoint(path)
    with pytest.raises(CheckpointError, match="architecture 'vgg': known are"):
        load_checkpoint(_save(path, cifar_state, "vgg"))


@pytest.mark.filterwarnings("ignore:.*sparse:UserWarning")  # PyTorch 2.11 when it reads one
@pytest.mark.parametrize("value", [torch.zeros(10).to_sparse(), torch.zeros(10, device="meta"), "text"])
def test_entries_that_are_no_plain_tensors_are_refused(
    tmp_path: Path, digits_state: dict[str, torch.Tensor], value: object
) -> None:
    with pytest.raises(CheckpointError, match=r"'1\.fc\.bias' in its state dict, which is no plain tensor"):
        load_checkpoint(_save(tmp_path / "a.pth", {**digits_state, "1.fc.bias": value}))


def test_weights_that_are_not_finite_are_refused(tmp_path: Path, digits_state: dict[str, torch.Tensor]) -> None:
    path = _save(tmp_path / "a.pth", {**digits_state, "1.fc.bias": torch.full((10,), torch.nan)})
    with pytest.raises(CheckpointError, match=r"NaN or infinite weights in 1\.fc\.bias"):
        load_checkpoint(path)


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


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"\n<!DOCTYPE html><html>" + b" " * 2000, "looks like a web page: 2022 bytes"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 80, "Git LFS pointer"),
        (b"PK\x03\x04", "4 bytes, too few"),
        (b"PK\x03\x04" + bytes(500), "damaged"),
        (b"\x80\x02" + bytes(500), "damaged or no checkpoint"),
        (b"\x89HDF" + bytes(500), "neither a PyTorch nor a safetensors file"),
        ((1 << 60).to_bytes(8, "little") + b"{" * 500, "damaged .* safetensors file of 508 bytes"),
    ],
)
def test_files_that_are_something_else_are_named(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=words) as caught:
        load_checkpoint(path)
    assert "model.bin" in str(caught.value)


def test_truncated_files_and_folders_are_refused(tmp_path: Path, digits_state: dict[str, torch.Tensor]) -> None:
    path = _save(tmp_path / "a.pth", digits_state)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(CheckpointError, match="damaged"):
        load_checkpoint(path)
    with pytest.raises(CheckpointError, match="not a regular file"):
        load_checkpoint(tmp_path)
    with pytest.raises(CheckpointError, match=r"none\.pth cannot be read"):
        load_checkpoint(tmp_path / "none.pth")


def test_files_without_arch_or_state_dict_are_described(
    tmp_path: Path, digits_state: dict[str, torch.Tensor]
) -> None:
    path = tmp_path / "a.pth"
    torch.save(digits_state, path)
    with pytest.raises(CheckpointError, match="bare dict of 6 entries, 6 of them tensors"):
        load_checkpoint(path)
    torch.save({"state_dict": digits_state}, path)
    with pytest.raises(CheckpointError, match="does not name its architecture"):
        load_checkpoint(path)
    torch.save([torch.zeros(100)], path)
    with pytest.raises(CheckpointError, match="but a list"):
        load_checkpoint(path)


def _model(state: dict[str, torch.Tensor], sigma: float | None = 0.25) -> LoadedModel:
    module = build_model("digits_conv")
    module.load_state_dict(state)
    return LoadedModel(
        module=module.eval(),
        arch="digits_conv",
        num_classes=10,
        input_shape=(1, 8, 8),
        normalization=DIGITS,
        sigma=sigma,
        epoch=3,
    )


def test_saving_and_loading_is_exact(tmp_path: Path, digits_state: dict[str, torch.Tensor]) -> None:
    model = _model(digits_state, sigma=0.1 + 0.2)
    model.module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    again = load_checkpoint(save_checkpoint(tmp_path / "a.safetensors", model))
    assert (again.sigma, again.epoch, again.arch) == (0.1 + 0.2, 3, "digits_conv")
    assert (again.num_classes, again.input_shape, again.normalization) == (10, (1, 8, 8), DIGITS)
    assert again.path == tmp_path / "a.safetensors"
    x = torch.rand(3, 1, 8, 8)
    with torch.inference_mode():
        assert torch.equal(again.module.to(memory_format=torch.channels_last)(x), model.module(x))  # type: ignore[call-overload]
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]
    assert load_checkpoint(save_checkpoint(tmp_path / "b", _model(digits_state, None))).sigma is None
    with pytest.raises(InvalidArgumentError, match="records its own normalization"):
        load_checkpoint(tmp_path / "b", normalization=DIGITS)


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, digits_state: dict[str, torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save_checkpoint(tmp_path / "a.safetensors", _model(digits_state))
    before = path.read_bytes()

    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(CheckpointError, match=r"cannot write .*a\.safetensors: No space left"):
        save_checkpoint(path, _model(digits_state, 0.5))
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1
    with pytest.raises(CheckpointError, match="cannot write"):
        save_checkpoint(tmp_path / "none" / "a.safetensors", _model(digits_state))


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("smoothcert", "2", "version '2' is not '1'"),
        ("arch", "vgg", "arch is 'vgg'"),
        ("num_classes", "many", "many"),
        ("num_classes", "11", r"1\.fc\.weight has shape \(10, 512\) instead of \(11, 512\)"),
        ("num_classes", str(10**17), "does not describe a model|has shape"),
        ("input_shape", "[1, 8]", "metadata"),
        ("input_shape", json.dumps([1, 10**6, 10**6]), "has shape"),
        ("std", "[0.0]", "std"),
        ("sigma", "nan", "sigma is nan"),
        ("sigma", "-1", "sigma is -1"),
        ("mean", "{", "metadata"),
    ],
)
def test_wrong_metadata_is_refused(
    tmp_path: Path, digits_state: dict[str, torch.Tensor], name: str, value: str, words: str
) -> None:
    path = save_checkpoint(tmp_path / "a.safetensors", _model(digits_state))
    metadata = {"smoothcert": "1", "arch": "digits_conv", "num_classes": "10", "input_shape": "[1, 8, 8]"}
    metadata |= {"mean": "[0.3]", "std": "[0.4]", "sigma": "0.5", name: value}
    save_file(load_file(path), path, metadata)
    with pytest.raises(CheckpointError, match=words) as caught:
        load_checkpoint(path)
    assert "a.safetensors" in str(caught.value)


def test_safetensors_of_others_lack_the_metadata(tmp_path: Path, digits_state: dict[str, torch.Tensor]) -> None:
    save_file(digits_state, tmp_path / "a.safetensors")
    with pytest.raises(CheckpointError, match="no or wrong metadata"):
        load_checkpoint(tmp_path / "a.safetensors")


@pytest.mark.parametrize(
    "sigma", [float("nan"), float("inf"), -0.25, 10**400, True, "0.25", [0.25], torch.tensor(0.25), b"x"]
)
def test_training_noise_that_is_none_is_refused(
    tmp_path: Path, digits_state: dict[str, torch.Tensor], sigma: object
) -> None:
    with pytest.raises(CheckpointError, match=r"a\.pth has no legal training noise: .*sigma|too large"):
        load_checkpoint(_save(tmp_path / "a.pth", digits_state, sigma=sigma))


def test_training_noise_may_be_whole_or_missing(tmp_path: Path, digits_state: dict[str, torch.Tensor]) -> None:
    for sigma, expected in ((1, 1.0), (0.5, 0.5), (None, None), (0, 0.0)):
        found = load_checkpoint(_save(tmp_path / "a.pth", digits_state, sigma=sigma, epoch=2**64))
        assert (found.sigma, found.epoch) == (expected, None)


def _cyclic(state: dict[str, torch.Tensor]) -> dict[str, object]:
    cycle: dict[str, object] = dict(state)
    cycle["1.fc.bias"] = cycle
    return cycle


@pytest.mark.filterwarnings("ignore:.*quantiz.*")
@pytest.mark.parametrize(
    "change",
    [
        _cyclic,
        lambda state: {**state, "1.fc.weight": torch.zeros(1).expand(10, 512)},
        lambda state: {
            **state,
            "1.fc.weight": torch.zeros(1).expand(10**12, 512),
            "1.fc.bias": torch.zeros(1).expand(10**12),
        },
        lambda state: {**state, "1.fc.bias": torch.zeros(10, dtype=torch.complex64)},
        lambda state: {**state, "1.fc.bias": torch.quantize_per_tensor(torch.zeros(10), 0.1, 0, torch.quint8)},
        lambda state: {**state, "1.fc.bias": torch.nested.nested_tensor([torch.zeros(10)])},
        lambda state: {**state, ("1", 2): torch.zeros(10)},
        lambda state: {**state, "1.fc.bias": None},
        lambda state: {**state, "1.fc.bias": torch.zeros(10, dtype=torch.float64) + 1e300},
        lambda state: {},
    ],
)
def test_odd_state_dicts_are_refused(tmp_path: Path, digits_state: dict[str, torch.Tensor], change: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = _save(tmp_path / "a.pth", change(digits_state))
        with pytest.raises(CheckpointError, match=r"a\.pth"):
            load_checkpoint(path)


def test_weights_of_several_kinds_become_float32(tmp_path: Path, cifar_state: dict[str, torch.Tensor]) -> None:
    mixed = {**cifar_state, "1.fc.bias": cifar_state["1.fc.bias"].double()}
    mixed["1.fc.weight"] = mixed["1.fc.weight"].to(torch.float8_e5m2)
    mixed["1.bn1.num_batches_tracked"] = torch.tensor(3, dtype=torch.int16)
    loaded = load_checkpoint(_save(tmp_path / "a.pth", mixed, "cifar_resnet20")).module.state_dict()
    assert {tensor.dtype for tensor in loaded.values()} == {torch.float32, torch.int64}


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


def test_the_same_content_gives_the_same_bytes_whatever_the_order() -> None:
    tensors = {
        "b": torch.arange(6.0).reshape(2, 3).t(),
        "a": torch.zeros(3, dtype=torch.int64),
        "c": torch.ones(1),
    }
    metadata = {f"name {i}": str(i) for i in range(20)} | {"é": "\u2028"}
    data = format_safetensors(tensors, metadata)
    turned = format_safetensors(dict(reversed(tensors.items())), dict(reversed(metadata.items())))
    assert data == turned
    assert int.from_bytes(data[:8], "little") % 8 == 0
    found, texts = read_safetensors(data, Path("a"))
    assert texts == metadata
    assert all(torch.equal(found[name], tensor) for name, tensor in tensors.items())
