"""What names a model, right and wrong."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import kinds
from smoothcert.errors import CheckpointError, InvalidArgumentError, SmoothcertError
from smoothcert.models import (
    ARCHITECTURES,
    MODEL_SPECS,
    LoadedModel,
    Normalization,
    build_model,
    load_model,
    save_checkpoint,
)

OWN = """
import numpy as np
import kinds
from smoothcert.classifiers import FunctionClassifier

def build():
    return kinds.small_net()

def build_with_a_default(size=1):
    return kinds.small_net()

def half():
    return kinds.small_net().half()

def classifier():
    return FunctionClassifier(lambda batch: batch.reshape(len(batch), -1)[:, :10], 10, "first ten")

def change(module):
    return module

def boom():
    raise RuntimeError("no disk")

def nothing():
    return None

constant = 3
"""


def digits() -> LoadedModel:
    info = ARCHITECTURES["digits_conv"]
    return LoadedModel(
        module=build_model("digits_conv"),
        arch="digits_conv",
        num_classes=10,
        input_shape=info.input_shape,
        normalization=info.normalization,
        sigma=0.25,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model of each kind."""
    where = tmp_path_factory.mktemp("models")
    (where / "own_models.py").write_text(OWN)
    (where / "own_broken.py").write_text("import a_package_that_is_not_there")
    torch.save(kinds.small_net().state_dict(), where / "plain.pth")
    save_checkpoint(where / "digits.safetensors", digits())
    (where / "empty.pth").write_bytes(b"")
    (where / "model.pkl").write_bytes(b"anything")
    (where / "model.onnx").write_bytes(b"anything")
    with kinds.quietly():
        torch.export.save(kinds.program(kinds.small_net(), kinds.images(2, (3, 32, 32))), where / "net.pt2")
    (where / "hf").mkdir()
    kinds.save_huggingface(where / "hf", {"do_resize": False, "image_mean": [0.5] * 3, "image_std": [0.5] * 3})
    timm = kinds.import_timm()
    torch.save(timm.create_model("test_resnet", num_classes=10).state_dict(), where / "timm.pth")
    return where


@pytest.fixture(autouse=True)
def _here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


@pytest.mark.parametrize(
    ("spec", "options", "of_the_small_net"),
    [
        ("own_models:build", {}, True),
        ("own_models:build_with_a_default", {}, True),
        ("own_models:half", {}, False),
        ("own_models:classifier", {}, False),
        ("plain.pth", {"arch": "own_models:build"}, True),
        ("net.pt2", {"num_classes": 10}, True),
        ("hf:hf", {}, False),
        ("timm:test_resnet@timm.pth", {"num_classes": 10}, False),
    ],
)
def test_what_names_a_model(spec: str, options: dict[str, Any], of_the_small_net: bool) -> None:
    x = kinds.images(2, (3, 32, 32)).numpy()
    opened = load_model(spec, **options)
    logits = opened.classifier.logits(x)
    assert logits.shape == (2, 10)
    assert opened.sigma is None
    with torch.no_grad():
        expected = kinds.small_net()(torch.from_numpy(x)).numpy()
    assert np.allclose(logits, expected, atol=1e-6) == of_the_small_net


def test_a_checkpoint_says_its_sigma_and_classes() -> None:
    opened = load_model("digits.safetensors")
    assert (opened.sigma, opened.classifier.num_classes) == (0.25, 10)


@pytest.mark.parametrize(
    ("spec", "options", "error", "message"),
    [
        ("own_models:missing", {}, InvalidArgumentError, "names no function: .*own_models.py has no callable 'mi"),
        ("own_models:constant", {}, InvalidArgumentError, "has no callable 'constant'"),
        ("own_models:boom", {}, InvalidArgumentError, "'own_models:boom' raised RuntimeError: no disk"),
        ("own_models:nothing", {}, InvalidArgumentError, "returned a NoneType: it should return a torch.nn.Mod"),
        ("own_models:change", {}, InvalidArgumentError, r"needs an argument: .*\(recertify\)"),
        ("own_elsewhere:build", {}, InvalidArgumentError, "cannot be imported from .*ModuleNotFoundError"),
        ("own_broken:build", {}, InvalidArgumentError, "a_package_that_is_not_there"),
        ("own_models:build", {"num_classes": 1}, InvalidArgumentError, "num_classes is 1"),
        ("own_models:classifier", {"num_classes": 7}, InvalidArgumentError, "has 10 classes, but the data has 7"),
        ("hf:hf", {"num_classes": 7}, InvalidArgumentError, "hf:hf has 10 classes, but the data has 7"),
        ("hf:own_models.py", {}, CheckpointError, "no folder here and cannot be downloaded"),
        ("timm:nothing_like_it", {}, InvalidArgumentError, "timm has no model 'nothing_like_it'"),
        ("model.pkl", {}, InvalidArgumentError, "is a pickle or .*: write a function that loads it"),
        ("model.onnx", {"num_classes": 10}, CheckpointError, "model.onnx"),
        ("empty.pth", {}, CheckpointError, "empty.pth is empty"),
        ("missing.pth", {}, CheckpointError, "missing.pth is not there: give FILE, PACKAGE.MODULE:FUNCTION"),
        ("plain.pth", {}, CheckpointError, r"bare dict of 6 entries, 6 of them tensors: give arch \(--arch\)"),
        ("plain.pth", {"normalization": "none"}, InvalidArgumentError, "normalization is given without arch"),
        (
            "plain.pth",
            {"arch": "own_models:build", "normalization": "none"},
            InvalidArgumentError,
            "own_models:build returns the whole module: put it in there",
        ),
        ("plain.pth", {"arch": "own_models:classifier"}, InvalidArgumentError, "returned a FunctionClassifier"),
        ("plain.pth", {"arch": "resnet19"}, InvalidArgumentError, "arch is 'resnet19': give one of .*digits_conv"),
        ("digits.safetensors", {"normalization": "mnist"}, InvalidArgumentError, "is 'mnist': give one of none"),
        ("digits.safetensors", {"runtime": "tensorrt"}, InvalidArgumentError, "runtime is 'tensorrt'"),
        ("digits.safetensors", {"num_classes": 7}, InvalidArgumentError, "has 10 classes, but the data has 7"),
        ("hf:hf", {"arch": "digits_conv"}, InvalidArgumentError, "arch is given, but hf:hf .*leave it out"),
        ("timm:test_resnet", {"arch": "digits_conv"}, InvalidArgumentError, "arch is given, but timm:test_resnet"),
        ("net.pt2", {"arch": "digits_conv"}, InvalidArgumentError, "arch is given, but net.pt2"),
    ],
)
def test_what_does_not(spec: str, options: dict[str, Any], error: type[SmoothcertError], message: str) -> None:
    with pytest.raises(error, match=message):
        load_model(spec, **options)


def test_a_headless_module_needs_the_number_of_classes(folder: Path) -> None:
    (folder / "own_headless.py").write_text("import torch\ndef build():\n    return torch.nn.Flatten()\n")
    with pytest.raises(InvalidArgumentError, match="num_classes is missing: own_headless:build does not say"):
        load_model("own_headless:build")
    assert load_model("own_headless:build", num_classes=192).classifier.num_classes == 192


def test_an_estimator_that_a_function_returns(folder: Path) -> None:
    (folder / "own_estimator.py").write_text(
        "import numpy as np\nfrom sklearn.linear_model import LogisticRegression\n"
        "def build():\n"
        "    x = np.random.default_rng(0).random((40, 192))\n"
        "    return LogisticRegression().fit(x, np.arange(40) % 4)\n"
    )
    classifier = load_model("own_estimator:build", num_classes=4).classifier
    assert classifier.logits(kinds.images(2).numpy()).shape == (2, 4)


def test_your_own_normalization(tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = build_model("cifar_resnet20")
    torch.save(module[1].state_dict(), tmp_path / "plain.pth")
    x = kinds.images(2, (3, 32, 32))
    half = Normalization((0.5,), (0.5,))
    found = load_model(str(tmp_path / "plain.pth"), arch="cifar_resnet20", normalization=half).classifier
    with torch.no_grad():
        expected = module[1].eval()((x - 0.5) / 0.5).numpy()
    assert np.allclose(found.logits(x.numpy()), expected, atol=1e-5)


def test_the_table_names_every_form() -> None:
    assert [*MODEL_SPECS] == ["FILE", "PACKAGE.MODULE:FUNCTION", "hf:FOLDER-OR-ID", "timm:NAME[@FILE]"]


def test_a_function_of_the_current_directory_leaves_the_path_as_it_was() -> None:
    before = list(sys.path)
    load_model("own_models:build")
    assert sys.path == before
