"""Checkpoints: published layouts load exactly, hostile and damaged files do not load at all."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from smoothcert.data import load_dataset
from smoothcert.errors import CheckpointError
from smoothcert.models import (
    CIFAR10,
    Normalization,
    build_model,
    load_checkpoint,
)

CHECKPOINT = Path("models", "cifar10", "resnet20", "noise_0.50", "checkpoint.pth.tar")


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
