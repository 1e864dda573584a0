"""Files as the published codes for smoothing write them, with all that a training leaves beside the weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.optim.lr_scheduler import StepLR

from smoothcert.errors import CheckpointError, InvalidArgumentError
from smoothcert.models import CIFAR10, LoadedModel, Normalization, build_model, load_checkpoint, save_checkpoint

IMAGES = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
CENTRED = Normalization(CIFAR10.mean, (1.0, 1.0, 1.0))


class Front(torch.nn.Module):
    """What those codes put in front of the network: constants that are in no state dict."""

    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x)


def channels(values: tuple[float, ...]) -> torch.Tensor:
    return torch.tensor(values).view(3, 1, 1)


def normalize(x: torch.Tensor) -> torch.Tensor:
    return (x - channels(CIFAR10.mean)) / channels(CIFAR10.std)


def centre(x: torch.Tensor) -> torch.Tensor:
    return x - channels(CIFAR10.mean)


def trained(front: Callable[[torch.Tensor], torch.Tensor], num_classes: int = 10) -> tuple[torch.nn.Module, Any]:
    """Take two steps with momentum and a schedule, so that the optimizer has a state."""
    torch.manual_seed(0)
    network = build_model("cifar_resnet20", num_classes)[1]
    model = torch.nn.Sequential(Front(front), network)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    schedule = StepLR(optimizer, step_size=1, gamma=0.1)
    for _ in range(2):
        loss = torch.nn.functional.cross_entropy(model(IMAGES), torch.arange(4))
        torch.autograd.backward(loss)
        optimizer.step()
        schedule.step()
    return model.eval(), optimizer


def written(
    path: Path, model: torch.nn.Module, optimizer: torch.optim.Optimizer, arch: str = "cifar_resnet20", **more: Any
) -> Path:
    """Write what train.py of locuslab/smoothing writes after an epoch; the codes that build on it do the same."""
    content = {"epoch": 2, "arch": arch, "state_dict": model.state_dict(), "optimizer": optimizer.state_dict()}
    torch.save(content | more, path)
    return path


def same(model: LoadedModel, original: torch.nn.Module) -> bool:
    with torch.inference_mode():
        return torch.allclose(model.module(IMAGES), original(IMAGES), atol=1e-5)


def test_a_file_with_its_optimizer_computes_what_was_trained(tmp_path: Path) -> None:
    original, optimizer = trained(normalize)
    model = load_checkpoint(written(tmp_path / "checkpoint.pth.tar", original, optimizer))
    assert (model.arch, model.epoch, model.num_classes, model.normalization) == ("cifar_resnet20", 2, 10, CIFAR10)
    assert same(model, original)


def test_a_model_that_was_only_centred_says_so_by_an_argument(tmp_path: Path) -> None:
    original, optimizer = trained(centre)
    path = written(tmp_path / "checkpoint.pth.tar", original, optimizer)
    assert not same(load_checkpoint(path), original)  # nothing in the file tells one from the other
    model = load_checkpoint(path, normalization=CENTRED)
    assert model.normalization == CENTRED
    assert same(model, original)
    # Our own file records it, so that the command line needs no argument, and is not to be contradicted.
    ours = save_checkpoint(tmp_path / "checkpoint.safetensors", model)
    assert same(load_checkpoint(ours), original)
    with pytest.raises(InvalidArgumentError, match="records its own normalization"):
        load_checkpoint(ours, normalization=CIFAR10)
    with pytest.raises(CheckpointError, match="normalization has 1 channels, but inputs have 3"):
        load_checkpoint(path, normalization=Normalization((0.5,), (0.5,)))


def test_parallel_networks_have_module_within_the_sequence(tmp_path: Path) -> None:
    original, optimizer = trained(normalize)
    parallel = torch.nn.Sequential(original[0], torch.nn.DataParallel(original[1]))  # type: ignore[index]
    path = written(tmp_path / "checkpoint.pth.tar", parallel, optimizer)
    assert "1.module.conv1.weight" in parallel.state_dict()
    assert same(load_checkpoint(path), original)


def test_the_network_for_imagenet_at_32x32_is_the_one_for_cifar(tmp_path: Path) -> None:
    with torch.device("meta"):
        names = build_model("cifar_resnet110", num_classes=1000).state_dict()
    state = {name: torch.zeros(tensor.shape, dtype=tensor.dtype) for name, tensor in names.items()}
    torch.save({"arch": "imagenet32_resnet110", "state_dict": state, "epoch": 90}, tmp_path / "a.pth.tar")
    model = load_checkpoint(tmp_path / "a.pth.tar")
    assert (model.arch, model.num_classes, model.input_shape) == ("cifar_resnet110", 1000, (3, 32, 32))


@pytest.mark.parametrize("zipped", [True, False])
def test_numbers_of_numpy_beside_the_weights_are_passed_over(tmp_path: Path, zipped: bool) -> None:
    original, optimizer = trained(normalize)
    optimizer.param_groups[0]["lr"] = np.float64(0.01)
    content = {
        "epoch": np.int64(7),
        "arch": "cifar_resnet20",
        "state_dict": original.state_dict(),
        "optimizer": optimizer.state_dict(),
        "best_acc": np.float32(0.5),
        "losses": [np.float64(1.0), np.float64(0.5)],
    }
    path = tmp_path / "checkpoint.pth.tar"
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(Exception, match="scalar"):
        torch.load(path, weights_only=True)
    model = load_checkpoint(path)
    assert model.epoch is None
    assert same(model, original)


def test_numbers_of_older_numpy_are_passed_over_too(tmp_path: Path) -> None:
    original, optimizer = trained(normalize)
    content = {"arch": "cifar_resnet20", "state_dict": original.state_dict(), "optimizer": optimizer.state_dict()}
    path = tmp_path / "checkpoint.pth.tar"
    torch.save(content | {"best_acc": np.float64(0.5)}, path, _use_new_zipfile_serialization=False)
    ours, theirs = (b"cnumpy.%b.multiarray\nscalar\n" % name for name in (b"_core", b"core"))
    data = path.read_bytes()
    assert data.count(ours) == 1
    path.write_bytes(data.replace(ours, theirs))
    assert same(load_checkpoint(path), original)


@pytest.mark.parametrize("place", ["arch", "sigma", "state_dict", "weight"])
def test_a_number_of_numpy_is_no_part_of_a_model(tmp_path: Path, place: str) -> None:
    original, _ = trained(normalize)
    number: Any = np.float64(0.25)
    more = {place: number} if place != "weight" else {"state_dict": {**original.state_dict(), "1.fc.bias": number}}
    expected = {
        "arch": "does not name its architecture",
        "sigma": "no legal training noise",
        "state_dict": "no dict with 'arch' and 'state_dict'",
        "weight": r"has '1\.fc\.bias' in its state dict, which is no plain tensor",
    }
    path = tmp_path / "a.pth.tar"
    torch.save({"arch": "cifar_resnet20", "state_dict": original.state_dict()} | more, path)
    with pytest.raises(CheckpointError, match=expected[place]):
        load_checkpoint(path)


@pytest.mark.parametrize("arch", ["lenet", "cifar_densenet40", "cifar_wrn"])
def test_networks_that_are_not_known_have_a_way_in(tmp_path: Path, arch: str) -> None:
    original, optimizer = trained(normalize)
    with pytest.raises(CheckpointError, match=rf"architecture '{arch}': known are .*load the state dict into it"):
        load_checkpoint(written(tmp_path / "a.pth.tar", original, optimizer, arch))
