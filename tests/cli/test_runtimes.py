"""A command runs a model by the rule, as it was told, or as the cache was made."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch

from smoothcert.classifiers import CompiledClassifier, TorchClassifier
from smoothcert.models import load_model
from smoothcert.votes import run_as_made
from smoothcert.votes.store import candidate_folder, votes_manifest

for package in ("onnx", "onnxruntime", "onnxscript"):
    pytest.importorskip(package)


needs_openvino = pytest.mark.skipif(find_spec("openvino") is None, reason="needs OpenVINO")


def test_untold_a_base_and_its_candidates_are_run_by_onnx_runtime(trained: Path) -> None:
    cache = trained / "cache"
    pruned, rounded = (candidate_folder(cache, name) for name in ("prune-0.1", "bf16"))
    assert votes_manifest(cache).classifier["runtime"].startswith("onnxruntime")
    assert votes_manifest(pruned).classifier["runtime"].startswith("onnxruntime")
    assert votes_manifest(rounded).classifier["runtime"] == f"torch {torch.__version__}"


@pytest.mark.parametrize("runtime", ["eager", "onnx", pytest.param("openvino", marks=needs_openvino)])
def test_a_cache_goes_on_with_its_fingerprint_and_batch_size(
    run: Any, trained: Path, tmp_path: Path, runtime: str
) -> None:
    model, data = str(trained / "checkpoint.safetensors"), ("--data", "digits", "--limit", "2")
    call = ("certify", model, *data, "--sigma", "0.25", "--n", "100", "--cache", tmp_path / "c")
    assert run(*call, "--runtime", runtime, "--batch-size", "48")[0] == 0
    module, made = load_model(model).classifier, votes_manifest(tmp_path / "c")
    assert isinstance(module, TorchClassifier)
    running = run_as_made(module, made.fingerprint, made.input_shape)
    assert running is not None
    assert running.fingerprint == made.fingerprint
    assert made.classifier["batch_size"] == "48"
    torch.nn.init.zeros_(next(module.module.parameters()))
    changed = TorchClassifier(module.module, module.num_classes)
    assert run_as_made(changed, made.fingerprint, made.input_shape) is None


def test_a_cache_goes_on_in_its_runtime_and_refuses_another(run: Any, trained: Path, tmp_path: Path) -> None:
    inputs = ("--data", "digits", "--limit", "3", "--sigma", "0.25", "--n", "100")
    call = ("certify", trained / "checkpoint.safetensors", *inputs, "--cache", tmp_path / "c", "--json")
    assert run(*call, "--runtime", "eager")[0] == 0
    status, out, _ = run(*call)
    assert status == 0
    assert json.loads(out)["samples"] == 0
    status, _, err = run(*call, "--runtime", "onnx")
    assert status == 2
    assert "fingerprint" in err


@needs_openvino
def test_candidates_of_a_base_run_by_openvino_are_run_by_it(run: Any, trained: Path, tmp_path: Path) -> None:
    cache, inputs = tmp_path / "c", ("--data", "digits", "--limit", "3", "--sigma", "0.25", "--n", "200")
    call = ("certify", trained / "checkpoint.safetensors", *inputs, "--cache", cache, "--json")
    assert run(*call, "--runtime", "openvino")[0] == 0
    assert json.loads(run(*call)[1])["samples"] == 0
    candidates = ("--candidate", "prune:0.1", "--candidate", "int8:openvino", "--candidate", "int8:onnx")
    assert run("recertify", cache, *candidates, "--n-p", "100", "--json")[0] == 0
    runtimes = {
        name: votes_manifest(candidate_folder(cache, name)).classifier["runtime"].partition(" ")[0]
        for name in ("prune-0.1", "int8-openvino", "int8")
    }
    assert runtimes == {"prune-0.1": "openvino", "int8-openvino": "openvino", "int8": "onnxruntime"}


def test_candidates_of_a_compiled_base_are_compiled(
    run: Any, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []

    def compile_at_once(self: CompiledClassifier, piece: torch.Tensor) -> Any:
        sizes.append(self._batch_size)
        return lambda x: (self._source.scores(x).float(), self._source.vote(x))

    monkeypatch.setattr(CompiledClassifier, "_compile", compile_at_once)
    inputs = ("--data", "digits", "--limit", "3", "--sigma", "0.25", "--n", "200")
    call = ("certify", trained / "checkpoint.safetensors", *inputs, "--cache", tmp_path / "c", "--json")
    assert run(*call, "--runtime", "compile")[0] == 0
    assert json.loads(run(*call)[1])["samples"] == 0
    assert run("recertify", tmp_path / "c", "--candidate", "prune:0.1", "--n-p", "100", "--json")[0] == 0
    assert sizes == [1024] * 4  # the base by each command, and the candidate
    assert votes_manifest(tmp_path / "c").classifier["runtime"].endswith("compiled")
