"""Checkpoints of our own: saved and loaded exactly, in the same bytes, and nothing else is taken for one."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from smoothcert.errors import CheckpointError, InvalidArgumentError
from smoothcert.models import (
    DIGITS,
    LoadedModel,
    build_model,
    load_checkpoint,
    save_checkpoint,
)
from smoothcert.models._safetensors import format_safetensors
from smoothcert.models.checkpoint import read_safetensors


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
