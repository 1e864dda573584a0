from __future__ import annotations

import copy
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from exports import remembered_exports
from smoothcert.approximate import SPECS, Candidate, make_candidate
from smoothcert.classifiers import Classifier, FunctionClassifier, TorchClassifier, module_fingerprint
from smoothcert.errors import CheckpointError, InvalidArgumentError
from smoothcert.models import DIGITS, LoadedModel, build_model, save_checkpoint

BATCH = np.random.default_rng(0).standard_normal((32, 1, 8, 8)).astype(np.float32)
SAFE = re.compile(r"[A-Za-z0-9._-]+")


@pytest.fixture(scope="module")
def base() -> TorchClassifier:
    torch.manual_seed(0)
    return TorchClassifier(build_model("digits_conv"), num_classes=10)


def save(folder: Path, arch: str, name: str) -> Path:
    model = build_model(arch).eval()
    shape = (1, 8, 8) if arch == "digits_conv" else (3, 32, 32)
    loaded = LoadedModel(module=model, arch=arch, num_classes=10, input_shape=shape, normalization=DIGITS)
    if arch != "digits_conv":
        from smoothcert.models import CIFAR10

        loaded = LoadedModel(module=model, arch=arch, num_classes=10, input_shape=shape, normalization=CIFAR10)
    return save_checkpoint(folder / name, loaded)


def test_every_candidate_is_made_and_leaves_the_base_alone(
    base: TorchClassifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_edits.py").write_text(
        "def sharpen(module):\n    for p in module.parameters():\n        p.data *= 1.5\n    return module\n"
    )
    save(tmp_path, "digits_conv", "fine tuned!.safetensors")
    before = copy.deepcopy(base.module.state_dict())
    logits = base.logits(BATCH)
    names = []
    specs = [
        "fp16",
        "bf16:torch",
        "int8:onnx",
        "prune:0.10",
        "prune-global:0.2",
        "my_edits:sharpen",
        "fine tuned!.safetensors",
    ]
    for spec in specs:
        with remembered_exports():
            candidate = make_candidate(spec, base, calibration=BATCH)
        assert isinstance(candidate, Candidate)
        assert isinstance(candidate.classifier, Classifier)
        assert SAFE.fullmatch(candidate.name), candidate.name
        assert candidate.description
        assert candidate.classifier.fingerprint != base.fingerprint
        assert not np.array_equal(candidate.classifier.logits(BATCH), base.logits(BATCH))
        names.append(candidate.name)
    assert names[:-1] == ["fp16", "bf16", "int8", "prune-0.1", "prune-global-0.2", "my_edits-sharpen"]
    assert re.fullmatch(r"fine-tuned-[0-9a-f]{8}", names[-1])
    assert module_fingerprint(base.module) == base.fingerprint
    for name, tensor in base.module.state_dict().items():
        assert torch.equal(before[name], tensor), name
    np.testing.assert_array_equal(base.logits(BATCH), logits)
    sys.modules.pop("my_edits")


def test_unknown_specs_are_refused_with_the_legal_forms(base: TorchClassifier) -> None:
    for spec in (
        "",
        "fp8",
        "INT8",
        "int8:4",
        "int8:torch",
        "bf16:onnx",
        "fp16:onnx",
        "a b:c",
        "../x:y",
        "model.bin",
        "os:",
    ):
        with pytest.raises(InvalidArgumentError) as caught:
            make_candidate(spec, base)
        assert repr(spec) in str(caught.value)
        assert all(form in str(caught.value) for form in SPECS)


def test_only_torch_classifiers_are_bases() -> None:
    function = FunctionClassifier(lambda x: x, num_classes=2, fingerprint="x")
    with pytest.raises(InvalidArgumentError, match="give a TorchClassifier"):
        make_candidate("fp16", function)


def test_a_checkpoint_computes_what_it_holds(base: TorchClassifier, tmp_path: Path) -> None:
    path = save(tmp_path, "digits_conv", "other.safetensors")
    candidate = make_candidate(str(path), base).classifier
    from smoothcert.models import load_checkpoint

    expected = TorchClassifier(load_checkpoint(path).module, num_classes=10)
    assert candidate.fingerprint == expected.fingerprint
    np.testing.assert_array_equal(candidate.logits(BATCH), expected.logits(BATCH))


def test_a_checkpoint_of_another_architecture_names_both(base: TorchClassifier, tmp_path: Path) -> None:
    path = save(tmp_path, "cifar_resnet20", "resnet.safetensors")
    with pytest.raises(CheckpointError, match=r"cifar_resnet20 .*CifarResNet.* but base is a .*DigitsConv"):
        make_candidate(str(path), base)


def test_a_checkpoint_brings_its_own_normalization(base: TorchClassifier, tmp_path: Path) -> None:
    path = save(tmp_path, "digits_conv", "other.safetensors")
    with_preprocess = TorchClassifier(base.module, num_classes=10, preprocess=torch.nn.Identity())
    with pytest.raises(InvalidArgumentError, match="brings its own normalization"):
        make_candidate(str(path), with_preprocess)


@pytest.mark.parametrize("suffix", [".pth.tar", ".pth", ".pt", ".safetensors", ".onnx"])
def test_missing_and_damaged_files_are_refused(base: TorchClassifier, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"model{suffix}"
    with pytest.raises(CheckpointError, match="model"):
        make_candidate(str(path), base)
    path.write_bytes(b"<html>")
    with pytest.raises(CheckpointError, match="model"):
        make_candidate(str(path), base)


def test_an_onnx_file_is_a_candidate(base: TorchClassifier, tmp_path: Path) -> None:
    with remembered_exports():
        made = make_candidate("int8:onnx", base, calibration=BATCH).classifier
    path = tmp_path / "deployed.onnx"
    path.write_bytes(made.model_bytes)  # type: ignore[attr-defined]
    again = make_candidate(str(path), base)
    assert again.classifier.fingerprint == made.fingerprint
    assert again.name == f"deployed-{made.fingerprint[:8]}"
    np.testing.assert_array_equal(again.classifier.logits(BATCH), made.logits(BATCH))


USER_MODULE = """
import torch
from smoothcert.classifiers import FunctionClassifier

def same(module):
    assert not module.training
    return module

def classifier(module):
    return FunctionClassifier(lambda x: x.reshape(len(x), -1)[:, :10], num_classes=10, fingerprint="first ten")

def three_classes(module):
    return FunctionClassifier(lambda x: x.reshape(len(x), -1)[:, :3], num_classes=3, fingerprint="first three")

def nothing(module):
    module.training = True

number = 3
"""


@pytest.fixture
def user_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "user_pkg").mkdir()
    (tmp_path / "user_pkg" / "edits.py").write_text(USER_MODULE)
    (tmp_path / "user_broken.py").write_text("import no_such_thing\n")
    for name in [name for name in sys.modules if name.startswith("user_")]:
        monkeypatch.delitem(sys.modules, name)
    return "user_pkg.edits"


def test_a_function_may_return_a_module_or_a_classifier(base: TorchClassifier, user_module: str) -> None:
    path_before = list(sys.path)
    same = make_candidate(f"{user_module}:same", base)
    assert same.name == "user_pkg.edits-same"
    np.testing.assert_array_equal(same.classifier.logits(BATCH), base.logits(BATCH))
    ten = make_candidate(f"{user_module}:classifier", base).classifier
    np.testing.assert_array_equal(ten.classify(BATCH), BATCH.reshape(32, -1)[:, :10].argmax(axis=1))
    assert sys.path == path_before


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("nothing", "returned a NoneType"),
        ("number", "no callable 'number'"),
        ("missing", "no callable 'missing'"),
        ("three_classes", "3 classes: the base has 10"),
    ],
)
def test_functions_that_do_not_fit_are_refused(
    base: TorchClassifier, user_module: str, function: str, message: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        make_candidate(f"{user_module}:{function}", base)


def test_modules_that_cannot_be_imported_are_refused(base: TorchClassifier, user_module: str) -> None:
    for spec, message in (
        ("user_missing:f", "No module named 'user_missing'"),
        ("user_broken:f", "No module named 'no_such_thing'"),
    ):
        with pytest.raises(InvalidArgumentError, match=message):
            make_candidate(spec, base)


def test_preprocessing_stays_in_front_of_what_a_function_returns(base: TorchClassifier, user_module: str) -> None:
    shifted = TorchClassifier(base.module, num_classes=10, preprocess=torch.nn.Threshold(0.5, 0.5))
    candidate = make_candidate(f"{user_module}:same", shifted).classifier
    np.testing.assert_array_equal(candidate.logits(BATCH), shifted.logits(BATCH))
    assert not np.array_equal(candidate.logits(BATCH), base.logits(BATCH))


def test_a_plain_state_dict_of_the_base_is_a_candidate(tmp_path: Path) -> None:
    torch.manual_seed(1)
    net, other = (torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 3)) for _ in range(2))
    torch.save(other.state_dict(), tmp_path / "tuned.pth")
    made = make_candidate(str(tmp_path / "tuned.pth"), TorchClassifier(net, 3)).classifier
    batch = np.random.default_rng(0).random((5, 2, 2), dtype=np.float32)
    np.testing.assert_array_equal(made.logits(batch), TorchClassifier(other, 3).logits(batch))
    torch.save(torch.nn.Linear(4, 3).state_dict(), tmp_path / "another.pth")
    with pytest.raises(CheckpointError, match="arch"):
        make_candidate(str(tmp_path / "another.pth"), TorchClassifier(net, 3))
