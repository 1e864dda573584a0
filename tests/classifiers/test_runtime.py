from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from smoothcert.classifiers import (
    Classifier,
    ExportedClassifier,
    FunctionClassifier,
    TorchClassifier,
    fastest_runtime,
    runtime,
    runtime_race,
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
def quick(exported: ExportedClassifier, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Export and time nothing: ONNX is twice as fast as eager, batches of 128 are the fastest; record the runs."""
    timed: list[tuple[str, int]] = []

    def best_times(runs: Mapping[str, Classifier], x: NDArray[np.float32]) -> dict[str, float]:
        timed.extend((name, len(x)) for name in runs)
        per_sample = 1e-6 * (1 + abs(np.log2(len(x) / 128)))
        return {name: per_sample * len(x) * (1 if name == "onnx" else 2) for name in runs}

    monkeypatch.setattr(runtime_race, "_best_times", best_times)
    monkeypatch.setattr(runtime, "ExportedClassifier", lambda source, shape: exported)
    return timed


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


def test_the_fastest_runtime_and_its_smallest_good_batch_are_chosen(
    base: TorchClassifier, quick: list[tuple[str, int]], tmp_path: Path
) -> None:
    choice = fastest_runtime(base, BATCH, cache_dir=tmp_path)
    assert (choice.runtime, choice.batch_size) == ("onnx", 128)
    assert choice.samples_per_second == pytest.approx(1e6)
    assert choice.classifier.description["source"] == base.fingerprint
    assert {(t.runtime, t.batch_size) for t in choice.tried} == set(quick)
    assert set(quick) == {(name, 2**i) for name in ("eager", "onnx") for i in range(5, 11)}


def test_a_small_gain_is_not_worth_another_runtime(
    base: TorchClassifier, quick: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def best_times(runs: Mapping[str, Classifier], x: NDArray[np.float32]) -> dict[str, float]:
        return {name: len(x) * (1.0 if name == "eager" else 0.97) * 1e-6 for name in runs}

    monkeypatch.setattr(runtime_race, "_best_times", best_times)
    choice = fastest_runtime(base, BATCH, cache_dir=tmp_path)
    assert (choice.runtime, choice.batch_size) == ("eager", 32)
    assert choice.classifier is base


def test_batches_grow_only_while_a_call_stays_short(
    base: TorchClassifier, quick: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def best_times(runs: Mapping[str, Classifier], x: NDArray[np.float32]) -> dict[str, float]:
        return {name: len(x) * (1.0 if name == "eager" else 0.001) for name in runs}

    monkeypatch.setattr(runtime_race, "_best_times", best_times)
    tried = fastest_runtime(base, BATCH, cache_dir=tmp_path).tried
    assert [t.batch_size for t in tried if t.runtime == "eager"] == [32]
    assert [t.batch_size for t in tried if t.runtime == "onnx"] == [32, 64, 128]
    monkeypatch.setattr(runtime_race, "_BATCH_BYTES", {"cpu": 64 * BATCH[0].nbytes})
    limited = fastest_runtime(base, BATCH, cache_dir=tmp_path / "other").tried
    assert max(t.batch_size for t in limited) == 64


def test_the_same_job_gets_the_same_runtime_again(
    base: TorchClassifier, quick: list[tuple[str, int]], tmp_path: Path
) -> None:
    first = fastest_runtime(base, BATCH, cache_dir=tmp_path)
    probes = len(quick)
    again = fastest_runtime(base, 2 * BATCH[:7], cache_dir=tmp_path)
    assert len(quick) == probes
    assert again.tried == first.tried
    assert again.classifier.fingerprint == first.classifier.fingerprint
    assert (again.runtime, again.batch_size) == (first.runtime, first.batch_size)
    other = TorchClassifier(make_net(seed=1), num_classes=5)
    fastest_runtime(other, BATCH, candidates=["eager"], cache_dir=tmp_path)
    fastest_runtime(base, BATCH, candidates=["eager"], cache_dir=tmp_path)
    assert len(quick) == probes + 12
    assert len(list((tmp_path / "runtimes").iterdir())) == 3


def damages(content: dict[str, object]) -> list[str]:
    """Return what a damaged or forged file may hold."""
    return [
        "",
        "{}",
        "[]",
        "\x00" * 100,
        json.dumps(content | {"tried": []}),
        json.dumps(content | {"tried": [{"runtime": "other", "batch_size": 64, "samples_per_second": 1.0}]}),
        json.dumps(content | {"tried": [{"runtime": "eager", "batch_size": -1, "samples_per_second": 1.0}]}),
        json.dumps(content | {"tried": [{"runtime": "eager", "batch_size": 1e9, "samples_per_second": 1.0}]}),
        json.dumps(content | {"tried": [{"runtime": "eager", "batch_size": 64, "samples_per_second": "fast"}]}),
        json.dumps(content | {"tried": [{"runtime": "eager", "batch_size": 64, "samples_per_second": 1e999}]}),
        json.dumps(content | {"tried": [{"runtime": "eager", "size": 64}]}),
        json.dumps(content | {"job": {}}),
        json.dumps(content) + " " * (1 << 16),
    ]


def test_what_is_kept_is_not_trusted(base: TorchClassifier, quick: list[tuple[str, int]], tmp_path: Path) -> None:
    fastest_runtime(base, BATCH, candidates=["eager"], cache_dir=tmp_path)
    (path,) = (tmp_path / "runtimes").iterdir()
    good = path.read_text()
    for damaged in damages(json.loads(good)):
        path.write_text(damaged)
        quick.clear()
        assert fastest_runtime(base, BATCH, candidates=["eager"], cache_dir=tmp_path).runtime == "eager"
        assert quick
        assert path.read_text() == good


def test_where_choices_are_kept(
    base: TorchClassifier, quick: list[tuple[str, int]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name, folder in (
        ("", tmp_path / "home/.cache/smoothcert"),
        ("XDG_CACHE_HOME", tmp_path / "xdg/smoothcert"),
        ("SMOOTHCERT_CACHE", tmp_path / "own"),
    ):
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
        monkeypatch.delenv("SMOOTHCERT_CACHE", raising=False)
        if name:
            monkeypatch.setenv(name, str(tmp_path / ("xdg" if name.startswith("XDG") else "own")))
        assert not folder.exists()
        fastest_runtime(base, BATCH, candidates=["eager"])
        assert len(list((folder / "runtimes").iterdir())) == 1


def test_a_folder_that_cannot_be_written_is_no_error(
    base: TorchClassifier, quick: list[tuple[str, int]], tmp_path: Path
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    for _ in range(2):
        assert fastest_runtime(base, BATCH, candidates=["eager"], cache_dir=blocked).runtime == "eager"
    assert len(quick) == 12
    if os.geteuid() != 0:
        closed = tmp_path / "closed"
        closed.mkdir(mode=0o500)
        assert fastest_runtime(base, BATCH, candidates=["eager"], cache_dir=closed).runtime == "eager"


def test_a_runtime_that_computes_something_else_is_rejected(
    base: TorchClassifier, quick: list[tuple[str, int]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(batch: NDArray[np.float32]) -> NDArray[np.float32]:
        logits = base.logits(batch)
        logits[:, 2] += 0.05
        return logits

    other = FunctionClassifier(wrong, num_classes=5, fingerprint="wrong")
    monkeypatch.setattr(runtime, "ExportedClassifier", lambda source, shape: other)
    choice = fastest_runtime(base, BATCH, cache_dir=tmp_path)
    assert choice.runtime == "eager"
    (rejected,) = [trial for trial in choice.tried if trial.runtime == "onnx"]
    assert "another function: logits differ by up to 0.05" in rejected.reason
    with pytest.raises(InvalidArgumentError, match="'onnx' computes another function"):
        with_runtime(base, "onnx", BATCH)
    with pytest.raises(InvalidArgumentError, match="none can run this module"):
        fastest_runtime(base, BATCH, candidates=["onnx"], cache_dir=tmp_path)


def test_without_onnx_runtime_the_module_stays_with_torch(
    base: TorchClassifier, quick: list[tuple[str, int]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(source: TorchClassifier, shape: tuple[int, ...]) -> ExportedClassifier:
        raise MissingExtraError("this needs 'onnxruntime': pip install 'smoothcert[onnx]'")

    kept = fastest_runtime(base, BATCH, cache_dir=tmp_path)
    assert kept.runtime == "onnx"
    monkeypatch.setattr(runtime, "ExportedClassifier", missing)
    choice = fastest_runtime(base, BATCH, cache_dir=tmp_path)
    assert choice.runtime == "eager"
    assert any("smoothcert[onnx]" in trial.reason for trial in choice.tried)
    with pytest.raises(MissingExtraError):
        with_runtime(base, "onnx", BATCH)


def test_logits_that_are_not_finite_are_compared(
    base: TorchClassifier, quick: list[tuple[str, int]], tmp_path: Path
) -> None:
    batch = BATCH.copy()
    batch[3, 0, 0, 0] = np.inf
    assert fastest_runtime(base, batch, cache_dir=tmp_path).runtime == "onnx"
    assert fastest_runtime(base, np.full_like(BATCH, np.nan), cache_dir=tmp_path / "nan").runtime == "onnx"


def test_by_hand(base: TorchClassifier, quick: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMOOTHCERT_CACHE", os.devnull)
    assert with_runtime(base, "eager", BATCH) is base
    assert isinstance(with_runtime(base, "onnx", BATCH), ExportedClassifier)
    assert isinstance(with_runtime(base, "auto", BATCH), ExportedClassifier)


def test_a_real_probe_is_short_and_finds_a_runtime(tmp_path: Path) -> None:
    linear = TorchClassifier(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 5)), num_classes=5)
    choice = fastest_runtime(linear, BATCH, cache_dir=tmp_path)
    assert choice.samples_per_second > 0
    assert not any(trial.reason for trial in choice.tried)


def test_wrong_arguments_are_refused(base: TorchClassifier) -> None:
    for batch, candidates, message in (
        (BATCH, ["tensorrt"], "'tensorrt': it should be one of eager, compile, onnx"),
        (BATCH, [], "none given"),
        (BATCH.astype(np.float64), None, "float64"),
        (BATCH[:0], None, r"shape \(0, 3, 8, 8\)"),
    ):
        with pytest.raises(InvalidArgumentError, match=message):
            fastest_runtime(base, batch, candidates=candidates)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgumentError, match="one of eager, compile, onnx, auto"):
        with_runtime(base, "fast", BATCH)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgumentError, match="float64"):
        with_runtime(base, "onnx", BATCH.astype(np.float64))
