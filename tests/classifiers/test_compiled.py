"""Compiled modules: here by the C++ compiler, on CUDA as graphs."""

from __future__ import annotations

import shutil
import threading
from typing import Any

import numpy as np
import pytest
import torch

from smoothcert.approximate.precision import bfloat16_arithmetic, float16_weights
from smoothcert.classifiers import Classifier, CompiledClassifier, TorchClassifier, with_runtime
from smoothcert.errors import InvalidArgumentError
from smoothcert.noise import GaussianNoise, Purpose, input_keys
from smoothcert.sampling import SampleRange, sample_votes

needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
BATCH = np.random.default_rng(0).standard_normal((21, 3, 8, 8)).astype(np.float32)


class Centre(torch.nn.Module):
    """Preprocessing with a buffer of its own."""

    mean: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor([0.1, 0.2, 0.3]).view(3, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        centred: torch.Tensor = x - self.mean
        return centred


def make_base(device: str = "cpu") -> TorchClassifier:
    """Return a small net with the layers of a large one."""
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.ReLU(), torch.nn.Flatten()
    )
    net.append(torch.nn.Linear(144, 5))
    return TorchClassifier(net, num_classes=5, preprocess=Centre().to(device), device=device)


@pytest.fixture(scope="module")
def base() -> TorchClassifier:
    return make_base()


@pytest.fixture(scope="module")
def compiled(base: TorchClassifier) -> CompiledClassifier:
    return CompiledClassifier(base, batch_size=8)


@needs_compiler
def test_it_computes_the_same_up_to_rounding(base: TorchClassifier, compiled: CompiledClassifier) -> None:
    assert isinstance(compiled, Classifier)
    np.testing.assert_allclose(compiled.logits(BATCH), base.logits(BATCH), atol=1e-5)
    np.testing.assert_array_equal(compiled.classify(BATCH), base.classify(BATCH))


@needs_compiler
@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 16])
def test_a_vote_depends_on_no_batch_mate(compiled: CompiledClassifier, size: int) -> None:
    together = compiled.logits(BATCH)
    np.testing.assert_array_equal(compiled.logits(BATCH[:size]), together[:size])
    np.testing.assert_array_equal(compiled.classify(BATCH[:size]), together[:size].argmax(axis=1))


@needs_compiler
def test_an_earlier_batch_leaves_no_trace_in_a_shorter_one(compiled: CompiledClassifier) -> None:
    broken = BATCH[:8].copy()
    broken[3, 0, 0, 0] = np.nan
    assert (compiled.classify(broken) == -1).tolist() == [i == 3 for i in range(8)]
    assert (compiled.classify(BATCH[:5]) >= 0).all()


@needs_compiler
def test_the_engine_gets_the_votes_of_the_module(base: TorchClassifier, compiled: CompiledClassifier) -> None:
    key = next(input_keys(BATCH))
    ranges = [SampleRange(0, key, Purpose.ESTIMATION, 0, 30), SampleRange(0, key, Purpose.SELECTION, 5, 16)]
    noise = GaussianNoise(0.5, 0)
    eager = sample_votes(base, BATCH, noise, ranges)
    for size in (3, 8, 64):
        for mine, expected in zip(
            sample_votes(compiled, BATCH, noise, ranges, batch_size=size), eager, strict=True
        ):
            np.testing.assert_array_equal(mine, expected)


@pytest.mark.parametrize(
    ("half", "moved", "refused"),
    [(False, 5e-4, False), (False, 0.02, True), (True, 0.02, False), (True, 0.1, True)],
)
def test_half_precision_may_round_more_than_float32(
    base: TorchClassifier, half: bool, moved: float, refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = bfloat16_arithmetic(base) if half else base
    logits = source.logits(BATCH)
    shifted = logits + np.float32(moved * np.ptp(logits))
    monkeypatch.setattr(CompiledClassifier, "logits", lambda self, batch: shifted)
    if refused:
        with pytest.raises(InvalidArgumentError, match="computes another function"):
            with_runtime(source, "compile", BATCH)
    else:
        assert isinstance(with_runtime(source, "compile", BATCH), CompiledClassifier)


def test_what_is_run_is_named(base: TorchClassifier) -> None:
    compiled = CompiledClassifier(base, batch_size=8)
    assert compiled.fingerprint not in (base.fingerprint, CompiledClassifier(make_other(), 8).fingerprint)
    assert CompiledClassifier(make_base(), 16).fingerprint == compiled.fingerprint
    assert compiled.description["source"] == base.fingerprint
    assert compiled.description["runtime"] == f"torch {torch.__version__}, compiled"
    assert compiled.description["dtype"] == "float32"
    rounded = float16_weights(base)
    assert CompiledClassifier(rounded, 8).description["dtype"] == rounded.description["dtype"]


def make_other() -> TorchClassifier:
    return TorchClassifier(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 5)), num_classes=5)


def test_where_memory_is_short_half_as_many_are_compiled(
    base: TorchClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []

    def compile_small(self: CompiledClassifier, piece: torch.Tensor) -> Any:
        sizes.append(self._batch_size)
        if self._batch_size > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return lambda x: (base.scores(x), base.vote(x))

    monkeypatch.setattr(CompiledClassifier, "_compile", compile_small)
    short = CompiledClassifier(base, batch_size=16)
    np.testing.assert_array_equal(short.classify(BATCH), base.classify(BATCH))
    np.testing.assert_array_equal(short.classify(BATCH), base.classify(BATCH))
    assert sizes == [16, 8, 4, 2]


def test_memory_for_not_even_one_is_an_error(base: TorchClassifier, monkeypatch: pytest.MonkeyPatch) -> None:
    def compile_never(self: CompiledClassifier, piece: torch.Tensor) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(CompiledClassifier, "_compile", compile_never)
    with pytest.raises(torch.OutOfMemoryError):
        CompiledClassifier(base, batch_size=16).classify(BATCH)


class Branching(torch.nn.Module):
    """Goes different ways for different inputs, which no export can follow."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(192, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.layer(x.flatten(1))
        return logits if bool(x.sum() > 0) else -logits


def test_what_cannot_be_compiled_says_so() -> None:
    classifier = TorchClassifier(Branching(), num_classes=5)
    with pytest.raises(InvalidArgumentError, match=r"cannot compile this module \(.*use 'eager'"):
        CompiledClassifier(classifier, batch_size=8).classify(BATCH)
    with pytest.raises(InvalidArgumentError, match="use 'eager'"):
        with_runtime(classifier, "compile", BATCH)


def test_wrong_arguments_are_refused(base: TorchClassifier) -> None:
    with pytest.raises(InvalidArgumentError, match="batch_size is 0"):
        CompiledClassifier(base, batch_size=0)
    three = CompiledClassifier(TorchClassifier(base.module, num_classes=3, preprocess=base.preprocess), 8)
    with pytest.raises(InvalidArgumentError, match="num_classes is 3"):
        three.classify(BATCH)


@needs_gpu
def test_on_a_gpu_any_thread_may_replay() -> None:
    there, here = make_base("cuda"), make_base()
    compiled = CompiledClassifier(there, batch_size=8)
    np.testing.assert_allclose(compiled.logits(BATCH), here.logits(BATCH), atol=1e-2)  # convolutions may use TF32
    expected = compiled.classify(BATCH)
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(compiled.classify(BATCH)))
    thread.start()
    thread.join()
    np.testing.assert_array_equal(found[0], expected)
    np.testing.assert_array_equal(compiled.classify(BATCH[:3]), expected[:3])
