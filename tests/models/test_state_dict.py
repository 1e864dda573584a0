"""Files that hold weights and do not say of what."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import kinds
from smoothcert.errors import CheckpointError, InvalidArgumentError
from smoothcert.models import CIFAR10, Normalize, load_model
from smoothcert.models.state_dict import load_into, read_state

X = kinds.images(2, (3, 32, 32))


@pytest.fixture(scope="module")
def network(cifar_state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The weights of a ResNet-20 by the names of the network itself."""
    return {name.removeprefix("1."): tensor for name, tensor in cifar_state.items()}


@pytest.fixture(scope="module")
def expected(cifar_state: dict[str, torch.Tensor]) -> Any:
    from smoothcert.models import build_model

    module = build_model("cifar_resnet20")
    module.load_state_dict(cifar_state)
    with torch.no_grad():
        return module.eval()[1](Normalize(CIFAR10)(X)).numpy()


def as_it_is(state: dict[str, torch.Tensor]) -> object:
    return state


WAYS: dict[str, Callable[[dict[str, torch.Tensor]], object]] = {
    "bare": as_it_is,
    "state_dict": lambda state: {"state_dict": state, "epoch": 3},
    "model_state_dict": lambda state: {"model_state_dict": state, "optimizer": {"lr": 0.1}},
    "model": lambda state: {"model": state},
    "net": lambda state: {"net": state, "acc": 91.2},
    "several GPUs": lambda state: {f"module.{name}": tensor for name, tensor in state.items()},
    "behind a normalization": lambda state: {f"1.{name}": tensor for name, tensor in state.items()},
}


@pytest.mark.parametrize("way", WAYS)
def test_the_ways_that_trainings_keep_weights(
    way: str, network: dict[str, torch.Tensor], expected: Any, tmp_path: Path
) -> None:
    torch.save(WAYS[way](network), tmp_path / "w.pth")
    opened = load_model(str(tmp_path / "w.pth"), arch="cifar_resnet20", normalization="cifar10")
    assert np.allclose(opened.classifier.logits(X.numpy()), expected, atol=1e-5)


def test_safetensors(network: dict[str, torch.Tensor], expected: Any, tmp_path: Path) -> None:
    save_file(network, tmp_path / "w.safetensors")
    opened = load_model(str(tmp_path / "w.safetensors"), arch="cifar_resnet20", normalization="cifar10")
    assert np.allclose(opened.classifier.logits(X.numpy()), expected, atol=1e-5)


def test_the_normalization_must_be_said(network: dict[str, torch.Tensor], tmp_path: Path) -> None:
    file = tmp_path / "w.pth"
    torch.save(network, file)
    with pytest.raises(InvalidArgumentError, match=r"normalization is missing: .*'none' where .* \(0.4914,"):
        load_model(str(file), arch="cifar_resnet20")
    found = {
        load_model(str(file), arch="cifar_resnet20", normalization=name).classifier.fingerprint
        for name in ("none", "cifar10", "imagenet", "digits")
    }
    assert len(found) == 4


def test_classes_are_the_rows_of_the_head(network: dict[str, torch.Tensor], tmp_path: Path) -> None:
    head = {"fc.weight": network["fc.weight"][:4].clone(), "fc.bias": network["fc.bias"][:4].clone()}
    torch.save({**network, **head}, tmp_path / "w.pth")
    opened = load_model(str(tmp_path / "w.pth"), arch="cifar_resnet20", normalization="none")
    assert opened.classifier.num_classes == 4


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"weights": [1.0, 2.0], "padding": "x" * 200}, "holds no state dict"),
        (torch.zeros(100), "holds no state dict"),
        ({"conv.weight": torch.zeros(100)}, "does not have the weights of cifar_resnet20: missing 1.conv1.weight"),
    ],
)
def test_files_of_something_else(content: object, message: str, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match=message):
        load_model(str(tmp_path / "w.pth"), arch="cifar_resnet20", normalization="none")


def test_code_is_not_run(tmp_path: Path) -> None:
    class Runs:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "ran",))

    torch.save({"w": Runs(), "padding": torch.zeros(100)}, tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match="which is no tensor data, and was not loaded"):
        read_state(tmp_path / "w.pth")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("6.bias"), "Missing key.*6.bias"),
        (lambda state: state.update({"7.bias": torch.zeros(1)}), "Unexpected key.*7.bias"),
        (lambda state: state.update({"6.bias": torch.zeros(3)}), "size mismatch for 6.bias"),
    ],
)
def test_weights_of_another_module(change: Callable[[dict[str, torch.Tensor]], Any], message: str) -> None:
    state = dict(kinds.small_net().state_dict())
    change(state)
    with pytest.raises(CheckpointError, match=rf"w.pth does not have the weights of own:build: .*{message}"):
        load_into(kinds.small_net(), state, "own:build", Path("w.pth"))
