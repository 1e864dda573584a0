from __future__ import annotations

from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from smoothcert.classifiers import (
    Classifier,
    ExportedClassifier,
    FunctionClassifier,
    RuntimeName,
    TorchClassifier,
    runtime,
    with_runtime,
)
from smoothcert.errors import InvalidArgumentError, MissingExtraError

for package in ("onnx", "onnxruntime", "onnxscript"):
    pytest.importorskip(package)

BATCH = np.random.default_rng(0).standard_normal((40, 3, 8, 8)).astype(np.float32)


def make_net(*, seed: int = 0) -> torch.nn.Module:
    """Convolutions with the batch normalization of a trained network."""
    torch.manual_seed(seed)
    norm = torch.nn.BatchNorm2d(8)
    net = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, padding=1), norm, torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(512, 5)
    )
    with torch.no_grad():
        assert norm.running_mean is not None
        assert norm.running_var is not None
        norm.running_mean.uniform_(-0.5, 0.5)
        norm.running_var.uniform_(0.5, 2.0)
    return net


@pytest.fixture(scope="module")
def base() -> TorchClassifier:
    return TorchClassifier(make_net(), num_classes=5, preprocess=halve)


def halve(x: torch.Tensor) -> torch.Tensor:
    return 0.5 * x


@pytest.fixture(scope="module")
def exported(base: TorchClassifier) -> ExportedClassifier:
    return ExportedClassifier(base, (3, 8, 8))


@pytest.fixture
def at_once(exported: ExportedClassifier, monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare the seconds of another export of the base."""
    monkeypatch.setattr(runtime, "ExportedClassifier", lambda source, shape: exported)


def refuse_to_export(source: TorchClassifier, shape: tuple[int, ...]) -> ExportedClassifier:
    raise MissingExtraError("this needs 'onnxruntime': pip install 'smoothcert[onnx]'")


def is_eager(found: Classifier, base: TorchClassifier) -> bool:
    """Whether this is the module itself, to be run as it is."""
    return isinstance(found, TorchClassifier) and found.module is base.module and found.runtime == "eager"


def test_an_exported_module_computes_the_same_up_to_rounding(
    base: TorchClassifier, exported: ExportedClassifier
) -> None:
    assert isinstance(exported, Classifier)
    np.testing.assert_allclose(exported.logits(BATCH), base.logits(BATCH), atol=1e-5)
    np.testing.assert_array_equal(exported.classify(BATCH), exported.logits(BATCH).argmax(axis=1))


def test_what_is_run_is_named(base: TorchClassifier, exported: ExportedClassifier) -> None:
    assert exported.fingerprint != base.fingerprint
    assert exported.description["source"] == base.fingerprint
    assert exported.description["runtime"].startswith("onnxruntime ")
    assert exported.description["preprocess"] == base.description["preprocess"]
    assert exported.description["dtype"] == "float32"
    # A second export, as after a restart, is the same model; another module is another one.
    assert ExportedClassifier(base, (3, 8, 8)).fingerprint == exported.fingerprint
    other = TorchClassifier(make_net(seed=1), num_classes=5, preprocess=halve)
    assert ExportedClassifier(other, (3, 8, 8)).fingerprint != exported.fingerprint
    assert Path(__file__).name.encode() not in exported.model_bytes


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_a_vote_depends_on_no_thread_and_no_batch_mate(
    base: TorchClassifier, exported: ExportedClassifier, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    split = ExportedClassifier(base, (3, 8, 8))
    batch = np.resize(BATCH, (700, 3, 8, 8))
    together = split.logits(batch)
    np.testing.assert_allclose(together, exported.logits(batch), atol=1e-5)
    np.testing.assert_allclose(split.logits(batch[::-1].copy())[::-1], together, atol=1e-5)
    assert split.logits(batch[:0]).shape == (0, 5)


def test_modules_that_are_not_float32_stay_with_torch() -> None:
    half = TorchClassifier(make_net().to(torch.bfloat16), num_classes=5)
    with pytest.raises(
        InvalidArgumentError, match=r"float32 modules on the CPU, but this one has bfloat16 on cpu"
    ):
        ExportedClassifier(half, (3, 8, 8))
    with pytest.raises(InvalidArgumentError, match="'onnx' takes float32"):
        with_runtime(half, "onnx", BATCH)


@pytest.mark.usefixtures("at_once")
def test_by_name(base: TorchClassifier, exported: ExportedClassifier) -> None:
    assert is_eager(with_runtime(base, "eager", BATCH), base)
    assert with_runtime(base, "onnx", BATCH) is exported


def test_on_the_cpu_onnx_runtime_runs_what_it_can(base: TorchClassifier, exported: ExportedClassifier) -> None:
    chosen = with_runtime(base, "auto", BATCH)
    assert isinstance(chosen, ExportedClassifier)
    assert chosen.fingerprint == exported.fingerprint
    half = TorchClassifier(make_net().to(torch.bfloat16), num_classes=5, preprocess=torch.Tensor.bfloat16)
    assert is_eager(with_runtime(half, "auto", BATCH), half)


def test_elsewhere_pytorch_runs_it() -> None:
    there = TorchClassifier(make_net(), num_classes=5)
    there.device = torch.device("cuda")
    assert is_eager(with_runtime(there, "auto", BATCH), there)


def test_without_onnx_runtime_the_module_stays_with_torch(
    base: TorchClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "ExportedClassifier", refuse_to_export)
    assert is_eager(with_runtime(base, "auto", BATCH), base)
    with pytest.raises(MissingExtraError):
        with_runtime(base, "onnx", BATCH)


def test_a_runtime_that_computes_something_else_is_rejected(
    base: TorchClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(batch: NDArray[np.float32]) -> NDArray[np.float32]:
        logits = base.logits(batch)
        logits[:, 2] += 0.05
        return logits

    other = FunctionClassifier(wrong, num_classes=5, fingerprint="wrong")
    monkeypatch.setattr(runtime, "ExportedClassifier", lambda source, shape: other)
    assert is_eager(with_runtime(base, "auto", BATCH), base)
    with pytest.raises(InvalidArgumentError, match=r"another function: logits differ by up to 0\.05"):
        with_runtime(base, "onnx", BATCH)


@pytest.mark.usefixtures("at_once")
def test_logits_that_are_not_finite_are_compared(base: TorchClassifier, exported: ExportedClassifier) -> None:
    batch = BATCH.copy()
    batch[3, 0, 0, 0] = np.inf
    for strange in (batch, np.full_like(BATCH, np.nan)):
        assert with_runtime(base, "onnx", strange) is exported


def test_wrong_arguments_are_refused(base: TorchClassifier) -> None:
    for batch, message in ((BATCH.astype(np.float64), "float64"), (BATCH[:0], r"shape \(0, 3, 8, 8\)")):
        for name in get_args(RuntimeName):
            with pytest.raises(InvalidArgumentError, match=message):
                with_runtime(base, name, batch)  # type: ignore[arg-type]
    with pytest.raises(
        InvalidArgumentError, match="'fast': it should be one of auto, eager, compile, onnx, openvino"
    ):
        with_runtime(base, "fast", BATCH)  # type: ignore[arg-type]


def test_exported_programs_are_exported_again(base: TorchClassifier) -> None:
    program = torch.export.export(
        make_net().eval(), (torch.zeros(2, 3, 8, 8),), dynamic_shapes={"input": {0: torch.export.Dim.AUTO}}
    )
    found = ExportedClassifier(TorchClassifier(program.module(), 5), (3, 8, 8))
    np.testing.assert_allclose(found.logits(BATCH), TorchClassifier(make_net(), 5).logits(BATCH), atol=1e-5)
