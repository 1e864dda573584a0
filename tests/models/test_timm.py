from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import kinds
from smoothcert.errors import CheckpointError, InvalidArgumentError
from smoothcert.models import Preprocess, load_model

NAME = "test_resnet"  # of timm's own tests


@pytest.fixture(scope="module")
def timm() -> Any:
    return kinds.import_timm()


@pytest.fixture(scope="module")
def model(timm: Any) -> Any:
    torch.manual_seed(0)
    return timm.create_model(NAME, num_classes=kinds.NUM_CLASSES).eval()


@pytest.fixture(scope="module")
def weights(model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("timm") / "weights.safetensors"
    save_file(model.state_dict(), file)
    return file


def test_weights_of_a_file_behind_timms_own_normalization(timm: Any, model: Any, weights: Path) -> None:
    x = kinds.images(3, (3, 32, 32))
    config = timm.data.resolve_model_data_config(model)
    mean, std = (torch.tensor(config[name])[:, None, None] for name in ("mean", "std"))
    with torch.no_grad():
        expected = model((x - mean) / std).numpy()
    classifier = load_model(f"timm:{NAME}@{weights}", num_classes=kinds.NUM_CLASSES).classifier
    assert np.allclose(classifier.logits(x.numpy()), expected, atol=1e-5)


def test_pickled_weights_are_read_as_tensors_and_are_the_same(model: Any, weights: Path, tmp_path: Path) -> None:
    torch.save({"state_dict": {f"module.{k}": v for k, v in model.state_dict().items()}}, tmp_path / "w.pth")
    found = [
        load_model(f"timm:{NAME}@{file}", num_classes=kinds.NUM_CLASSES).classifier.fingerprint
        for file in (weights, tmp_path / "w.pth")
    ]
    assert found[0] == found[1]


def test_a_network_of_one_size_gets_images_of_that_size(timm: Any, tmp_path: Path) -> None:
    name = "test_vit"
    model = timm.create_model(name, num_classes=kinds.NUM_CLASSES).eval()
    save_file(model.state_dict(), tmp_path / "vit.safetensors")
    classifier: Any = load_model(f"timm:{name}@{tmp_path / 'vit.safetensors'}", num_classes=10).classifier
    assert isinstance(classifier.preprocess, Preprocess)
    assert classifier.preprocess.size == model.pretrained_cfg["input_size"][-2:]
    assert classifier.logits(kinds.images(2, (3, 32, 32)).numpy()).shape == (2, 10)


def test_wrong_names_and_weights(timm: Any, weights: Path) -> None:
    with pytest.raises(InvalidArgumentError, match=r"timm has no model 'resnet19'; there are .*resnet"):
        load_model("timm:resnet19")
    with pytest.raises(CheckpointError, match=r"does not have the weights of timm's resnet18: .*Missing key"):
        load_model(f"timm:resnet18@{weights}", num_classes=10)
    with pytest.raises(CheckpointError, match=r"nowhere\.pth"):
        load_model(f"timm:{NAME}@nowhere.pth", num_classes=10)


def test_weights_that_cannot_be_downloaded(timm: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*arguments: object, **options: object) -> None:
        raise ConnectionError("no network")

    monkeypatch.setattr(timm, "create_model", refused)
    with pytest.raises(CheckpointError, match=rf"\(ConnectionError: no network\).*give timm:{NAME}@FILE"):
        load_model(f"timm:{NAME}")
